"""The stop button while a cell awaits: the loop wakes up, and the cell says what was stopped.

A blocking call needs nothing of this (`rpcnb.endpoint.client.interrupt`). For a cell that awaits, ipykernel
has a handler of its own for SIGINT, which asks the event loop to cancel the cell. It asks with
``call_soon``, which does not wake a loop that sleeps in ``select``: nothing happens until something
else does (ipykernel issue 881). As soon as any signal handler is added to the loop, asyncio has every
signal wake it; `wake_on_signals` adds one for a signal that is ignored anyway.

Seen with ipykernel 6.31.0, 7.1.0, 7.3.0 and 7.4.0 (IPython 9.18, Linux), pressing stop one second
into a call of eight: a blocking call, `await call`, `await asyncio.gather(call, call)`, a blocking
call after an `await`, a callback that sleeps, and ``await asyncio.sleep`` all ended within 0.3 s, the
remote ones confirmed; what they would have written at their end was never written, and the next call
answered at once.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rpcnb.core.cancelled import RemoteCancelled

if TYPE_CHECKING:
    from types import TracebackType

    from IPython.core.interactiveshell import InteractiveShell

SPARE = ("SIGURG", "SIGUSR2", "SIGUSR1")
"""Signals to add a handler for; the first that nobody here has one for is taken."""


class AwaitInterrupts:
    """Lets the stop button stop a cell that awaits, for one shell.

    Parameters
    ----------
    shell : InteractiveShell
        Of a kernel; in a terminal, Ctrl-C needs no help.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signal: int | None = None

    def install(self) -> None:
        """Begin; the loop is found when the first cell runs, if it does not run yet."""
        self._shell.events.register("pre_run_cell", self._before_cell)
        if not self._shell.custom_exceptions:
            self._shell.set_custom_exc((asyncio.CancelledError,), show_cancelled)
        self._before_cell()

    def uninstall(self) -> None:
        """End."""
        self._shell.events.unregister("pre_run_cell", self._before_cell)
        if self._shell.custom_exceptions == (asyncio.CancelledError,):
            self._shell.set_custom_exc((), None)
        if self._loop is not None and self._signal is not None and not self._loop.is_closed():
            self._loop.remove_signal_handler(self._signal)
        self._loop = self._signal = None

    def _before_cell(self, *_: object) -> None:
        with suppress(RuntimeError):  # no loop runs on this thread, or it is not the main one
            loop = asyncio.get_running_loop()
            if loop is not self._loop:
                self._signal = wake_on_signals(loop)
                self._loop = loop


def wake_on_signals(loop: asyncio.AbstractEventLoop) -> int | None:
    """Let any signal wake the event loop; return the one a handler was added for, if any.

    Raises
    ------
    RuntimeError
        Not on the main thread.
    """
    for name in SPARE:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            with suppress(NotImplementedError):  # Windows, whose loops wake by themselves
                loop.add_signal_handler(number, lambda: None)
                return int(number)
    return None


def show_cancelled(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    """Show a cell that was cancelled while it awaited a remote call as that call's end.

    IPython's form of a custom exception handler.
    """
    cause = error.__cause__
    if isinstance(cause, RemoteCancelled):
        kind, error = type(cause), cause.with_traceback(trace)
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
