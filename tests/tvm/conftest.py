"""Fixtures around TVM's own server, which is not everywhere: its wheels are for 64-bit Linux."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator  # noqa: TC003 -- fixtures
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from rpcnb.endpoint.tvm.connect import TVMAddress, connect_tvm
from rpcnb.endpoint.tvm.session import TVMSession  # noqa: TC001 -- as above

HERE = Path(__file__).parent
KEY = "device"

collect_ignore_glob = [] if find_spec("tvm") else ["test_*.py"]


@contextmanager
def running(script: str, *args: str) -> Iterator[int]:
    """Run a script of this folder; give the port that it prints."""
    command = [sys.executable, str(HERE / script), *args]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"{script} did not start"
        yield int(line)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # also the processes of a server's sessions
        process.communicate(timeout=20)


@pytest.fixture(scope="session")
def run_script() -> Callable[..., AbstractContextManager[int]]:
    """Give the function that runs a script."""
    return running


@pytest.fixture
def serving() -> Callable[..., AbstractContextManager[int]]:
    """Give a function that runs a TVM server with a key, and perhaps a tracker's port."""
    return partial(running, "serve.py")


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    """Give the port of a server that nobody breaks."""
    with running("serve.py", KEY) as port:
        yield port


@pytest.fixture
def own_port() -> Iterator[int]:
    """Give the port of a server that the test may break."""
    with running("serve.py", KEY) as port:
        yield port


@pytest.fixture
def open_session(port: int) -> Iterator[Callable[..., TVMSession]]:
    """Give a function that opens a session; a server serves one at a time."""
    opened: list[TVMSession] = []

    def connect(**options: object) -> TVMSession:
        where: dict[str, object] = {"host": "127.0.0.1", "port": port, "key": KEY} | options
        opened.append(connect_tvm(TVMAddress(**where), 5.0))
        return opened[-1]

    yield connect
    for session in opened:
        session.shutdown()


@pytest.fixture
def session(open_session: Callable[..., TVMSession]) -> TVMSession:
    return open_session()
