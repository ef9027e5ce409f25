from __future__ import annotations

import pytest

from rpcnb.endpoint.credentials import keyid_of
from rpcnb.endpoint.serving.keyring import NO_KEYID, Keyring, may_still_connect
from rpcnb.endpoint.share_links import derived

SECRET, ADMIN = bytes(range(32)), bytes(range(32, 64))


@pytest.fixture
def keyring():
    return Keyring(SECRET, ADMIN)


def test_a_secret_is_found_by_its_name_and_without_one(keyring):
    assert keyring.find(keyid_of(SECRET).encode()) == SECRET
    assert keyring.find(NO_KEYID) == SECRET
    assert keyring.find(b"whatever") is None


def test_the_key_of_a_link_is_derived_and_not_kept(keyring):
    caveats = "role=reader;expires=1"
    assert keyring.find(keyid_of(SECRET).encode(), caveats) == derived(SECRET, caveats) != SECRET


def test_administration_has_a_key_of_its_own_that_cannot_be_shared(keyring):
    keyid = keyid_of(ADMIN).encode()
    assert keyring.find(keyid) == ADMIN
    assert keyring.is_admin(keyid)
    assert not keyring.is_admin(keyid_of(SECRET).encode())
    assert keyring.find(keyid, "role=reader") is None
    assert Keyring(SECRET).admin != Keyring(SECRET).admin


def test_rotating_forgets_the_old_secret(keyring):
    fresh = keyring.rotate()
    assert keyring.secret == fresh != SECRET
    assert keyring.find(keyid_of(SECRET).encode()) is None
    assert keyring.find(keyid_of(fresh).encode()) == fresh


def test_a_keyring_shows_no_secret(keyring):
    assert repr(keyring) == f"<Keyring {keyid_of(SECRET)}>"


def test_a_link_ends_when_it_says():
    assert may_still_connect("", 1e12) == ""
    assert may_still_connect("expires=100", 99.9) == ""
    assert "expired" in may_still_connect("expires=100", 100.0)
    assert "cannot be understood" in may_still_connect("colour=red", 0.0)
