"""The extension in a real kernel, driven as a front end drives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rpcnb.remote import progress

if TYPE_CHECKING:
    from conftest import Gate, Kernel, Shell


def test_a_terminal_keeps_its_own_bar(shell: Shell) -> None:
    assert progress.make_view is progress.TerminalBar


def test_unloading_takes_the_magics_back(shell: Shell) -> None:
    shell.run("%unload_ext rpcnb")
    assert shell.shell.find_line_magic("connect_remote") is None
    shell.run("%load_ext rpcnb")
    assert shell.shell.find_line_magic("connect_remote") is not None


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
