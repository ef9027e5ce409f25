"""A real IPython shell, and a real server in a thread of this process."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

import rpcnb
from rpcnb.session.functions import FunctionRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Shell:
    """Runs cells as a notebook does; what a cell shows is returned."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def __getitem__(self, name: str) -> object:
        return self.shell.user_ns[name]

    def run(self, cell: str) -> object:
        """Run a cell that must not fail; return what it wrote and displayed."""
        with capture_output() as captured:
            result = self.shell.run_cell(cell, store_history=True)
        result.raise_error()
        return captured

    def fail(self, cell: str) -> str:
        """Run a cell that must fail; return what the reader sees."""
        with capture_output() as captured:
            result = self.shell.run_cell(cell, store_history=True)
        assert not result.success
        return captured.stdout + captured.stderr


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep everything out of the user's folders."""
    for name in ("RPCNB_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))


@pytest.fixture
def shell(folders: None) -> Iterator[Shell]:
    """Give a shell with the extension loaded."""
    hooks = sys.excepthook, sys.displayhook
    config = Config(HistoryManager={"enabled": False}, InteractiveShell={"colors": "nocolor"})
    made = InteractiveShell.instance(config=config)
    try:
        made.run_line_magic("load_ext", "rpcnb")
        yield Shell(made)
        made.run_line_magic("unload_ext", "rpcnb")
    finally:
        rpcnb.manager.close_all()
        made.reset()
        InteractiveShell.clear_instance()
        sys.excepthook, sys.displayhook = hooks


class Gate:
    """Lets a test decide when a remote function goes on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def server(folders: None, gate: Gate) -> Iterator[rpcnb.Server]:
    """Serve a few functions under the name lab."""
    registry = FunctionRegistry()

    def add(a: int, b: int = 1) -> int:
        """Add two numbers."""
        return a + b

    def fail() -> None:
        raise ValueError("no good")

    def wait() -> str:
        for _ in rpcnb.track(range(1), description="waiting"):
            gate.entered.set()
            gate.open.wait(20)
        print("waited")
        return "through"

    def spin() -> None:
        gate.entered.set()
        while not gate.open.wait(0.01):  # in steps, between which it can be interrupted
            pass

    def make(rows: int) -> np.ndarray:
        return np.zeros((rows, 3), np.float32)

    def evil() -> object:
        return type("<script>", (), {"__repr__": lambda _: "<img src=x>\u202e\x1b[31m"})()

    for name, function in (("lab.add", add), ("fail", fail), ("wait", wait), ("make", make)):
        registry.add(name, function)
    registry.add("spin", spin)
    registry.add("evil", evil)
    with rpcnb.Server(name="lab", registry=registry, in_process=True) as server:
        yield server


@pytest.fixture
def address(server: rpcnb.Server) -> str:
    return server.url.removeprefix("tcp://")


@pytest.fixture
def remote(address: str) -> Iterator[rpcnb.Remote]:
    with rpcnb.connect(address) as remote:
        yield remote
