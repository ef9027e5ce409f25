"""The extension in a real kernel, driven as a front end drives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

from rpcnb.remote import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Gate, Shell

WAIT = 20.0


def test_a_terminal_keeps_its_own_bar(shell: Shell) -> None:
    assert progress.make_view is progress.TerminalBar


def test_unloading_takes_the_magics_back(shell: Shell) -> None:
    shell.run("%unload_ext rpcnb")
    assert shell.shell.find_line_magic("connect_remote") is None
    shell.run("%load_ext rpcnb")
    assert shell.shell.find_line_magic("connect_remote") is not None


class Kernel:
    """A kernel, and what each cell showed: messages are kept by the cell they say they belong to."""

    def __init__(self) -> None:
        self._manager, self._client = start_new_kernel(kernel_name="python3")
        self._messages: dict[str, list[dict[str, Any]]] = {}

    def run(self, source: str) -> str:
        """Run a cell to its end; return its name."""
        return self._run(source, "ok")

    def fail(self, source: str) -> str:
        """Run a cell that fails; return its name."""
        return self._run(source, "error")

    def _run(self, source: str, status: str) -> str:
        cell = self._client.execute(source)
        while not self._ended(cell):
            message = self._client.get_iopub_msg(timeout=WAIT)
            self._messages.setdefault(message["parent_header"]["msg_id"], []).append(message)
        assert self._client.get_shell_msg(timeout=WAIT)["content"]["status"] == status
        return cell

    def _ended(self, cell: str) -> bool:
        states = [m["content"].get("execution_state") for m in self._messages.get(cell, ())]
        return "idle" in states

    def printed(self, cell: str) -> str:
        messages = self._messages[cell]
        return "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")

    def displayed(self, cell: str) -> list[str]:
        """Return displays and their updates, as plain text."""
        kinds = ("display_data", "update_display_data")
        messages = [m for m in self._messages[cell] if m["msg_type"] in kinds]
        return [m["content"]["data"]["text/plain"] for m in messages]

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()


@pytest.fixture
def kernel(folders: None, address: str) -> Iterator[Kernel]:
    """Give a kernel that is connected."""
    kernel = Kernel()
    kernel.run(f"%load_ext rpcnb\n%connect_remote {address}")
    yield kernel
    kernel.run("%disconnect_remote --all")
    kernel.close()


@pytest.mark.slow
def test_prints_land_under_the_cell_that_made_the_call(
    kernel: Kernel, gate: Gate, address: str
) -> None:
    first = kernel.run("call = remote.fn.wait.submit(echo=True)")
    gate.open.set()
    second = kernel.run("print('here')\ncall.result(timeout=20)")
    assert kernel.printed(first) == "waited\n"
    assert kernel.printed(second) == "here\n"


@pytest.mark.slow
def test_a_blocking_call_shows_its_progress_and_prints(kernel: Kernel, gate: Gate) -> None:
    gate.open.set()
    kernel.run("import rpcnb.notebook.progress as bars\nbars.QUIET_FOR = 0")
    cell = kernel.run("x = remote.fn.wait()")
    assert kernel.printed(cell) == "waited\n"
    shown = kernel.displayed(cell)
    assert shown[0].startswith("wait [")
    assert "waiting 1/1 (100%)" in shown[-1]
    assert "[" not in shown[-1]


@pytest.mark.slow
def test_arguments_nobody_understands_end_the_cell(kernel: Kernel) -> None:
    kernel.fail("%connect_remote one two three")
    assert kernel.printed(kernel.run("print('goes on')")) == "goes on\n"
