"""Serving one session on one connection: what a worker process, or a session's thread, runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.endpoint.connection import Connection
from rpcnb.endpoint.dispatch import Dispatcher
from rpcnb.endpoint.pending import Pending
from rpcnb.session.functions import REGISTRY, FunctionRegistry
from rpcnb.transport.descriptor import adopt
from rpcnb.wire.messages import Side
from rpcnb.wire.v1 import WireV1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcnb.endpoint.zygote import Ticket
    from rpcnb.session.base import RPCSession
    from rpcnb.session.interrupts import SignalInterrupter
    from rpcnb.session.streams import PumpedStream
    from rpcnb.transport.base import Transport

WORK = -1
"""Id of the entry that stands for "there is something to run" among a connection's requests: no
peer can name it, for ids on the wire are not negative."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a server offers to each of its sessions."""

    name: str = "rpcnb"
    registry: FunctionRegistry = field(default=REGISTRY, repr=False)
    allowed_modules: tuple[str, ...] = ()
    """Modules that `load_module` may load; ``numpy.*`` allows all below."""
    device_backends: tuple[str, ...] = ()
    """``module:Class`` of array backends besides NumPy's."""
    open_next: Callable[[], RPCSession] | None = None
    """Opens the session that a gateway serves instead of its own process."""
    limits: Limits = DEFAULT_LIMITS


def run_worker(fd: int, ticket: Ticket, service: Service) -> None:
    """Be a worker process: serve the session of `ticket` on a connection until it ends."""
    from rpcnb.session.interrupts import SignalInterrupter

    interrupter = SignalInterrupter()
    interrupter.install()
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    serve(adopt(fd), ticket, service, interrupter, stop_on_sigterm=True)


def serve(
    transport: Transport,
    ticket: Ticket,
    service: Service,
    interrupter: SignalInterrupter | None,
    *,
    stop_on_sigterm: bool = False,
) -> None:
    """Serve one session on this thread until its connection ends."""
    from rpcnb.session.streams import PumpedStream

    work = Pending(WORK)

    def ready() -> None:
        work.done = True
        work.rouse()

    stream = PumpedStream(ready, service.limits.calls_in_flight)
    with _work_folder() as folder:
        session = open_session(service, stream, interrupter, folder)
        try:
            dispatcher = Dispatcher(session)
            protocol = WireV1(Side.SERVER, epoch=ticket.epoch, limits=service.limits)
            connection = dispatcher.connection = Connection(transport, protocol, dispatcher)
            if stop_on_sigterm:
                _close_on_sigterm(connection)
            connection.ensure_background()
            run_calls(connection, stream, work)
        finally:
            session.shutdown()


def open_session(
    service: Service, stream: PumpedStream, interrupter: SignalInterrupter | None, folder: Path
) -> RPCSession:
    """Open what is served: this process, or the next server on the way."""
    if service.open_next is not None:
        return service.open_next()
    from rpcnb.session.files import WorkFolder
    from rpcnb.session.local import LocalSession

    return LocalSession(
        service.registry,
        name=service.name,
        allowed_modules=service.allowed_modules,
        default_stream=stream,
        interrupter=interrupter,
        work_folder=WorkFolder(folder),
        limits=service.limits,
    )


def run_calls(connection: Connection, stream: PumpedStream, work: Pending) -> None:
    """Run the calls of the default stream on this thread, and read while there are none."""
    connection.pending[WORK] = work  # so that the connection's end ends the waiting, too
    while connection.reason is None:
        connection.wait(work)
        work.done = False
        stream.run_pending()


def _close_on_sigterm(connection: Connection) -> None:
    """Let SIGTERM end the session in an orderly way: the peer is told why."""
    signal.signal(signal.SIGTERM, lambda *_: connection.close("the server is stopping"))


@contextlib.contextmanager
def _work_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rpcnb-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
