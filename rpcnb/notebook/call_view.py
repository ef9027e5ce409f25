"""`call.live()`: how one call goes, beside a display that lasts."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from rpcnb.core.events import CallPhase
from rpcnb.core.visible import visible
from rpcnb.notebook.displays import KEPT_TEXT, code, future_html, future_state, headline, quiet
from rpcnb.notebook.live import holders
from rpcnb.notebook.live.calls import CallRow
from rpcnb.notebook.live.widget import LiveWidget
from rpcnb.notebook.live.worker import Worker

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

    from rpcnb.remote.future import RemoteFuture

EVERY = 0.1
"""Seconds between two looks at a call."""


def open_call(future: RemoteFuture) -> None:
    """Show a call in the output of this cell: how it is, which lasts, and live how it goes.

    The first is brought up to date when the call has ended; in a terminal it is all there is.
    """
    if not hasattr(get_ipython(), "kernel"):
        display(static_bundle(future), raw=True)
        return
    bundle = static_bundle(future)
    if not future.done():  # a bar that stands still beside one that moves would mislead
        bundle["text/html"] = headline(code(future.name), "started", future.remote.name)
    shown = display(bundle, raw=True, display_id=True)
    display(LiveCall(future, shown).widget)


def static_bundle(future: RemoteFuture) -> dict[str, str]:
    """Return what reads without a kernel."""
    return {"text/html": future_html(future), "text/plain": visible(repr(future))}


class LiveCall:
    """The live view of one call, which it looks at on a thread of its own until it has ended.

    Parameters
    ----------
    future : RemoteFuture
        The call.
    shown : DisplayHandle
        Brought up to date when the call has ended.
    """

    def __init__(self, future: RemoteFuture, shown: DisplayHandle) -> None:
        self._future = future
        self._shown = shown
        self._row = CallRow(1, future.name, monotonic() - future.seconds)
        self._views: set[str] = set()
        self._wake = threading.Event()
        self._clicks = Worker("rpcnb-live-clicks")
        self._told: dict[str, Any] = {}
        text = f"live view of {future.name}: open this notebook with its kernel to see it"
        self.widget = LiveWidget("call", self.receive, quiet(text), text)
        future.add_done_callback(lambda _: self._wake.set())
        Worker("rpcnb-live-call").put(self._watch)

    # --- from the browser -----------------------------------------------------------------------

    def receive(self, message: dict[str, Any], _aside: bool) -> None:  # noqa: FBT001 -- a callback
        """Take a message: somebody looks, or no longer does, or wants the call to be stopped."""
        view = str(message.get("view"))
        match message.get("type"):
            case "show":
                self._views.add(view)
                self._told = {}
            case "hide":
                self._views.discard(view)
            case "cancel":
                self._clicks.put(self._cancel)
            case _:
                return
        self._wake.set()
        if self._future.done():  # nobody watches any more
            self._clicks.put(self._tell)

    def _cancel(self) -> None:
        self._row.asked = True
        self._future.cancel(timeout=0)
        name = holders.variable_of(self._future) or "call"
        self.widget.send({"type": "code", "code": f"{name}.cancel()"})

    # --- to the browser -------------------------------------------------------------------------

    def _watch(self) -> None:
        """Tell what changes until the end, and then leave it where it lasts."""
        while not self._future.done():
            self._wake.wait(EVERY)
            self._wake.clear()
            self._tell()
        self._tell()
        self._shown.update(static_bundle(self._future), raw=True)

    def _tell(self) -> None:
        """Tell those who look what is new since the last time."""
        self._look()
        now = {"calls": [self._row.as_plain()], "output": self._output()}
        if self._views and now != self._told:
            self._told = now
            self.widget.send({"type": "snapshot", "now": monotonic(), "buttons": True, **now})

    def _look(self) -> None:
        """Bring the row up to date."""
        future, row = self._future, self._row
        progress = future.progress
        if progress is not None:
            row.done, row.total, row.description = (
                progress.done,
                progress.total,
                progress.description,
            )
        if future.done():
            row.ended = row.sent + future.seconds
            row.phase, row.detail = phase_of(future), future_state(future)
        elif future.running() and row.started is None:
            row.phase, row.started = CallPhase.STARTED, monotonic()

    def _output(self) -> str:
        """Return the end of what it printed."""
        future = self._future
        return visible((future.stdout + future.stderr)[-KEPT_TEXT:])


def phase_of(future: RemoteFuture) -> CallPhase:
    """Return how a call ended."""
    if future.cancelled():
        return CallPhase.CANCELLED
    return CallPhase.FINISHED if future.exception() is None else CallPhase.FAILED
