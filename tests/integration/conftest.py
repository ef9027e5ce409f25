"""Real server processes, real client processes, and what must not be left of them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
import pytest

from rpcnb.endpoint.client.connect import open_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcnb.endpoint.client.socket_session import SocketSession

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PATIENCE = 20.0

SERVER = """
import json, sys
from rpcnb.core.limits import Limits
from rpcnb.endpoint.serving import worker, zygote
from rpcnb.endpoint.serving.server import Server
options = json.loads(sys.argv[1])
worker.STUCK_AFTER = options.pop("stuck_after", worker.STUCK_AFTER)
zygote.KILL_AFTER = options.pop("kill_after", zygote.KILL_AFTER)
limits = Limits(**options.pop("limits", {}))
with Server(**options, limits=limits) as server:
    print(json.dumps([server.url, server.token]), flush=True)
    sys.stdin.read()
"""

CLIENT = """
import json, os, random, signal, sys, threading, time
from rpcnb.core.errors import *
from rpcnb.endpoint.client.connect import open_session
from rpcnb.session.observer import CallObserver, CallOptions
url, token = json.loads(sys.argv[1])
session = open_session(url, token=token)
def remote(name):
    ref = session.get_function(name)
    return lambda *args, **options: session.call_func(ref, args, **options)
def say(*what):
    print(json.dumps(what), flush=True)
"""


def gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def group_of(process: psutil.Process) -> int:
    """Return the number of its process group; 0 when it has ended."""
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return 0


class Program:
    """A Python process that is talked to in lines of JSON."""

    def __init__(self, code: str, argument: object, temp: Path, where: Sequence[str] = ()) -> None:
        for name in ("tmp", "runtime"):
            (temp / name).mkdir(parents=True, exist_ok=True)
        environment = os.environ | {
            "TMPDIR": str(temp / "tmp"),
            "RPCNB_RUNTIME_DIR": str(temp / "runtime"),
            "PYTHONPATH": str(ROOT),
        }
        self.process = subprocess.Popen(
            [*where, sys.executable, "-W", "error", "-c", code, json.dumps(argument)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.pid = self.process.pid

    def hear(self) -> Any:
        """Return the next line; the test's time-out bounds the waiting."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(self.process.communicate(timeout=PATIENCE)[1])
        return json.loads(line)

    def has_spoken(self) -> bool:
        """Tell whether `hear` would return at once, or after a moment."""
        return bool(select.select([self.process.stdout], [], [], 0.005)[0])

    def interrupt(self) -> None:
        self.process.send_signal(2)

    def end(self) -> str:
        """Let it end by itself; return what it wrote to stderr."""
        return self.process.communicate(timeout=PATIENCE)[1]

    def kill(self) -> None:
        """End it at once; nothing happens when it has ended."""
        self.process.kill()
        self.process.wait(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class RunningServer(Program):
    """A server in a process of its own."""

    def __init__(self, temp: Path, where: Sequence[str] = (), **options: object) -> None:
        self.temp = temp
        self.clients: list[Program] = []
        usual = {"load": [str(HERE / "served.py")], "name": "srv", "grace": 0.5}
        self.options = usual | options
        super().__init__(SERVER, self.options, temp, where)
        self.url, self.token = self.hear()
        (zygote,) = psutil.Process(self.pid).children()
        self.zygote: psutil.Process = zygote

    def restart(self) -> None:
        """Kill it, and start another one at its address."""
        options = self.options | {"port": int(self.url.rsplit(":", 1)[1])}
        self.kill()
        Program.__init__(self, SERVER, options, self.temp)
        assert self.hear() == [self.url, self.token]

    def connect(self) -> SocketSession:
        return open_session(self.url, token=self.token)  # type: ignore[return-value]

    def client(self, code: str, where: Sequence[str] = ()) -> Program:
        client = Program(CLIENT + code, [self.url, self.token], self.temp, where)
        self.clients.append(client)
        return client

    def workers(self) -> list[psutil.Process]:
        """Return those that have a session: a spare one leads no group yet."""
        own = os.getpgid(self.zygote.pid)
        alive = [process for process in self.zygote.children() if not gone(process)]
        return [process for process in alive if group_of(process) not in (own, 0)]

    def session_folders(self) -> list[Path]:
        """Return the folders of sessions, and those in them."""
        return sorted((self.temp / "tmp").glob("*/**/"))[1:]  # 3.13 has files, too, without "/"

    def left_behind(self) -> list[Path]:
        """Return what a server that has ended should have removed."""
        return [*(self.temp / "tmp").iterdir(), *(self.temp / "runtime").glob("*/*")]


@contextmanager
def running_server(temp: Path, **options: object) -> Iterator[RunningServer]:
    server = RunningServer(temp, **options)
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    try:
        yield server
        errors = server.end() if server.process.poll() is None else ""
        assert "Traceback" not in errors, errors
    finally:
        for process in family:
            if process.is_running():
                process.kill()
        for program in (*server.clients, server):
            program.kill()


class Command:
    """An `rpcnb` command that runs, talked to by nobody.

    Parameters
    ----------
    folder : Path
        Its runtime folder, and where connection files are.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rpcnb", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"RPCNB_RUNTIME_DIR": str(folder), "PYTHONPATH": str(ROOT)},
        )
        self.pid = self.process.pid

    def line(self) -> str:
        """Return its next line; the test's time-out bounds the waiting."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def command():
    """Give `Command`."""
    return Command


@pytest.fixture(scope="module", name="running_server")
def _running_server():
    """Give `running_server`, for fixtures of a file."""
    return running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Give a server for the tests of a file that leave it as it was."""
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    """Give a server that the test may hurt."""
    with running_server(tmp_path / "server") as server:
        yield server


@pytest.fixture
def start_server(tmp_path: Path):
    """Give `running_server` with a folder."""
    return lambda **options: running_server(tmp_path / "server", **options)


def remote(session: SocketSession, name: str):
    """Return a function that calls `name` over there."""
    ref = session.get_function(name)
    assert ref is not None, name
    return lambda *args, **options: session.call_func(ref, args, **options)


@pytest.fixture(name="remote")
def _remote():
    return remote


@pytest.fixture
def hostile():
    """Give a function that starts a server with a script, and returns its address."""
    sys.path.insert(0, str(HERE))
    from hostile import Hostile  # beside this file, which is no package

    opened = []

    def start(script, **options) -> str:
        opened.append(Hostile(script, **options))
        return opened[-1].url

    yield start
    for server in opened:
        server.close()
