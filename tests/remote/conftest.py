"""A `Remote` over functions written for these tests; counted, so that a test can ask for silence."""

from __future__ import annotations

import gc
import threading
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

import rpcnb
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.remote.client import Remote
from rpcnb.session.files import WorkFolder
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rpcnb.remote.handles import HandleRow
    from rpcnb.session.base import RPCSession


class Gate:
    """Lets a test decide when a remote function goes on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def where(stream: str = "mine", timeout: float = 0.0) -> list[object]:
    return [stream, timeout]


def fail() -> None:
    raise ValueError("no good")


def count_to(n: int) -> Iterator[int]:
    yield from range(n)


def stumble(n: int) -> Iterator[int]:
    yield from range(n)
    raise ValueError("stumbled")


class Thing:
    def __repr__(self) -> str:
        return "a thing"


def chat() -> str:
    print("first line")
    warnings.warn("careful", UserWarning, stacklevel=1)
    return "done"


class OddWarning(UserWarning):
    pass


def warn_oddly() -> None:
    warnings.warn("odd", OddWarning, stacklevel=1)


def work(n: int) -> int:
    return sum(rpcnb.track(range(n), description="rows"))


def type_name(value: object) -> str:
    return type(value).__name__


def apply(function: Callable[..., object], *args: object) -> object:
    return function(*args)


FUNCTIONS: dict[str, Callable[..., object]] = {
    "demo.add": add,
    "demo.where": where,
    "demo.fail": fail,
    "demo.count_to": count_to,
    "demo.stumble": stumble,
    "demo.chat": chat,
    "demo.warn_oddly": warn_oddly,
    "demo.work": work,
    "apply": apply,
    "echo": lambda value: value,
    "type_name": type_name,
    "make_array": lambda n: np.arange(n, dtype=np.float32),
    "make_two": lambda: {"a": np.zeros(3), "b": [Thing(), 1]},
    "make_thing": Thing,
    "total": lambda array: float(array.sum()),
}


class CountingSession(LocalSession):
    """Counts what would cross to another machine."""

    crossings = 0

    def get_function(self, *args, **kwargs):
        self.crossings += 1
        return super().get_function(*args, **kwargs)

    def call_func(self, *args, **kwargs):
        self.crossings += 1
        return super().call_func(*args, **kwargs)

    def async_call_func(self, *args, **kwargs):
        self.crossings += 1
        return super().async_call_func(*args, **kwargs)

    def copy_to_remote(self, *args, **kwargs):
        self.crossings += 1
        return super().copy_to_remote(*args, **kwargs)

    def copy_from_remote(self, *args, **kwargs):
        self.crossings += 1
        return super().copy_from_remote(*args, **kwargs)

    def get_device_api(self, *args, **kwargs):
        self.crossings += 1
        return super().get_device_api(*args, **kwargs)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def registry(gate: Gate) -> FunctionRegistry:
    def wait() -> str:
        gate.entered.set()
        for _ in range(1000):  # in steps, between which Python can raise an interrupt
            if gate.open.wait(0.01):
                return "waited"
        raise TimeoutError

    found = FunctionRegistry()
    for name, function in {**FUNCTIONS, "demo.wait": wait}.items():
        found.add(name, function)
    return found


@pytest.fixture(params=["local", "socket"])
def open_lab(
    request: pytest.FixtureRequest, registry: FunctionRegistry, tmp_path: Path
) -> Iterator[Callable[[str], RPCSession]]:
    """Give a function that opens a session of the kind under test."""
    if request.param == "local":
        folder = WorkFolder(tmp_path)
        yield lambda name: CountingSession(
            registry, name=name, work_folder=folder, allowed_modules=["numpy.linalg"]
        )
        return
    with Server(
        registry=registry,
        name="lab",
        allowed_modules=["numpy.linalg"],
        in_process=True,
        connection_file=tmp_path / "connection.json",
    ) as server:
        yield lambda name: open_session(server.url, token=server.token)


@pytest.fixture
def make_remote(open_lab: Callable[[str], RPCSession]) -> Iterator[Callable[..., Remote]]:
    """Give a function that opens another session, closed when the test ends."""
    opened: list[Remote] = []

    def make(name: str = "lab") -> Remote:
        opened.append(Remote(open_lab(name), name=name))
        return opened[-1]

    yield make
    for remote in opened:
        left = [] if remote.closed or remote.session.state != "live" else still_held(remote)
        remote.close()
        assert left == []


def still_held(remote: Remote) -> list[HandleRow]:
    """Return the arrays this side has not given back; functions that were looked up it keeps."""
    remote.arrays.settle()  # until its reply, an operation keeps what it was given
    if any(row.kind == "array" for row in remote.handles):
        gc.collect()  # only then: in a process that has run thousands of tests it takes a second
    return [row for row in remote.handles if row.kind == "array"]


@pytest.fixture
def remote(make_remote: Callable[..., Remote]) -> Remote:
    return make_remote()


@pytest.fixture
def crossings(remote: Remote) -> Callable[[], int]:
    """Give a function that tells how often something has crossed so far."""
    session = remote.session
    if isinstance(session, CountingSession):
        return lambda: session.crossings
    return lambda: session.statistics()["frames_sent"]


@pytest.fixture
def held(remote: Remote) -> Callable[[], int]:
    """Give a function that asks how many handles are held over there."""
    ask = remote.builtin("rpcnb.statistics")
    return lambda: ask()["handles"]
