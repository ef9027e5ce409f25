"""`RemoteFuture`: a call that was started and not waited for."""

from __future__ import annotations

import concurrent.futures
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from rpcnb.core.cancelled import RemoteCancelled
from rpcnb.core.errors import WorkerDied
from rpcnb.core.values import PLAIN_TYPES
from rpcnb.remote.light_future import LightFuture
from rpcnb.remote.observer import CollectingObserver
from rpcnb.remote.wrap import Lent, lift
from rpcnb.session.base import CallStatus, raise_or_return
from rpcnb.session.observer import ENDED_CALL, RunningCall

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rpcnb.core.values import Value
    from rpcnb.remote.client import Remote
    from rpcnb.remote.progress import Progress

_RETURNED = CallStatus.RETURN
CONFIRM_SECONDS = 2.0
"""How long `RemoteFuture.cancel` waits for the other side to say that the call has stopped."""
KILL_SECONDS = 5.0
"""The same, when the process is to be killed that does not say so."""


class RemoteFuture(LightFuture):
    """A remote call's future: as `concurrent.futures.Future`, and awaitable.

    Works with `concurrent.futures.wait` and `as_completed`, and with `asyncio`. Thread-safe.

    Three things differ from an executor's future, because a remote call *can* be stopped:

    - `cancel` of a running call asks the other side to stop it, and returns True once that was
      confirmed.
    - A cancelled call raises `RemoteCancelled`, a `concurrent.futures.CancelledError`.
    - Cancelling a task that awaits the call cancels the call, and waits until the other side has
      confirmed it, `CONFIRM_SECONDS` at most; the `CancelledError` has a `RemoteCancelled` as its
      cause, which says what is known.

    Giving up waiting does not stop the call: neither a `TimeoutError` from ``result(timeout)`` nor
    an interrupt during `result`. What was started without waiting is stopped by `cancel` alone.
    """

    # Class attributes: thousands of calls may be out, and each object of one, and each store,
    # is a hundredth of what it costs.
    _stopped = False
    _ended: float | None = None
    _running_call: RunningCall = ENDED_CALL

    def __init__(
        self, remote: Remote, name: str, lent: Lent, *, echo: bool = False, keep: object = None
    ) -> None:
        self._kept = keep
        """The function and its arguments: their handles are needed until the call has ended."""
        self._remote = remote
        self._name = name
        self._began = monotonic()
        self.observer = CollectingObserver(remote, lent, self, echo=echo)

    # --- what happens ---------------------------------------------------------------------------

    @property
    def remote(self) -> Remote:
        """The `Remote` the call runs on."""
        return self._remote

    @property
    def name(self) -> str:
        """Name of the function."""
        return self._name

    @property
    def progress(self) -> Progress | None:
        """How far the call said it is; None when it has said nothing."""
        return self.observer.latest

    @property
    def stdout(self) -> str:
        """What it printed so far; at most the last 2²⁰ characters."""
        return self.observer.text("stdout")

    @property
    def stderr(self) -> str:
        """What it wrote to stderr so far; bounded likewise."""
        return self.observer.text("stderr")

    @property
    def warnings(self) -> tuple[Warning, ...]:
        """What it warned of so far."""
        return self.observer.warnings

    @property
    def seconds(self) -> float:
        """How long it has taken so far, or took: from its start here to its end here."""
        return (monotonic() if self._ended is None else self._ended) - self._began

    def live(self) -> None:
        """Show how it goes, in a notebook: how far it is, what it prints, a button to cancel it.

        In a terminal it prints how it is now.
        """
        show_live(self)

    def add_progress_callback(self, function: Callable[[Progress], object]) -> None:
        """Call `function` with each `Progress`, on the thread that receives; it must not block.

        An exception it raises is shown, and otherwise ignored.
        """
        self.observer.progress_callbacks.append(function)

    # --- stopping and waiting -------------------------------------------------------------------

    def cancel(self, timeout: float | None = None, *, kill: bool = False) -> bool:
        """Ask the other side to stop the call.

        Parameters
        ----------
        timeout : float [s], optional
            How long to wait for the confirmation; 0 to ask and not wait, as callbacks should. By
            default 2, and 5 with `kill`.
        kill : bool
            End the process over there if the call has not stopped by then, as it will not while it
            is in C code that does not return. Everything that the session held is lost: this call
            and all others raise `WorkerDied`, and so does what is asked of the session later.

        Returns
        -------
        bool
            The call was stopped, confirmed by the other side, or its process was killed. False: it
            had ended otherwise, or is still running; the request stands.

        Raises
        ------
        SessionError
            With `kill`: there is no process to kill, as the function runs in a thread of this
            process or of its server's, or on a server of TVM's.
        RpcnbError
            With `kill`: the server could not be reached.
        """
        if not self.done():
            self._running_call.cancel()
            usual = KILL_SECONDS if kill else CONFIRM_SECONDS
            concurrent.futures.wait([self], usual if timeout is None else timeout)
            if kill and not self.done():
                self._remote.kill()
                concurrent.futures.wait([self], CONFIRM_SECONDS)
                return self.cancelled() or self._was_killed()
        return self.cancelled()

    def _was_killed(self) -> bool:
        return self.done() and isinstance(super().exception(), WorkerDied)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result and return it, or raise what the call raised."""
        if self._ended is None:
            self._running_call.push()
        return super().result(timeout)

    def cancelled(self) -> bool:
        """Tell whether the call was stopped."""
        return self._stopped and self.done()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the call raised, or None; raise `RemoteCancelled` if it was stopped."""
        if self._ended is None:
            self._running_call.push()
        error = super().exception(timeout)
        if isinstance(error, RemoteCancelled):
            raise error
        return error

    def __await__(self) -> Generator[Any, None, Any]:
        # Here, so that a script without an event loop does not pay for importing one (30 ms).
        import asyncio

        loop = asyncio.get_running_loop()
        waiter = loop.create_future()

        def settle() -> None:
            if waiter.done():
                return
            error = concurrent.futures.Future.exception(self)
            if error is None:
                waiter.set_result(self.result())
            else:
                waiter.set_exception(error)

        def wake(_: concurrent.futures.Future[Any]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle)

        self.add_done_callback(wake)
        began = monotonic()
        try:
            return (yield from waiter.__await__())
        except asyncio.CancelledError as error:
            self.cancel(timeout=0)
            yield from self._wait_for_its_end().__await__()
            raise error from self._how_it_was_stopped(monotonic() - began)

    async def _wait_for_its_end(self) -> None:
        """Give the other side a moment to confirm; another cancellation ends the waiting."""
        import asyncio

        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        self.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
        with suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(ended.wait(), CONFIRM_SECONDS)

    def _how_it_was_stopped(self, seconds: float) -> RemoteCancelled:
        where = self._remote.name
        if self.cancelled():
            text = f"{self._name} stopped after {seconds:.1f} s (confirmed by {where})"
        elif self.done():
            text = f"{self._name} ended by itself before it could be stopped"
        else:
            text = (
                f"{self._name} may still run on {where}: stopped waiting after {seconds:.1f} s; "
                "call.cancel(kill=True) ends its process"
            )
        return RemoteCancelled(text, confirmed=self.done())

    def __repr__(self) -> str:
        state = "cancelled" if self.cancelled() else "done" if self.done() else "running"
        if state == "done" and super().exception() is not None:
            state = f"raised {type(super().exception()).__name__}"
        progress = f" {self.progress}" if self.progress is not None and not self.done() else ""
        return f"<RemoteFuture {self._name} {state}{progress} on {self._remote.name}>"

    def __reduce_ex__(self, protocol: object) -> str | tuple[object, ...]:
        raise TypeError("a RemoteFuture names a running call: it cannot be pickled or copied")

    # --- for who starts the call ----------------------------------------------------------------

    def started_as(self, call: RunningCall) -> None:
        """Know what to cancel: the call that was started with `finish` as its callback."""
        self._running_call = call
        if self._ended is not None:  # looked at after storing, as `finish` stores before it lets go
            self._let_go()

    def _let_go(self) -> None:
        """Drop what leads back here, so that the result goes as soon as this does."""
        self._running_call = ENDED_CALL
        self._kept = None
        self.observer.future = None

    def note_start(self) -> None:
        """Take note that it runs, once; for its observer."""
        if not self.running() and not self.done():
            self.set_running_or_notify_cancel()

    def finish(self, status: CallStatus, value: Value) -> None:
        """Take the outcome: the session's `CallCallback`."""
        self._ended = monotonic()
        self._let_go()
        if status is _RETURNED and type(value) in PLAIN_TYPES:
            self.settle(value)
            return
        try:
            result = lift(raise_or_return(status, value), self._remote, self.observer.lent)
        except RemoteCancelled as error:
            self._stopped = True
            self.set_exception(error.with_traceback(None))
        except BaseException as error:  # noqa: BLE001 -- whoever waits must be told
            # Without the traceback, which would tie this frame, and so the result, to the error.
            self.set_exception(error.with_traceback(None))
        else:
            self.settle(result)


show_live: Callable[[RemoteFuture], object] = print
"""What `RemoteFuture.live` does; a notebook's extension puts its view here."""
