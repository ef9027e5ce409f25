from __future__ import annotations

import socket
import sys

import pytest

from rpcnb.core.errors import ConnectionClosed
from rpcnb.transport import side_channel
from rpcnb.transport.side_channel import KEY_NBYTES, SideListener

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SO_PEERCRED is Linux's")


def test_who_knows_the_key_is_let_in_and_the_socket_file_is_gone(tmp_path) -> None:
    listener = SideListener(tmp_path)
    client = side_channel.connect(str(listener.path), listener.key)
    assert client is not None
    with client, listener.accept() as server:
        client.sendall(b"x")
        assert server.recv(1) == b"x"
    assert list(tmp_path.iterdir()) == []


def test_who_does_not_know_the_key_is_refused(tmp_path) -> None:
    listener = SideListener(tmp_path)
    client = side_channel.connect(str(listener.path), bytes(KEY_NBYTES))
    assert client is not None
    with client, pytest.raises(ConnectionClosed, match="somebody else"):
        listener.accept()
    assert list(tmp_path.iterdir()) == []


def test_who_leaves_without_a_key_is_refused(tmp_path) -> None:
    listener = SideListener(tmp_path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(listener.path))
    with pytest.raises(ConnectionClosed, match="somebody else"):
        listener.accept()


def test_nobody_has_to_come(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(side_channel, "TIMEOUT", 0.01)
    with pytest.raises(ConnectionClosed, match="nobody"):
        SideListener(tmp_path).accept()


def test_a_path_of_another_machine_leads_nowhere(tmp_path) -> None:
    assert side_channel.connect(str(tmp_path / "memory.sock"), bytes(KEY_NBYTES)) is None


@pytest.mark.parametrize(
    ("name", "key"),
    [("agent.sock", bytes(KEY_NBYTES)), ("memory.sock", b"POST /" * 9), ("memory.sock", b"")],
)
def test_nothing_is_said_to_what_is_no_socket_for_memory(tmp_path, name, key) -> None:
    with socket.socket(socket.AF_UNIX) as daemon:  # one of the user's own, which a server names
        daemon.bind(str(tmp_path / name))
        daemon.listen()
        daemon.setblocking(False)
        assert side_channel.connect(str(tmp_path / name), key) is None
        with pytest.raises(BlockingIOError):
            daemon.accept()


def test_a_path_that_is_none_leads_nowhere() -> None:
    assert side_channel.connect("/tmp\0/memory.sock", bytes(KEY_NBYTES)) is None


def test_a_path_may_be_longer_than_a_socket_can_have(tmp_path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    listener = SideListener(folder)
    client = side_channel.connect(str(listener.path), listener.key)
    assert client is not None
    with client, listener.accept():
        assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        SideListener(tmp_path / "gone")
