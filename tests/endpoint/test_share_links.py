"""Tests of `rpcnb.endpoint.share_links`: links only ever become narrower."""

from __future__ import annotations

import time

import pytest

from rpcnb.core.roles import Role, grant_of
from rpcnb.endpoint.credentials import fingerprint_in, secret_of, token_of
from rpcnb.endpoint.share_links import derived, narrowed, share_caveats


def test_a_link_can_be_narrowed_again_and_never_widened() -> None:
    token = token_of(bytes(range(32)), "b" * 52)
    reader = narrowed(token, "role=reader")
    both = narrowed(reader, "functions=stats.*")
    key = secret_of(both)
    assert key.keyid == secret_of(token).keyid
    assert key.caveats == "role=reader;functions=stats.*"
    assert key == derived(secret_of(token), key.caveats)
    assert fingerprint_in(both) == "b" * 52
    assert key not in (secret_of(reader), secret_of(token))
    # The holder of the narrower link goes on from there, and comes to another key than from before.
    assert derived(key, "role=reader") != derived(secret_of(token), "role=reader")


def test_a_link_of_a_server_without_a_certificate_has_an_empty_place_for_it() -> None:
    link = narrowed(token_of(bytes(range(32))), "role=reader")
    assert fingerprint_in(link) == ""
    assert secret_of(link).caveats == "role=reader"


def test_the_caveats_of_a_share_say_when_it_ends() -> None:
    caveats = share_caveats("reader", "stats.*", 60.0)
    assert grant_of(caveats).role is Role.READER
    assert 50 < grant_of(caveats).expires - time.time() <= 60
    with pytest.raises(ValueError, match="roles are"):
        share_caveats("admin", "", 60.0)
