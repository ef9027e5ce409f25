"""Waiting for replies, so that an interrupt stops what is waited for, and nothing is torn."""

from __future__ import annotations

from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING

from rpcnb.core.errors import RemoteInterrupted, SessionClosed
from rpcnb.endpoint.client.interrupt import MAIN_THREAD, InterruptShield, StopWaiting
from rpcnb.session.base import CallStatus
from rpcnb.session.refs import release_refs
from rpcnb.wire.messages import Cancel

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from rpcnb.endpoint.client.client_connection import ClientConnection
    from rpcnb.endpoint.pending import Pending
    from rpcnb.session.base import RPCSession

HOW_TO_END = "remote.kill() ends its process, as call.cancel(kill=True) does of a submitted call"


class Waiter:
    """Waits for the replies of one session.  Thread-safe.

    Parameters
    ----------
    session : RPCSession
        Whose handles a dropped result gives back; named in messages.
    connection : ClientConnection
        Its connection.
    shield : InterruptShield
        Its shield, raised by whoever calls on the main thread.
    """

    def __init__(
        self, session: RPCSession, connection: ClientConnection, shield: InterruptShield
    ) -> None:
        self._session = session
        self._connection = connection
        self._shield = shield
        shield.on_interrupt = self._on_press
        self._awaited: Pending | None = None
        """What the main thread waits for."""

    def wait(self, pending: Pending, what: str) -> None:
        """Wait, inside the shield, until the request has ended.

        Raises
        ------
        RemoteInterrupted
            SIGINT came: the request ended over there, or waiting was given up.
        """
        if get_ident() == MAIN_THREAD:
            self.wait_shielded(pending, what)
        else:
            self._connection.wait(pending)

    def wait_shielded(self, pending: Pending, what: str) -> None:
        outer, self._awaited = self._awaited, pending
        began = monotonic()
        try:
            if self._shield.count and not pending.done:  # it came while the request was being sent
                self._on_press(1, None)
            self._connection.wait(pending)
        except StopWaiting:
            pass  # by `_on_press`, which has resolved it
        finally:
            self._awaited = outer
        if self._shield.count:
            self._raise_interrupted(pending, what, monotonic() - began)

    def send(self, pending: Pending, send: Callable[[], None]) -> None:
        """Send, and let an interrupt stop `pending` also meanwhile; it is still to be waited for."""
        if get_ident() != MAIN_THREAD:
            send()
            return
        outer, self._awaited = self._awaited, pending
        try:
            send()
        except StopWaiting:
            pass  # by `_on_press`
        finally:
            self._awaited = outer

    def raise_pressed(self, what: str) -> None:
        """Raise, inside the shield, what came while nothing was waited for, and so nothing runs there.

        Raises
        ------
        RemoteInterrupted
            `what` was being done on this side.
        """
        held = self._shield.take() if self._shield.count else None
        if isinstance(held, KeyboardInterrupt):
            message = f"{what} stopped here; nothing of it runs on {self._session.name}"
            raise RemoteInterrupted(message, confirmed=True)
        if held is not None:
            raise held

    def _raise_interrupted(self, pending: Pending, what: str, seconds: float) -> None:
        self._connection.be_quick()
        held = self._shield.take()
        if held is not None and not isinstance(held, KeyboardInterrupt):
            raise held
        release_refs(pending.value, self._session)
        raise self._interrupted(pending, what, seconds) from (
            pending.value if pending.status is CallStatus.LOST else None
        )

    def _on_press(self, presses: int, frame: FrameType | None) -> None:
        """Handle SIGINT: first ask, then stop waiting, long after that give the connection up.

        Raises
        ------
        StopWaiting
            From the second press on, when the main thread blocks in receiving: no byte is lost there.
        """
        pending = self._awaited or self._connection.stay()
        if pending is None:
            return  # about to send or done with receiving: raised as soon as that is over
        if presses == 1:
            self._connection.post(Cancel(pending.id))
        else:
            self._connection.pending.pop(pending.id, None)
            if not pending.done:
                pending.resolve(CallStatus.CANCELLED, None)
                pending.orphaned = True
            if self._connection.receives_in(frame):
                raise StopWaiting
        if self._shield.is_last_resort:
            self._connection.end(SessionClosed("interrupted while the server did not answer"))
        self._connection.poke()

    def _interrupted(self, pending: Pending, what: str, seconds: float) -> RemoteInterrupted:
        if pending.orphaned:
            message = (
                f"{what} may still run on {self._session.name}: stopped waiting after {seconds:.1f} s; "
                f"{HOW_TO_END}"
            )
        elif pending.status is CallStatus.CANCELLED:
            message = f"{what} stopped after {seconds:.1f} s (confirmed by {self._session.name})"
        elif pending.status is CallStatus.LOST:
            message = f"{what}: the session was lost while it was being stopped"
        else:
            message = f"{what} ended by itself before it could be stopped; its result is dropped"
        confirmed = not pending.orphaned and pending.status is not CallStatus.LOST
        return RemoteInterrupted(message, confirmed=confirmed)
