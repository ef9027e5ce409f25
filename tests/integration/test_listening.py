"""What listens, and where: of all processes of a server, in each of its modes."""

from __future__ import annotations

import json
import os
import socket
import ssl
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir

import psutil
import pytest

HELLOS = {
    "a browser": b"GET / HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\r\n",
    "a websocket": b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
    "a form": b"POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\n\x89RPCNB\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a proxy": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n",
    "redis": b"*1\r\n$4\r\nPING\r\n",
    "nothing at all": b"\0" * 64,
}


def family(server):
    parent = psutil.Process(server.pid)
    return [parent, *parent.children(recursive=True)]


def listening(server) -> set[str]:
    """Return the addresses at which any process of a server listens by TCP or UDP."""
    return {
        c.laddr.ip
        for process in family(server)
        for c in process.net_connections(kind="inet")
        if c.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
    }


def sockets_of(server) -> list[Path]:
    paths = {
        c.laddr
        for process in family(server)
        for c in process.net_connections(kind="unix")
        if c.laddr
    }
    assert not any(path.startswith(("@", "\0")) for path in paths), "abstract ones have no owner"
    # Those with too long a path are bound by way of a descriptor of their folder, which only the
    # process itself can follow; the folder is the worker's own, see tests/endpoint/serving/test_zygote.py.
    return [Path(path) for path in paths if not path.startswith("/proc/self/fd/")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"127.0.0.1"}),
        ({"host": "0.0.0.0"}, {"0.0.0.0"}),
        ({"url": "unix"}, set()),
    ],
)
def test_only_what_was_asked_for_listens(start_server, tmp_path, options, expected) -> None:
    if "url" in options:
        options = {"url": f"unix://{tmp_path}/sock/s.sock"}
    with start_server(**options) as server, server.connect() as session:
        assert session.ping() >= 0
        assert listening(server) == expected
        for path in sockets_of(server):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def answer_to(where, hello: bytes, *, encrypted: bool) -> bytes:
    """Return what a port says to somebody until it closes."""
    sock = socket.create_connection(where, 5.0)
    if encrypted:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock)
    said = bytearray()
    with sock, suppress(OSError):
        sock.settimeout(5.0)
        sock.sendall(hello)
        while part := sock.recv(4096):
            said += part
    return bytes(said)


@pytest.mark.parametrize("hello", HELLOS.values(), ids=HELLOS)
def test_who_speaks_another_protocol_is_told_nothing(server, hello) -> None:
    host, _, port = server.url.removeprefix("tcp://").rpartition(":")
    assert answer_to((host, int(port)), hello, encrypted=False) == b""


def test_the_same_beyond_this_machine(start_server) -> None:
    with start_server(host="0.0.0.0") as server:
        port = int(server.url.partition("?")[0].rpartition(":")[2])
        for hello in HELLOS.values():
            said = answer_to(("127.0.0.1", port), hello, encrypted=False)
            assert len(said) <= 7  # an alert of TLS at most
            assert answer_to(("127.0.0.1", port), hello, encrypted=True) == b""


STRANGER = """
import json, os, socket, sys
from pathlib import Path
import rpcnb.transport.tcp, rpcnb.transport.unix, rpcnb.wire.handshake
from rpcnb.core.errors import RpcnbError
from rpcnb.endpoint.client.connect import open_session
url, folders, files = json.loads(sys.argv[1])
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
said = {}
def attempt(what, do):
    try:
        said[what] = f"worked: {do()!r}"
    except (OSError, RpcnbError) as error:
        said[what] = type(error).__name__
for path in files:
    attempt("read", lambda: Path(path).read_text())
for path in folders:
    attempt("look", lambda: list(Path(path).iterdir()))
    attempt("enter", lambda: socket.socket(socket.AF_UNIX).connect(path + "/s.sock"))
attempt("connect", lambda: open_session(url, token="k." + "a" * 52, timeout=5.0))
print(json.dumps(said))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_gets_nothing(start_server, tmp_path) -> None:
    file = tmp_path / "connection.json"
    with start_server(connection_file=str(file)) as server, server.connect() as session:
        assert session.ping() >= 0
        folders = sorted({str(path.parent) for path in sockets_of(server)})
        assert folders
        for folder in (tmp_path, *tmp_path.parents):  # so that what is ours stops the stranger
            if folder.stat().st_uid == os.getuid() and folder.is_relative_to(gettempdir()):
                folder.chmod(folder.stat().st_mode | 0o011)
        done = subprocess.run(
            [sys.executable, "-c", STRANGER, json.dumps([server.url, folders, [str(file)]])],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert json.loads(done.stdout) == {
            "read": "PermissionError",
            "look": "PermissionError",
            "enter": "PermissionError",
            "connect": "AuthenticationError",
        }
