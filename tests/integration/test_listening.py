"""What listens, and where: of all processes of a server, in each way in which one can run."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir

import psutil
import pytest

from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.credentials import read_connection_file
from rpcnb.transport.address import parse_address


@dataclass
class Served:
    """A server that runs, and where it may listen by TCP."""

    pids: list[int]
    """Of its processes that are no child of another."""
    url: str
    token: str = field(repr=False)
    where: set[tuple[str, int]]
    folder: Path = Path()
    """Where all of its files are."""


def port_of(url: str) -> int:
    port = parse_address(url).port
    assert port is not None
    return port


@contextmanager
def tcp(folder, running_server, command):
    with running_server(folder) as server:
        yield Served([server.pid], server.url, server.token, {("127.0.0.1", port_of(server.url))})


@contextmanager
def tls(folder, running_server, command):
    with running_server(folder, host="0.0.0.0") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        yield Served([server.pid], url, server.token, {("0.0.0.0", port_of(url))})


@contextmanager
def unix(folder, running_server, command):
    with running_server(folder, url=f"unix://{folder}/sock/s") as server:
        yield Served([server.pid], server.url, server.token, set())


@contextmanager
def detached(folder, running_server, command):
    """Give one whose broker was killed, with a session that was left and is taken up again."""
    with running_server(folder, grace=30.0) as server:
        session = open_session(server.url, token=server.token, name="left")
        session.detach()
        server.restart()
        with open_session(server.url, token=server.token, name="left"):
            where = {("127.0.0.1", port_of(server.url))}
            pids = [server.pid, server.zygote.pid]  # which the second broker has from the first
            yield Served(pids, server.url, server.token, where)


def by_command(stack, folder, command, *options):
    """Start one as a user does; return it, and what it said last."""
    serving = stack.enter_context(command(folder / "runtime", "serve", "--port", "0", *options))
    said = [serving.line() for _ in range(3 if "--tvm-port" in options else 2)]
    info = read_connection_file(Path(said[1].partition(": ")[2].strip()))
    where = {("127.0.0.1", port_of(info.url))}
    return Served([serving.pid], info.url, info.token, where), said[-1]


@contextmanager
def gateway(folder, running_server, command):
    with running_server(folder) as server, ExitStack() as stack:
        served, _ = by_command(stack, folder, command, "--forward", server.url)
        yield served


@contextmanager
def tvm(folder, running_server, command):
    with ExitStack() as stack:
        served, said = by_command(
            stack, folder, command, "--allow-module", "math", "--tvm-port", "0"
        )
        served.where.add(("127.0.0.1", int(said.rpartition(":")[2])))
        yield served


@contextmanager
def by_ssh(folder, running_server, command):
    """Give one that `rpcnb find` started, which is what ``ssh://`` runs over there."""
    with command(folder, "find", "--start") as finding:
        found = json.loads(finding.line())["rpcnb"]
        (file,) = folder.rglob("server-*.json")
        process = psutil.Process(read_connection_file(file).pid)
        try:
            yield Served([process.pid], f"unix://{found['socket']}", found["token"], set())
        finally:
            process.terminate()
    process.wait(20.0)  # after its parent, who would not look


WAYS = {way.__name__: way for way in (tcp, tls, unix, detached, gateway, tvm, by_ssh)}


@pytest.fixture(params=WAYS, scope="module")
def serving(request, tmp_path_factory, running_server, command):
    """Give a server with a session, in each of the ways."""
    folder = tmp_path_factory.mktemp(request.param)
    with (
        WAYS[request.param](folder, running_server, command) as served,
        open_session(served.url, token=served.token) as session,
    ):
        assert session.ping() >= 0
        served.folder = folder
        yield served


def family(pids: list[int]) -> list[psutil.Process]:
    parents = [psutil.Process(pid) for pid in pids]
    return [*parents, *(child for one in parents for child in one.children(recursive=True))]


def listening(pids: list[int]) -> set[tuple[str, int]]:
    """Return where any process of a server listens by TCP or UDP."""
    return {
        (c.laddr.ip, c.laddr.port)
        for process in family(pids)
        for c in process.net_connections(kind="inet")
        if c.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
    }


def unix_sockets(pids: list[int]) -> list[Path]:
    """Return the Unix sockets of a server's processes that have a name."""
    paths = {
        c.laddr for process in family(pids) for c in process.net_connections(kind="unix") if c.laddr
    }
    assert not any(path.startswith(("@", "\0")) for path in paths), "abstract ones have no owner"
    # Those with too long a path are bound by way of a descriptor of their folder, which only the
    # process itself can follow; the folder is the worker's own, see tests/endpoint/serving/test_zygote.py.
    return [Path(path) for path in paths if not path.startswith("/proc/self/fd/")]


def test_only_what_was_asked_for_listens(serving) -> None:
    assert len(family(serving.pids)) >= 3  # broker, zygote, worker
    assert listening(serving.pids) == serving.where
    for path in unix_sockets(serving.pids):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


STRANGER = """
import json, os, socket, sys
from pathlib import Path
import rpcnb.transport.tcp, rpcnb.transport.tls, rpcnb.transport.unix, rpcnb.wire.handshake
from rpcnb.core.errors import RpcnbError
from rpcnb.endpoint.client.connect import open_session
url, folders, files = json.loads(sys.argv[1])
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
said = set()
def attempt(what, do):
    try:
        said.add(f"{what} worked: {do()!r}")
    except (OSError, RpcnbError) as error:
        said.add(f"{what}: {type(error).__name__}")
for path in files:
    attempt("read", lambda: Path(path).read_text())
for path in folders:
    attempt("look", lambda: list(Path(path).iterdir()))
    attempt("enter", lambda: socket.socket(socket.AF_UNIX).connect(path + "/s"))
attempt("connect", lambda: open_session(url, token="k." + "a" * 52, timeout=5.0))
print(json.dumps(sorted(said)))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_gets_nothing(serving) -> None:
    sockets = unix_sockets(serving.pids)
    folders = sorted({str(path.parent) for path in sockets})
    assert folders
    files = [str(path) for path in serving.folder.rglob("*.json")]
    assert files
    for folder in (
        serving.folder,
        *serving.folder.parents,
    ):  # so that what is ours stops the stranger
        if folder.stat().st_uid == os.getuid() and folder.is_relative_to(gettempdir()):
            folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, json.dumps([serving.url, folders, files])],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    by_socket = serving.url.startswith("unix")
    assert json.loads(done.stdout) == [
        f"connect: {'ConnectError' if by_socket else 'AuthenticationError'}",
        "enter: PermissionError",
        "look: PermissionError",
        "read: PermissionError",
    ]
