"""Serving one TVM client in a worker process, or on a session's thread.

The client's connection itself is handed over, as those of our own clients: what a TVM program sends
is received where its arrays are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rpcnb.endpoint.tvm.front import TVMFront
from rpcnb.session.streams import ThreadStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.endpoint.serving.ticket import Ticket
    from rpcnb.endpoint.serving.worker import Service
    from rpcnb.session.base import RPCSession
    from rpcnb.session.streams import ExecutionStream
    from rpcnb.transport.base import Transport

PROTOCOL = "tvm"
"""What a ticket says."""


def serve_tvm(
    transport: Transport,
    ticket: Ticket,
    service: Service,
    open_session: Callable[[Service, ExecutionStream], RPCSession],
    on_end: Callable[[], None],
) -> None:
    """Serve one client on this thread until it leaves, or its time is up.

    Calls run on this very thread. Cells do not: who comes through this door has proved nothing.
    """
    limit = service.limits.calls_in_flight

    def open_own() -> RPCSession:
        return open_session(replace(service, allow_exec=False), ThreadStream(limit, PROTOCOL))

    with TVMFront(open_own, transport, ticket.seconds, on_expired=on_end) as front:
        front.serve()
    transport.close()
