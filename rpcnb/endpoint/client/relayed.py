"""Calls that a gateway passes on: its main thread makes them as it would run them."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING

from rpcnb.core.errors import RpcnbError, describe_exception
from rpcnb.core.events import EVENTS
from rpcnb.endpoint.client.interrupt import MAIN_THREAD
from rpcnb.endpoint.client.socket_calls import SocketCalls
from rpcnb.session.base import CallStatus
from rpcnb.session.observer import DEFAULT_OPTIONS, RunningCall
from rpcnb.wire.messages import Cancel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rpcnb.core.values import FunctionRef, Value
    from rpcnb.endpoint.client.client_connection import ClientConnection
    from rpcnb.session.observer import CallObserver

_RETURNED = CallStatus.RETURN


class RelayedCall(RunningCall):
    """A call that the gateway's main thread waits for."""

    __slots__ = ("_connection", "_number")

    def __init__(self, connection: ClientConnection, number: int) -> None:
        self._connection = connection
        self._number = number

    def cancel(self) -> None:
        """Ask the next server, which remembers it where the call has not come yet."""
        self._connection.post(Cancel(self._number))


class RelayingSession(SocketCalls):
    """The part of a socket session that serves a gateway's clients.

    A call that is the only one under way is made by the gateway's main thread in one go, like a
    client's own. Otherwise that thread reads on and the background thread hands the reply over, which
    takes a third more. No shield is raised: in a worker SIGINT has its owner already.
    """

    def call_at_once(
        self,
        func: FunctionRef,
        args: Sequence[Value],
        kwargs: Mapping[str, Value],
        observer: CallObserver,
    ) -> tuple[CallStatus, Value] | None:
        connection = self._connection
        if connection.pending or EVENTS.subscriptions or get_ident() != MAIN_THREAD:
            return None
        try:
            number = connection.next_id()
            observer.begun(RelayedCall(connection, number))
            reply = connection.round_trip(func.handle, args, kwargs, observer, number)  # type: ignore[arg-type] # a tuple and a dict, by the wire
            if type(reply) is tuple:
                self._calls += 1
                return _RETURNED, reply[1]
            pending = self._go_on(reply, func, args, kwargs, DEFAULT_OPTIONS, observer)
            if reply is None:
                observer.begun(RelayedCall(connection, pending.id))
            connection.wait(pending)
        except RpcnbError as error:
            return CallStatus.EXCEPTION, describe_exception(error, "")
        return pending.status, pending.value
