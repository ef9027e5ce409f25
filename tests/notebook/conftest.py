"""A real IPython shell, and a real server in a thread of this process."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from jupyter_client.manager import KernelManager
from traitlets.config import Config

import rpcnb
from rpcnb.session.functions import FunctionRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_client import BlockingKernelClient

WAIT = 20.0
"""Seconds after which a kernel that says nothing has failed."""


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


def start_by_socket(name: str, folder: str) -> tuple[KernelManager, BlockingKernelClient]:
    """Start a kernel that talks by sockets of `folder`: ports that were free may be taken since."""
    Path(folder).mkdir(exist_ok=True)
    manager = KernelManager(kernel_name=name, transport="ipc", ip=f"{folder}/k")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=WAIT)
    return manager, client


@pytest.fixture(scope="session")
def by_socket() -> Callable[[str, str], object]:
    """Give `start_by_socket`."""
    return start_by_socket


class Kernel:
    """A kernel, and what each cell showed: messages are kept by the cell they say they belong to."""

    def __init__(self, name: str = "python3") -> None:
        self._folder = TemporaryDirectory(prefix="rpcnb-kernel-")  # a socket's path must be short
        self._manager, self._client = start_by_socket(name, self._folder.name)
        self._messages: dict[str, list[dict[str, Any]]] = {}

    def run(self, source: str) -> str:
        """Run a cell to its end; return its name."""
        return self.finish(self.start(source), "ok")

    def fail(self, source: str) -> str:
        """Run a cell that fails; return its name."""
        return self.finish(self.start(source), "error")

    def start(self, source: str) -> str:
        """Start a cell; return its name."""
        name: str = self._client.execute(source)
        return name

    def finish(self, cell: str, status: str) -> str:
        """Wait for the end of a cell."""
        while not self._ended(cell):
            self._hear()
        while (reply := self._client.get_shell_msg(timeout=WAIT))["parent_header"][
            "msg_id"
        ] != cell:
            pass  # about the kernel, asked when it started
        assert reply["content"]["status"] == status
        return cell

    def interrupt(self) -> None:
        """Press the stop button."""
        self._manager.interrupt_kernel()

    def wait_for(self, cell: str, text: str) -> None:
        """Wait until a running cell has printed something."""
        while text not in self.printed(cell):
            self._hear()

    def _hear(self) -> None:
        message = self._client.get_iopub_msg(timeout=WAIT)
        self._messages.setdefault(message["parent_header"].get("msg_id"), []).append(message)

    def _ended(self, cell: str) -> bool:
        states = [m["content"].get("execution_state") for m in self._messages.get(cell, ())]
        return "idle" in states

    def printed(self, cell: str) -> str:
        messages = self._messages.get(cell, ())
        return "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")

    def displayed(self, cell: str) -> list[str]:
        """Return displays and their updates, as plain text."""
        kinds = ("display_data", "update_display_data", "execute_result")
        messages = [m for m in self._messages[cell] if m["msg_type"] in kinds]
        return [m["content"]["data"]["text/plain"] for m in messages]

    def raised(self, cell: str) -> str:
        """Return the traceback that a cell shows, without colours."""
        (error,) = [m["content"] for m in self._messages[cell] if m["msg_type"] == "error"]
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
        self._folder.cleanup()


@pytest.fixture
def start_kernel(folders: None) -> Iterator[Callable[..., Kernel]]:
    """Give a function that starts a kernel by the name of its kernelspec."""
    started: list[Kernel] = []

    def start(name: str = "python3") -> Kernel:
        started.append(Kernel(name))
        return started[-1]

    yield start
    for kernel in started:
        kernel.close()


@pytest.fixture
def kernel(start_kernel: Callable[..., Kernel], address: str) -> Iterator[Kernel]:
    """Give a kernel that is connected."""
    kernel = start_kernel()
    kernel.run(f"%load_ext rpcnb\n%connect_remote {address}")
    yield kernel
    kernel.run("%disconnect_remote --all")


class Gate:
    """Lets a test decide when a remote function goes on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()


@pytest.fixture
def gate() -> Gate:
    return Gate()


def count_up(stop: int) -> Iterator[int]:
    """Count."""
    yield from range(stop)


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
    registry.add("count_up", count_up)
    with rpcnb.Server(name="lab", registry=registry, in_process=True) as server:
        yield server


@pytest.fixture
def address(server: rpcnb.Server) -> str:
    return server.url.removeprefix("tcp://")


@pytest.fixture
def remote(address: str) -> Iterator[rpcnb.Remote]:
    with rpcnb.connect(address) as remote:
        yield remote
