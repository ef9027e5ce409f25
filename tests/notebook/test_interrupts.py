"""The stop button, in a real kernel; see `rpcnb.notebook.interrupts` for the versions it was tried on."""

from __future__ import annotations

import asyncio
import re
import signal
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.cancelled import RemoteCancelled
from rpcnb.notebook.interrupts import show_cancelled, wake_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Kernel

CONFIRMED = r"stopped after \d\.\d s \(confirmed by lab\)"
FUNCTIONS = """%%remote
import time

def wait():
    time.sleep(30)

def each(callback):
    for number in range(1000):
        callback(number)

def add(a, b):
    return a + b
"""
CELLS = {
    "blocking": ("print('in')\nwait()", f"RemoteInterrupted: wait {CONFIRMED}"),
    "awaiting": ("print('in')\nawait wait.submit()", f"RemoteCancelled: wait {CONFIRMED}"),
    "gathering": (
        "print('in')\nawait asyncio.gather(wait.submit(), wait.submit())",
        f"RemoteCancelled: wait {CONFIRMED}",
    ),
    "blocking after await": (
        "await asyncio.sleep(0)\nprint('in')\nwait()",
        f"RemoteInterrupted: wait {CONFIRMED}",
    ),
    "callback": (
        "def wait_here(number):\n    print('in')\n    time.sleep(30)\nremote.fn.each(wait_here)",
        f"RemoteInterrupted: each {CONFIRMED}",
    ),
    "remote cell": (
        "%%remote\nprint('in')\ntime.sleep(30)",
        f"RemoteInterrupted: %%remote {CONFIRMED}",
    ),
    "nothing remote": ("print('in')\nawait asyncio.sleep(30)", "CancelledError"),
}


@pytest.mark.slow
def test_the_stop_button_stops_whatever_a_cell_waits_for(
    start_kernel: Callable[..., Kernel], cell_server: Path
) -> None:
    kernel = start_kernel()
    kernel.run(f"%load_ext rpcnb\n%connect_remote {cell_server}")
    kernel.run(FUNCTIONS)
    kernel.run("import asyncio, time\nwait = remote.fn.wait")
    for what, (source, told) in CELLS.items():
        cell = kernel.start(source)
        kernel.wait_for(cell, "in")
        kernel.interrupt()
        kernel.finish(cell, "error")
        trace = kernel.raised(cell)
        assert re.search(told, trace), f"{what}: {trace}"
        assert "rpcnb/" not in trace, what
        assert kernel.displayed(kernel.run("remote.fn.add(1, 2)")) == ["3"], what


def test_a_spare_signal_is_taken_and_one_in_use_is_left() -> None:
    async def main() -> tuple[int | None, int | None]:
        loop = asyncio.get_running_loop()
        first = wake_on_signals(loop)
        second = wake_on_signals(loop)
        for number in (first, second):
            assert number is not None
            loop.remove_signal_handler(number)
        return first, second

    first, second = asyncio.run(main())
    assert first == signal.SIGURG
    assert second == signal.SIGUSR2


class ShellThatShows:
    def showtraceback(self, shown: object, tb_offset: int | None = None) -> None:
        self.shown = shown


@pytest.mark.parametrize("ours", [True, False])
def test_a_cancelled_cell_shows_what_is_known_of_the_remote_call(ours: bool) -> None:
    error = asyncio.CancelledError()
    error.__cause__ = RemoteCancelled("f stopped") if ours else None
    shell = ShellThatShows()
    show_cancelled(shell, type(error), error, None)
    kind, shown, _ = shell.shown
    assert shown is (error.__cause__ if ours else error)
    assert kind is type(shown)
