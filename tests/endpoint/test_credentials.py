"""Tests of `rpcnb.endpoint.credentials`: secrets stay private, files say where servers are."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import AddressError, AuthenticationError
from rpcnb.endpoint import credentials
from rpcnb.endpoint.credentials import (
    ConnectionFile,
    find_token,
    fingerprint_in,
    is_running,
    keyid_of,
    new_token,
    place_of,
    read_connection_file,
    remember_token,
    remembered_tokens,
    running_servers,
    runtime_folder,
    secret_of,
    token_of,
    write_connection_file,
)

if TYPE_CHECKING:
    from pathlib import Path

URL = "tcp://127.0.0.1:4321"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "rpcnb"


def info(**changes) -> ConnectionFile:
    return ConnectionFile(**({"url": URL, "token": new_token(), "pid": os.getpid()} | changes))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_token_is_32_random_bytes() -> None:
    first, second = new_token(), new_token()
    assert first != second
    assert len(first) == 52
    assert len(secret_of(first)) == 32


def test_a_token_may_be_pasted_with_spaces_and_in_capitals() -> None:
    token = new_token()
    assert secret_of(f"  {token.upper()}\n") == secret_of(token)


@pytest.mark.parametrize("text", ["", "secret", "1" * 52, "a" * 51, "ä" * 52, "a" * 53])
def test_what_is_no_token_is_refused_and_not_repeated(text) -> None:
    with pytest.raises(AuthenticationError, match="no rpcnb token") as raised:
        secret_of(text)
    assert not text or text not in str(raised.value)


def test_the_folder_is_private(folder) -> None:
    folder.mkdir(mode=0o755)
    assert mode(runtime_folder()) == 0o700


def test_the_folder_is_where_the_system_wants_it(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("RPCNB_RUNTIME_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "xdg"))
    assert runtime_folder() == tmp_path / "xdg" / "rpcnb"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert runtime_folder() == tmp_path / "home" / ".cache" / "rpcnb"


def test_a_folder_of_somebody_else_is_refused(folder, monkeypatch) -> None:
    folder.mkdir()
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    with pytest.raises(PermissionError, match="another user"):
        runtime_folder()


def test_a_connection_file_comes_back_as_it_was(tmp_path) -> None:
    written = info(name="x", version="1", started=2.5)
    path = write_connection_file(written)
    assert mode(path) == 0o600
    assert read_connection_file(path) == written
    assert write_connection_file(written, tmp_path / "own.json") == tmp_path / "own.json"


def test_its_repr_does_not_show_the_token() -> None:
    written = info()
    assert written.token not in repr(written)


def test_a_file_that_cannot_be_put_in_place_leaves_nothing(folder, tmp_path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        write_connection_file(info(), tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "7", '{"url": "x"}'])
def test_other_files_are_no_connection_files(tmp_path, content) -> None:
    path = tmp_path / "file.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(AddressError, match="no connection file"):
        read_connection_file(path)
    with pytest.raises(AddressError, match="no connection file"):
        read_connection_file(tmp_path / "missing.json")


def test_a_file_that_others_can_read_is_refused(tmp_path) -> None:
    path = write_connection_file(info())
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="read by others"):
        read_connection_file(path)


def test_fields_of_later_versions_are_ignored(tmp_path) -> None:
    path = write_connection_file(info())
    content = json.loads(path.read_text()) | {"colour": "blue"}
    path.write_text(json.dumps(content))
    assert read_connection_file(path).url == URL


def test_files_of_dead_servers_are_removed(folder) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(20)
    dead = write_connection_file(info(pid=ended.pid))
    alive = write_connection_file(info())
    (folder / "server-0-broken.json").write_text("{")
    assert [path for path, _ in running_servers()] == [alive]
    assert not dead.exists()


def test_the_socket_of_a_dead_server_is_removed_and_nothing_else(tmp_path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(20)
    ours, foreign = runtime_folder() / "server-1-2.sock", tmp_path / "foreign.sock"
    for number, path in enumerate((ours, foreign)):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
        dead = info(pid=ended.pid, url=f"tcp://127.0.0.1:{number}", shortcut=f"unix://{path}")
        write_connection_file(dead)
    assert list(running_servers()) == []
    assert (ours.exists(), foreign.exists()) == (False, True)


def test_a_process_of_somebody_else_is_running(monkeypatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(credentials.os, "kill", refuse)
    assert is_running(1)


def test_a_token_is_found_by_address() -> None:
    written = info()
    write_connection_file(written)
    assert find_token(URL) == written.token
    assert find_token("tcp://127.0.0.1:1") is None


def test_tokens_are_remembered_privately(folder) -> None:
    assert remembered_tokens() == {}
    remember_token("tcp://far:1", "one")
    remember_token("tcp://far:2", "two")
    remember_token("tcp://far:1", "three")
    assert remembered_tokens() == {"tcp://far:1": "three", "tcp://far:2": "two"}
    assert find_token("tcp://far:2") == "two"
    assert mode(folder / "tokens.json") == 0o600


def test_a_full_token_names_key_and_certificate() -> None:
    secret, fingerprint = bytes(range(32)), "b" * 52
    token = token_of(secret, fingerprint)
    assert token == f"{keyid_of(secret)}.{token_of(secret)}.{fingerprint}"
    assert secret_of(token) == secret
    assert fingerprint_in(token) == fingerprint
    assert fingerprint_in(token_of(secret)) == ""


def test_a_key_id_tells_nothing_of_the_secret() -> None:
    token = new_token()
    keyid = keyid_of(secret_of(token))
    assert len(keyid) == 8
    assert keyid not in token


def test_a_place_is_the_same_with_and_without_encryption() -> None:
    assert place_of(f"tls://far:1?fingerprint={'b' * 52}") == place_of("tcp://far:1")
    remember_token(f"tls://far:1?fingerprint={'b' * 52}", "one")
    assert find_token("tcp://far:1") == "one"


def test_a_key_knows_its_name_and_shows_no_secret() -> None:
    secret = bytes(range(32))
    key = secret_of(token_of(secret, "b" * 52))
    assert (key, key.keyid.decode(), key.caveats) == (secret, keyid_of(secret), "")
    assert repr(key) == f"<Key {keyid_of(secret)}>"
    assert secret_of(token_of(secret)).keyid == key.keyid
