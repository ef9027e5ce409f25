"""One call of a local session: queued, running, stopped, ended."""

from __future__ import annotations

import threading
from threading import get_ident
from typing import TYPE_CHECKING, Any

from rpcnb.core.events import EVENTS, CallPhase
from rpcnb.session.base import CallCallback, CallStatus
from rpcnb.session.calls import CURRENT_CALL, CallContext
from rpcnb.session.interrupts import Gate, SignalGate, SignalInterrupter, ThreadGate
from rpcnb.session.observer import NO_OBSERVER, CallObserver, CallOptions, RunningCall
from rpcnb.session.output import CAPTURE
from rpcnb.session.timers import TIMERS, Timer
from rpcnb.session.tqdm_hook import install as install_tqdm_hook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rpcnb.core.values import CallbackRef, Value

LOOK_EVERY = 0.2
"""Seconds after which a wait notices a Ctrl-C that came just before it began."""


def current_gate() -> Gate | None:
    """Return the gate of the call whose code runs on this thread, if there is one."""
    outer = CURRENT_CALL.get()
    gate = outer.gate if outer is not None else None
    return gate if gate is not None and gate.thread == get_ident() else None


class Call(CallContext, RunningCall):
    """A call of a `LocalSession`, from the moment it was asked for.

    Its end is decided where it runs; `stop` only asks, unless it takes the call out of the queue.
    """

    __slots__ = ("_timers", "_watched", "args", "function", "kwargs", "stop_status", "stopper")
    function: Callable[..., Any]
    args: Sequence[Value]
    kwargs: Mapping[str, Value]

    def __init__(
        self, call_id: int, name: str, observer: CallObserver = NO_OBSERVER, session: int = -1
    ) -> None:
        CallContext.__init__(self, call_id, name, observer, session)  # `super` takes 0.1 µs more
        self.stop_status: CallStatus | None = None
        """How the call is to end that was asked to stop."""
        self.stopper: Callable[[], object] | None = None
        """Takes it out of the queue, or cancels its coroutine."""
        self._timers: tuple[Timer, ...] = ()
        self._watched = False

    def renew(self, call_id: int, name: str, observer: CallObserver) -> bool:
        """Become another call of the same session, on the same thread, as if it was made just now.

        For who has the only reference. False, and nothing is done, where more has happened to it than
        that it ran and ended: no field but these says so first.
        """
        if (
            self._announced
            or self._next_report  # progress: also that of a thread that has outlived the call
            or self._timers
            or self.stop_status is not None
            or self.text is not None
        ):
            return False
        self.id, self.name, self.observer = call_id, name, observer
        self.ended = False
        return True

    def cancel(self) -> None:
        self.stop(CallStatus.CANCELLED)

    def stop(self, status: CallStatus) -> None:
        """Ask that the call end with `status`.  The first asker counts; from any thread."""
        with self._lock:
            if self.ended or self.stop_status is not None:
                return
            self.stop_status = status
        # In this order: a call looks at its stop_status after it has got its gate and stopper.
        stopper, gate = self.stopper, self.gate
        if stopper is not None:
            stopper()
        if gate is not None:
            gate.interrupt()

    def limit_time(self, options: CallOptions) -> None:
        """Start the clock, if there is one."""
        if options.timeout is not None:
            timer = TIMERS.call_later(options.timeout, lambda: self.stop(CallStatus.DEADLINE))
            self._timers = (*self._timers, timer)

    def enter(self, interrupter: SignalInterrupter | None, outer: Gate | None) -> Gate:
        """Prepare to run on this thread; return the gate to run behind."""
        observer = self.observer
        if observer is not NO_OBSERVER:
            if not CAPTURE.lasting:
                self._watch()
            if observer.started_after is not None:
                timer = TIMERS.call_later(observer.started_after, self.announce)
                self._timers = (*self._timers, timer)
        elif EVENTS.subscriptions:
            self.announce()
        gate = self.gate
        if gate is not None and outer is None:
            return gate  # that of the call that this one was before: see `renew`
        if interrupter is not None and interrupter.thread == get_ident():
            gate = SignalGate(interrupter, outer)
        else:
            gate = ThreadGate(outer)
        self.gate = gate
        return gate

    def enter_loop(self) -> None:
        """Prepare to run as a coroutine, which its own loop cancels."""
        if self.observer is not NO_OBSERVER and not CAPTURE.lasting:
            self._watch()
        self.announce()

    def _watch(self) -> None:
        """Have what it writes, and its tqdm bars, come here."""
        install_tqdm_hook()
        CAPTURE.install()
        self._watched = True

    def leave(self) -> None:
        """Tell the observer the rest; nothing after this."""
        if self._timers:
            for timer in self._timers:
                timer.cancel()
        if self._watched:
            self._watched = False
            CAPTURE.uninstall()
        if self.text is not None or self._held is not None:
            self.finish()
        elif not self.ended:  # as `finish`, without a call
            self.ended = True
            if self._announced:
                self.finish()

    def call_back(
        self, callback: CallbackRef, args: Sequence[Value], kwargs: Mapping[str, Value]
    ) -> Value:
        """Call what the caller lent.  Interrupts of this call wait until it has answered."""
        with self.shielded():
            self.announce()
            return self.observer.call_back(callback, args, kwargs)

    def report_end(self, status: CallStatus, value: Value) -> None:
        """Tell this process's views."""
        if status is CallStatus.RETURN:
            self.emit(CallPhase.FINISHED)
        elif status is CallStatus.EXCEPTION:
            self.emit(CallPhase.FAILED, f"{value.type_name}: {value.message}")
        else:
            self.emit(CallPhase.CANCELLED, status.value)


class Waiter:
    """Waits in one thread for what a callback is told in another."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._outcome: tuple[CallStatus, Value] = (CallStatus.CANCELLED, None)

    def callback(self, status: CallStatus, value: Value) -> None:
        """Be the `CallCallback`."""
        self._outcome = (status, value)
        self._done.set()

    def wait(self, call: RunningCall) -> tuple[CallStatus, Value]:
        """Return how the call ended; Ctrl-C cancels it, and is raised once it has ended."""
        try:
            while not self._done.wait(LOOK_EVERY):
                pass
        except KeyboardInterrupt:
            call.cancel()
            self._done.wait()
            raise
        return self._outcome


def tell(callback: CallCallback, status: CallStatus, value: Value) -> None:
    """Call back; one that breaks its promise not to raise must not end the thread that runs."""
    try:
        callback(status, value)
    except Exception:  # noqa: BLE001 -- whoever it is, the caller is gone
        return
