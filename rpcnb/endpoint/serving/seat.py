"""A session's seat in its worker: the session stays, whoever is connected to it may change.

A connection that is lost is waited for (`recovery.Grace`). A client that detaches, or one whose
session another client takes up, leaves everything behind: handles, and calls that run.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import ProtocolError, TransportError
from rpcnb.endpoint.handler import PeerDetached
from rpcnb.endpoint.heartbeat import HEARTBEATS, Pulse, is_worthwhile
from rpcnb.endpoint.recovery import GO_ON_TIMEOUT, TAKEN, Grace
from rpcnb.endpoint.serving.due import DueQueue
from rpcnb.endpoint.serving.serving_connection import ServingConnection
from rpcnb.session.streams import PumpedStream
from rpcnb.transport.unix import lost_connection
from rpcnb.wire.messages import Goodbye, Side
from rpcnb.wire.resumable import ResumableV1

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.limits import Limits
    from rpcnb.endpoint.serving.dispatch import Dispatcher
    from rpcnb.endpoint.serving.ticket import Ticket
    from rpcnb.session.base import RPCSession
    from rpcnb.transport.base import Transport

    MakeDispatcher: TypeAlias = Callable[[RPCSession, str, DueQueue | None], Dispatcher]
    """Given the session, what its client may not do, and what its thread has to do."""
    Away: TypeAlias = Callable[[bool], None]
    """Told whether nobody is connected."""
    Closer: TypeAlias = Callable[[str], None]
    """Closes a session, telling the peer why."""


DRAIN_POLL = 0.02
"""Seconds between looks whether all calls have ended."""


class Post(NamedTuple):
    """What those outside may do with a session that is being served."""

    close: Closer
    take: Callable[[Transport, Ticket], None]
    """Hands it another connection."""


Opened: TypeAlias = "Callable[[Post], Away | None]"
"""Told what others may do with a session that is open; returns whom to tell who is away."""


class Tenure(NamedTuple):
    """For how long what is kept."""

    grace: float
    """Seconds for a session whose client is gone without a word."""
    lease: float
    """Seconds for one whose client said that it would be back, or that somebody would."""
    drain: float = 0.0
    """Seconds for calls that run when the session is told to end."""


class _Place(NamedTuple):
    """One client's connection, and what serves it."""

    connection: ServingConnection
    dispatcher: Dispatcher
    due: DueQueue


class Seat:
    """Serves one session to one client after another, on the thread that calls `run`.

    Parameters
    ----------
    limits, tenure
        See there.
    make_dispatcher : callable
        Makes what serves the session to a client.
    on_end : callable
        Told that the session is over; its calls may still run.
    """

    def __init__(
        self,
        limits: Limits,
        tenure: Tenure,
        make_dispatcher: MakeDispatcher,
        on_end: Callable[[], None],
    ) -> None:
        self._limits = limits
        self._tenure = tenure
        self._make_dispatcher = make_dispatcher
        self._on_end = on_end
        self._due: DueQueue
        self._prepared: _Place | None = None
        self.stream = PumpedStream(self._wake, limits.calls_in_flight)
        """The session's default stream."""
        self.reads_on = True
        """Whether a thread reads on while calls run; a process that is to fork has none."""
        self.tell_away: Away | None = None
        self._news = threading.Condition()
        self._closing = False
        self._connection: ServingConnection
        self._dispatcher: Dispatcher
        self._session: RPCSession

    def _be_away(self, away: bool) -> None:  # noqa: FBT001 -- its one argument
        if self.tell_away is not None:
            self.tell_away(away)

    def _wake(self) -> None:
        self._due.put(self.stream.run_pending)

    def prepare(self, session: RPCSession) -> None:
        """Make ready for the first client of a session, one that may do all."""
        nobody = lost_connection()
        nobody.close()
        self._prepared = self._furnish(session, "", nobody, epoch=1)

    def open(self, session: RPCSession, transport: Transport, ticket: Ticket) -> None:
        """Serve `session`, at first on this connection."""
        self._session = session
        self._connect(transport, ticket)

    def take(self, transport: Transport, ticket: Ticket) -> None:
        """Go on over another connection: with the same client, or with another one."""
        if ticket.resumed:
            threading.Thread(
                target=self._go_on, args=(transport, ticket), name="rpcnb-resume", daemon=True
            ).start()
        else:
            self._connection.end(PeerDetached(TAKEN), Goodbye(TAKEN))
            self._connect(transport, ticket)

    def _go_on(self, transport: Transport, ticket: Ticket) -> None:
        connection = self._connection
        try:
            connection.go_on(transport, ticket.epoch, Deadline.after(GO_ON_TIMEOUT))
        except TransportError:
            return  # the client will come again, or its time will run out
        except ProtocolError as error:
            connection.end(error)

    def _connect(self, transport: Transport, ticket: Ticket) -> None:
        place, self._prepared = self._prepared, None
        if place is None:
            place = self._furnish(self._session, ticket.caveats, transport, ticket.epoch)
        else:
            place.connection.begin(transport)
        connection = place.connection
        if connection.recovery is not None and is_worthwhile(transport.local_address):
            HEARTBEATS.watch(Pulse(connection, asks=False))
        with self._news:
            self._connection, self._dispatcher, self._due = place
            self._news.notify_all()
        if self.reads_on:
            connection.ensure_background()

    def _furnish(
        self, session: RPCSession, caveats: str, transport: Transport, epoch: int
    ) -> _Place:
        limits = self._limits
        due = DueQueue(limits.calls_in_flight)
        own = due if session.is_local_session() else None
        dispatcher = self._make_dispatcher(session, caveats, own)
        dispatcher.on_end = self._on_end
        protocol = ResumableV1(Side.SERVER, epoch=epoch, limits=limits)
        connection = dispatcher.connection = ServingConnection(transport, protocol, dispatcher)
        if self._tenure.grace > 0:
            connection.recovery = Grace(connection, self._tenure.grace, self._be_away)
        return _Place(connection, dispatcher, due)

    def close(self, reason: str) -> None:
        """End the session when its calls have ended, or their time is up; tell the client why."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        deadline, pause = Deadline.after(self._tenure.drain), threading.Event()
        while self._is_busy() and not deadline.expired():
            pause.wait(DRAIN_POLL)
        self._connection.close(reason)

    def _is_busy(self) -> bool:
        return self._connection.reason is None and bool(self._dispatcher.calls or self._due.inbox)

    def run(self) -> None:
        """Run the calls of the default stream on this thread until the session is over."""
        while True:
            with self._news:
                connection, dispatcher, due = self._connection, self._dispatcher, self._due
            self.stream.run_pending()  # what came while nobody was connected
            connection.serve(due)
            due.run()  # what a client left behind
            if dispatcher.memory is not None:
                dispatcher.memory.close()
            if not self._is_taken_up(connection):
                return

    def _is_taken_up(self, connection: ServingConnection) -> bool:
        """Wait for another client where one may come; False when the session is over."""
        with self._news:
            if self._connection is connection and isinstance(connection.reason, PeerDetached):
                self._be_away(True)
                self._news.wait_for(
                    lambda: self._closing or self._connection is not connection,
                    self._tenure.lease,
                )
            if self._connection is connection or self._closing:
                return False
        self._be_away(False)
        return True
