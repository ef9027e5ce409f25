"""The calls that are being served to one peer: each tells it what happens, and can be stopped."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rpcnb.session.base import CallStatus, raise_or_return
from rpcnb.session.observer import ENDED_CALL, CallObserver, RunningCall
from rpcnb.session.timers import TIMERS
from rpcnb.wire.messages import CallFunc, Output, Progress, Started

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rpcnb.core.values import CallbackRef, Value
    from rpcnb.endpoint.pending import Pending
    from rpcnb.endpoint.serving.serving import Serving

NOTICED_AFTER = 0.02
"""Seconds until the calls of the main thread are announced that began while another thread read."""
REMEMBERED_STOPS = 8
"""Of calls that are not there: more than can be on their way from a queue at one time."""


class ServedCall(CallObserver):
    """One call that is being served: it tells the caller what happens, and how it ended."""

    def __init__(self, dispatcher: Serving, request: int) -> None:
        self._dispatcher = dispatcher
        self._request = request
        self.running: RunningCall = ENDED_CALL
        self.waiting: Pending | None = None
        """The callback it waits for."""
        self._announced = False
        self._cancelled = False

    def renew(self, request: int) -> bool:
        """Become another call of the same peer's, as `Call.renew` does in the session."""
        if self._announced or self._cancelled:
            return False
        self._request = request
        return True

    def begun(self, call: RunningCall) -> None:
        """Know what to cancel; it may have been asked for already."""
        self.running = call
        if self._cancelled:  # looked at after storing, as `cancel` stores before it looks
            call.cancel()

    def started(self) -> None:
        """Tell the caller that the call runs, once."""
        if not self._announced:
            self._announced = True
            self._dispatcher.connection.post(Started(self._request))

    def progress(self, done: float, total: float | None, description: str) -> None:
        """Pass it on."""
        message = Progress(self._request, done, total, description)
        self._dispatcher.connection.post(message)

    def output(self, stream: str, text: str) -> None:
        """Pass it on."""
        self._dispatcher.connection.post(Output(self._request, stream, text))

    def call_back(
        self, callback: CallbackRef, args: Sequence[Value], kwargs: Mapping[str, Value]
    ) -> Value:
        """Ask the caller, and serve meanwhile what the callback asks of us."""
        connection = self._dispatcher.connection
        pending = self.waiting = connection.open_request()
        message = CallFunc(
            pending.id, callback.handle, tuple(args), dict(kwargs), parent=self._request
        )
        try:
            connection.send_request(pending, message)
            connection.wait(pending)
        finally:
            self.waiting = None
        return raise_or_return(pending.status, pending.value)

    def cancel(self) -> None:
        """Stop it: when it waits for a callback, and before it has begun, too."""
        self._cancelled = True
        self.running.cancel()
        pending = self.waiting
        if pending is not None:
            self._dispatcher.connection.pending.pop(pending.id, None)
            pending.resolve(CallStatus.CANCELLED, None)

    def finish(self, status: CallStatus, value: Value) -> None:
        """Tell the caller how it ended."""
        # Each knows the other: left so, they would wait for the collector.
        self.running = ENDED_CALL
        self._dispatcher.end_call(self._request, status, value)


class NoticedCall(ServedCall):
    """A call on the main thread: the connection's background thread notices when that is busy.

    See `ServedCalls.announce`; a timer for each call would cost more than a small call.
    """

    started_after = None


class ServedCalls(dict[int, ServedCall]):
    """The calls of one peer by their requests, from when they are taken from a queue to their end.

    Thread-safe: each step is one atomic operation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.missed: deque[int] = deque(maxlen=REMEMBERED_STOPS)
        """Requests that were to be stopped and were not here: over, or between a queue and here."""
        self._watched = False

    def stop(self, request: int) -> bool:
        """Stop a call; False if it is not here, and then it will be stopped when it comes."""
        served = self.get(request)
        if served is None:
            self.missed.append(request)
            served = self.get(request)  # looked at after storing, as `came` is called after storing
        if served is None:
            return False
        served.cancel()
        return True

    def came(self, request: int) -> None:
        """Stop a call that is here now, if that was asked for before."""
        if request in self.missed:
            self.missed.remove(request)
            self[request].cancel()

    def watch(self) -> None:
        """Announce in a while what is here then: who reads took over before, and does so no more."""
        if not self._watched:
            self._watched = True
            TIMERS.call_later(NOTICED_AFTER, self._look)

    def _look(self) -> None:
        self._watched = False
        self.announce()

    def announce(self) -> None:
        """Tell the caller that calls on the main thread run: those that take long are here."""
        for served in list(self.values()):
            if type(served) is NoticedCall:
                served.started()
