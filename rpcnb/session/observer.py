"""What goes along with a call: how it is to run, who wants to know of it, and how it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rpcnb.core.values import CallbackRef, Value


@frozen
class CallOptions:
    """How a call is to be run."""

    stream: int = 0
    """Handle of the execution stream; 0 is the session's default stream."""
    timeout: float | None = None
    """Seconds from now after which the call is stopped."""


DEFAULT_OPTIONS = CallOptions()


class CallObserver:
    """Who wants to know what happens during a call.  This one does not.

    Methods are called from the thread that runs or receives, in order, before the call's callback.
    They must not block, save `call_back`, which blocks until the caller's function has answered.
    """

    name: str = ""
    """What views call the call, where the function's own name says too little."""
    started_after: float | None = 0.02
    """Seconds after which a call that has said nothing is one that does not end at once. None: this
    observer finds out by itself, which spares each call a timer."""

    def begun(self, call: RunningCall) -> None:
        """Take note of the call, before it runs: it may end before `async_call_func` returns."""

    def started(self) -> None:
        """Take note that the call runs now.  Not called for calls that end at once."""

    def progress(self, done: float, total: float | None, description: str) -> None:
        """Take note of how far it is."""

    def output(self, stream: str, text: str) -> None:
        """Take note of text it wrote: ``stdout``, ``stderr`` or ``warning``."""

    def call_back(
        self, callback: CallbackRef, args: Sequence[Value], kwargs: Mapping[str, Value]
    ) -> Value:
        """Call a function the caller lent for this call, and return what it returns.

        Raises
        ------
        RemoteError
            The caller's function raised.
        """
        del args, kwargs  # an implementation's
        message = f"{callback.info.name!r} was lent to nobody"
        raise RuntimeError(message)


NO_OBSERVER = CallObserver()


class RunningCall:
    """A call that was started.  This one has already ended, as for a session that is not async."""

    __slots__ = ()

    def cancel(self) -> None:
        """Ask that the call be stopped; its callback says how it ended.  Idempotent."""

    def push(self) -> None:
        """Send it now if it was kept back to go with others: somebody waits for it."""

    def wait(self) -> None:
        """Wait until a call of `RPCSession.queue_call` has ended.

        Raises
        ------
        RemoteInterrupted
            Waiting was interrupted here; the call was stopped.
        """


ENDED_CALL = RunningCall()
