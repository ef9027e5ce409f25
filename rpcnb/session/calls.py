"""The call that runs: what it is, how far it is, and what it tells whoever made it."""

from __future__ import annotations

from _thread import RLock  # `threading.RLock` is a Python function around it: 0.04 µs a call
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from operator import length_hint
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from rpcnb.core.events import EVENTS, CallChanged, CallOutput, CallPhase, CallProgress
from rpcnb.session.observer import NO_OBSERVER, CallObserver

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rpcnb.session.interrupts import Gate
    from rpcnb.session.output import CallText

Item = TypeVar("Item")

REPORT_EVERY = 0.05
"""Seconds between two progress reports of one call."""


class CallContext:
    """One call while it runs.

    Reports may come from any thread that the call's context was copied to; they reach the observer
    one at a time, and none after `finish`.
    """

    # Slots: what a class attribute spares in making one, CPython 3.11 spends seven times on looking
    # it up, 0.04 µs each.
    __slots__ = (
        "_announced",
        "_complete",
        "_held",
        "_lock",
        "_next_report",
        "_tracker",
        "ended",
        "gate",
        "id",
        "name",
        "observer",
        "session",
        "text",
    )

    def __init__(
        self, call_id: int, name: str, observer: CallObserver = NO_OBSERVER, session: int = -1
    ) -> None:
        self.id = call_id
        self.name = name
        self.observer = observer
        self.session = session
        """Index of its session in the session table."""
        self.gate: Gate | None = None
        """How its thread is interrupted; None before it runs, and for coroutines."""
        self.text: CallText | None = None
        """What it wrote and has not been passed on."""
        self.ended = False
        self._announced = False
        self._next_report = 0.0
        self._held: tuple[float, float | None, str] | None = None
        self._complete = False
        self._tracker: object = None
        self._lock = RLock()  # an observer may report progress itself

    @property
    def observed(self) -> bool:
        """Tell whether somebody wants this call's output and progress."""
        return self.observer is not NO_OBSERVER and not self.ended

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Hold interrupts of this call off while its thread is in our code or an observer's."""
        gate = self.gate
        if gate is None or gate.thread != get_ident() or not gate.close():
            yield
            return
        try:
            yield
        finally:
            gate.open()

    def announce(self) -> bool:
        """Say that the call runs and does not end at once.  Idempotent, from any thread.

        Returns
        -------
        bool
            Whether it does: False when it has ended, and nothing may be reported any more.
        """
        with self._lock:
            if not self._announced:
                self._announced = True  # before looking, as `finish` ends the call before it looks
                if not self.ended:
                    self.emit(CallPhase.STARTED)
                    # Here and below: an observer whose caller is gone must not fail the function.
                    with suppress(Exception):
                        self.observer.started()
            return not self.ended

    def emit(self, phase: CallPhase, detail: str = "") -> None:
        """Tell this process's views that the call went into another phase."""
        if EVENTS.subscriptions:
            EVENTS.emit(CallChanged(self.session, self.id, self.name, phase, detail))

    def output(self, stream: str, text: str) -> None:
        """Pass on text the call wrote."""
        with self._lock:
            if self.ended:
                return
            if not self.announce():
                return
            if EVENTS.subscriptions:
                EVENTS.emit(CallOutput(self.session, self.id, stream, text))
            with suppress(Exception):
                self.observer.output(stream, text)

    def progress(self, done: float, total: float | None, description: str) -> None:
        """Note how far the call is; passed on now, or with the next report, or at its end."""
        now = monotonic()
        complete = total is not None and done >= total
        if now < self._next_report and (self._complete or not complete):
            self._held = (done, total, description)
            return
        self._next_report = now + REPORT_EVERY
        self._complete = complete
        with self.shielded():
            self._report(done, total, description)

    def track_progress(
        self, tracker: object, done: float, total: float | None, description: str
    ) -> None:
        """Note the progress of one loop; only the outermost loop of a call counts."""
        if self._tracker is None:
            self._tracker = tracker
        if self._tracker is tracker:
            self.progress(done, total, description)

    def track_end(self, tracker: object) -> None:
        """Let another loop be the outermost one."""
        if self._tracker is tracker:
            self._tracker = None
            with self.shielded():
                self._report_held()

    def finish(self) -> None:
        """Pass on what was held back; afterwards nothing more is."""
        if self.text is not None:
            self.text.flush()
        if self._held is not None:
            self._report_held()
        self.ended = True
        if self._announced:
            with self._lock:  # a report under way comes to its end first
                pass

    def _report_held(self) -> None:
        held = self._held
        if held is not None:
            self._report(*held)

    def _report(self, done: float, total: float | None, description: str) -> None:
        with self._lock:
            self._held = None
            if self.ended:
                return
            if not self.announce():
                return
            if EVENTS.subscriptions:
                EVENTS.emit(CallProgress(self.session, self.id, done, total, description))
            with suppress(Exception):
                self.observer.progress(done, total, description)


CURRENT_CALL: ContextVar[CallContext | None] = ContextVar("rpcnb_current_call", default=None)
"""The call whose code runs: per thread and per asyncio task.  A thread that the code starts by
itself begins with an empty context, as `contextvars` has it, and so belongs to no call."""


def report_progress(done: float, total: float | None = None, description: str = "") -> None:
    """Tell whoever called this function how far it is.  Outside of a remote call, do nothing.

    Parameters
    ----------
    done, total : float
        In any unit; `total` is None where it is not known.
    description : str
        One or two words.

    Notes
    -----
    At most 20 reports a second are passed on, and always the last one.
    """
    call = CURRENT_CALL.get()
    if call is not None:
        call.progress(done, total, description)


def track(
    iterable: Iterable[Item], description: str = "", total: float | None = None
) -> Iterator[Item]:
    """Iterate, and tell whoever called this function how far the loop is.

    Parameters
    ----------
    iterable : iterable
    description : str
        One or two words.
    total : float, optional
        Number of items; by default what the iterable says itself.

    Notes
    -----
    The call is looked up for every item: a generator runs in a new call each time it is asked.
    Of nested loops the outermost one counts.
    """
    if total is None:
        total = length_hint(iterable, -1)
        total = None if total < 0 else total
    tracker = object()
    done = 0
    try:
        _track(tracker, 0, total, description)
        for done, item in enumerate(iterable, 1):
            yield item
            _track(tracker, done, total, description)
    finally:
        call = CURRENT_CALL.get()
        if call is not None:
            call.track_end(tracker)


def _track(tracker: object, done: float, total: float | None, description: str) -> None:
    call = CURRENT_CALL.get()
    if call is not None:
        call.track_progress(tracker, done, total, description)
