"""Telling this process's views what happens to the calls and copies of a socket session.

Only made while somebody listens (`EVENTS.subscriptions`): a call that nobody watches pays one test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.events import (
    EVENTS,
    CallChanged,
    CallOutput,
    CallPhase,
    CallProgress,
    CopyProgress,
)
from rpcnb.session.base import CallCallback, CallStatus
from rpcnb.session.observer import CallObserver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rpcnb.core.values import CallbackRef, Value
    from rpcnb.session.observer import RunningCall

_PHASES = {
    CallStatus.RETURN: CallPhase.FINISHED,
    CallStatus.EXCEPTION: CallPhase.FAILED,
    CallStatus.CANCELLED: CallPhase.CANCELLED,
    CallStatus.DEADLINE: CallPhase.CANCELLED,
    CallStatus.LOST: CallPhase.LOST,
}


class WatchedCall(CallObserver):
    """Stands between a call and its observer, and tells the views what it passes on.

    Parameters
    ----------
    session : int
        Index in the session table.
    name : str
        Of the function; what the observer calls the call says more.
    observer : CallObserver
        Whose call it is.
    """

    def __init__(self, session: int, name: str, observer: CallObserver) -> None:
        self._session = session
        self._name = observer.name or name
        self._observer = observer
        self._call = 0

    def sent(self, call: int) -> None:
        """Tell that it is on its way; `call` is its request id."""
        self._call = call
        self._emit(CallPhase.SENT)

    def begun(self, call: RunningCall) -> None:
        """Pass it on."""
        self._observer.begun(call)

    def started(self) -> None:
        """Pass it on."""
        self._emit(CallPhase.STARTED)
        self._observer.started()

    def progress(self, done: float, total: float | None, description: str) -> None:
        """Pass it on."""
        EVENTS.emit(CallProgress(self._session, self._call, done, total, description))
        self._observer.progress(done, total, description)

    def output(self, stream: str, text: str) -> None:
        """Pass it on."""
        EVENTS.emit(CallOutput(self._session, self._call, stream, text))
        self._observer.output(stream, text)

    def call_back(
        self, callback: CallbackRef, args: Sequence[Value], kwargs: Mapping[str, Value]
    ) -> Value:
        """Pass it on."""
        return self._observer.call_back(callback, args, kwargs)

    def ended(self, status: CallStatus, value: Value, *, orphaned: bool = False) -> None:
        """Tell how it ended, or that nobody waits for it any more."""
        detail = ""
        if status is CallStatus.EXCEPTION:
            detail = f"{value.type_name}: {value.message}"
        elif status is not CallStatus.RETURN:
            detail = status.value
        self._emit(CallPhase.ORPHANED if orphaned else _PHASES[status], detail)

    def ending(self, callback: CallCallback) -> CallCallback:
        """Return a callback that tells the views, and then `callback`."""

        def end(status: CallStatus, value: Value) -> None:
            self.ended(status, value)
            callback(status, value)

        return end

    def _emit(self, phase: CallPhase, detail: str = "") -> None:
        EVENTS.emit(CallChanged(self._session, self._call, self._name, phase, detail))


class WatchedCopy(CallObserver):
    """Tells the views how far a copy is."""

    def __init__(self, session: int, transfer: int, direction: str) -> None:
        self._session = session
        self._transfer = transfer
        self._direction = direction

    def progress(self, done: float, total: float | None, description: str) -> None:
        """Tell them; `done` and `total` are bytes."""
        del description
        EVENTS.emit(
            CopyProgress(
                self._session, self._transfer, self._direction, int(done), int(total or done)
            )
        )
