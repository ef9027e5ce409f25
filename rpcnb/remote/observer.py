"""What listens during a call: prints, progress, and calls of lent functions."""

from __future__ import annotations

import sys
from contextvars import copy_context
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

from rpcnb.core.errors import InvalidHandle
from rpcnb.remote.output import KeptText, read_warning
from rpcnb.remote.progress import Progress
from rpcnb.remote.wrap import Lent, lift, lower
from rpcnb.session.observer import CallObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rpcnb.core.values import CallbackRef, Value
    from rpcnb.remote.client import Remote
    from rpcnb.remote.progress import ProgressView

T = TypeVar("T")


class Lender(CallObserver):
    """Runs the local functions that were lent for one call."""

    def __init__(self, remote: Remote, lent: Lent) -> None:
        self.remote = remote
        self.lent = lent
        self._context = copy_context()

    def show(self, function: Callable[..., T], *args: object) -> T:
        """Call what shows something in the context of whoever made the call.

        Kernels know by it which cell prints; and in an in-process session, where this runs in the
        context of the call itself, showing would otherwise count as output of that call again.
        """
        return self._context.copy().run(
            function, *args
        )  # copied: a context is entered once at a time

    def call_back(
        self, callback: CallbackRef, args: Sequence[Value], kwargs: Mapping[str, Value]
    ) -> Value:
        """Run a lent function; see `CallObserver.call_back`."""
        function = self.lent.get(callback.handle)
        if function is None:
            raise InvalidHandle(
                f"{callback.info.name!r} was not lent for this call", handle=callback.handle
            )
        positional = [lift(value, self.remote, self.lent) for value in args]
        named = {name: lift(value, self.remote, self.lent) for name, value in kwargs.items()}
        return lower(function(*positional, **named), self.remote, self.lent)


class BlockingObserver(Lender):
    """Shows what a blocking call prints and how far it is, as it happens."""

    def __init__(self, remote: Remote, name: str, lent: Lent) -> None:
        self.remote = remote
        self.name = name
        self.lent = lent
        self.warnings: Sequence[str] = ()
        self.view: ProgressView | None = None
        self._context = copy_context()

    def progress(self, done: float, total: float | None, description: str) -> None:
        """Show how far it is."""
        if self.view is None:
            self.view = self.show(self.remote.on_progress, self.name)
        self.show(self.view.update, Progress(done, total, description))

    def output(self, stream: str, text: str) -> None:
        """Show what it wrote; warnings are given once it has ended."""
        if stream == "warning":
            self.warnings = [*self.warnings, text]
        else:
            self.show(self.remote.on_output, stream, text)

    def close(self) -> None:
        """Take the progress display away."""
        if self.view is not None:
            self.show(self.view.close)


class Startable(Protocol):
    """Somebody who wants to know when a call starts: a future."""

    def note_start(self) -> None:
        """Take note that it runs."""


class CollectingObserver(Lender):
    """Keeps what happens during a call that nobody waits for.

    Parameters
    ----------
    remote, lent
        See `Lender`.
    future : Startable
        Told when the call starts; taken away once it has ended.
    echo : bool
        Print what the call prints, besides keeping it.
    """

    # Class attributes: thousands of calls may be out, most of which never say anything.
    latest: Progress | None = None
    warnings: tuple[Warning, ...] = ()
    _texts: dict[str, KeptText] | None = None

    def __init__(self, remote: Remote, lent: Lent, future: Startable, *, echo: bool) -> None:
        self.remote = remote
        self.lent = lent
        self._context = copy_context()
        self.future: Startable | None = future
        self._echo = echo

    @cached_property
    def progress_callbacks(self) -> list[Callable[[Progress], object]]:
        """Who is told of progress; to be appended to."""
        return []

    def text(self, stream: str) -> str:
        """Return what it wrote to ``stdout`` or ``stderr`` and is kept."""
        return "" if self._texts is None else str(self._texts[stream])

    def started(self) -> None:
        """Tell the future."""
        future = self.future
        if future is not None:
            future.note_start()

    def progress(self, done: float, total: float | None, description: str) -> None:
        """Keep how far it is, and tell whoever asked to know."""
        self.latest = Progress(done, total, description)
        for function in tuple(self.progress_callbacks):
            try:
                self.show(function, self.latest)
            except Exception:  # noqa: BLE001 -- an observer must not raise
                self.show(sys.excepthook, *sys.exc_info())

    def output(self, stream: str, text: str) -> None:
        """Keep what it wrote."""
        if stream == "warning":
            self.warnings = (*self.warnings, read_warning(text))
            return
        if self._texts is None:
            self._texts = {"stdout": KeptText(), "stderr": KeptText()}
        self._texts[stream].append(text)
        if self._echo:
            self.show(self.remote.on_output, stream, text)
