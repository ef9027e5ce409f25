"""What happens while a session has no connection: the client looks for one, the worker waits."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionClosed,
    OutcomeUnknown,
    ProtocolError,
    RpcnbError,
    TransportError,
)
from rpcnb.core.events import SessionState
from rpcnb.session.timers import TIMERS, Timer

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from rpcnb.endpoint.connection import Connection
    from rpcnb.transport.base import Transport

    Reach: TypeAlias = Callable[[], tuple[Transport, int]]
    """Connects to the session again; returns transport and epoch.  Raises a `TransportError` when
    nobody could be reached, and any other `RpcnbError` when there is nothing to go on with."""
    Tell: TypeAlias = Callable[[SessionState, str], None]
    """Told the state of the session, and why."""

FIRST_PAUSE, SHORT_PAUSE, LONGEST_PAUSE = 0.05, 0.5, 10.0
"""Seconds between attempts: doubled each time up to the second, later a tenth of the time that has
passed, up to the third. Half of that is left to chance, so that clients whose server comes back do
not all come at once."""
PATIENCE = 3600.0
"""Seconds for which a network may be gone: for so long a server keeps the session."""
RESTART_PATIENCE = 10.0
"""Seconds for which a server's machine may say that nobody listens there."""
TAKEN = "another client took this session up"
"""What its former client is told."""
GO_ON_TIMEOUT = 5.0
"""Seconds for the other half of a session to say that it is there."""


class Comeback:
    """Brings a client back to its session (a `resume.Recovery`).

    Parameters
    ----------
    connection : Connection
        To be recovered.
    reach, tell
        See above.
    """

    def __init__(self, connection: Connection, reach: Reach, tell: Tell) -> None:
        self._connection = connection
        self._reach = reach
        self._tell = tell
        self._stopped = threading.Event()

    def begin(self, error: TransportError) -> None:
        """Come back, on a thread of its own."""
        threading.Thread(
            target=self._run, args=(error,), name="rpcnb-comeback", daemon=True
        ).start()

    def over(self) -> None:
        """Tell that the session is live again."""
        self._tell(SessionState.LIVE, "")

    def stop(self) -> None:
        """Try no more."""
        self._stopped.set()

    def _run(self, error: TransportError) -> None:
        self._tell(SessionState.DETACHED, str(error))
        began, pause = monotonic(), FIRST_PAUSE
        while not self._stopped.is_set():
            try:
                transport, epoch = self._reach()
                self._connection.go_on(transport, epoch, Deadline.after(GO_ON_TIMEOUT))
                return
            except (
                TransportError,
                ProtocolError,
                OSError,
            ) as failure:  # the last: short of something
                refused = isinstance(failure, AuthenticationError)
                here = isinstance(failure, ConnectError)
                if refused or monotonic() - began > (RESTART_PATIENCE if here else PATIENCE):
                    self._connection.end(_unknown(error, failure))
                    return
            except RpcnbError as failure:
                self._connection.end(failure)
                return
            from random import uniform  # here, where few come: a client's first call does not wait

            self._stopped.wait(pause * uniform(0.5, 1.0))  # noqa: S311 -- no secret
            longest = max(SHORT_PAUSE, (monotonic() - began) / 10)
            pause = min(2 * pause, longest, LONGEST_PAUSE)


def _unknown(error: Exception, failure: Exception) -> OutcomeUnknown:
    return OutcomeUnknown(f"the connection was lost ({error}), and there is no other: {failure}")


class Grace:
    """Keeps a session for a while for a peer that is gone without a word (a `resume.Recovery`).

    Parameters
    ----------
    connection : Connection
        To be recovered; ended when nobody comes back.
    seconds : float
        For how long.
    away : callable
        Told whether the peer is gone.
    """

    def __init__(
        self, connection: Connection, seconds: float, away: Callable[[bool], None]
    ) -> None:
        self._connection = connection
        self._seconds = seconds
        self._away = away
        self._timer: Timer | None = None

    def begin(self, error: TransportError) -> None:
        """Begin to count."""
        del error
        self._timer = TIMERS.call_later(self._seconds, self._expire)
        self._away(True)

    def over(self) -> None:
        """Stop counting: the peer is back."""
        self.stop()
        self._away(False)

    def stop(self) -> None:
        """Stop counting."""
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        reason = f"the peer was gone for {self._seconds:g} s"
        self._connection.end(ConnectionClosed(reason))
