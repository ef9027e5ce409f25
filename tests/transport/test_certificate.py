from __future__ import annotations

import ssl
import sys
from hashlib import sha256

import pytest

from rpcnb.core.errors import ConnectError
from rpcnb.transport.certificate import (
    client_context,
    fingerprint_of,
    fingerprint_text,
    server_context,
)


def test_a_server_speaks_nothing_older_than_tls_1_3_and_gives_out_no_tickets():
    context, _ = server_context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.num_tickets == 0
    assert client_context().minimum_version is ssl.TLSVersion.TLSv1_3


def test_each_server_has_a_certificate_of_its_own():
    (_, first), (_, second) = server_context(), server_context()
    assert first != second
    assert len(first) == 32


def test_the_key_is_left_in_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server_context()
    assert list(tmp_path.iterdir()) == []


def test_a_fingerprint_is_a_sha_256_in_base_32():
    assert fingerprint_of(b"x") == sha256(b"x").digest()
    assert fingerprint_text(bytes(32)) == "a" * 52


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ConnectError, match=r"pip install 'rpcnb\[tls\]'"):
        server_context()
