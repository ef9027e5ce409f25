"""Serving one session on one connection: what a worker process, or a session's thread, runs."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rpcnb.core.errors import ConnectionClosed, TransportError
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.core.roles import grant_of
from rpcnb.endpoint.greeting import PIECE
from rpcnb.endpoint.serving.audit import MOST_REFUSALS, Notes
from rpcnb.endpoint.serving.dispatch import Dispatcher
from rpcnb.endpoint.serving.serve_memory import AdoptedMemory
from rpcnb.endpoint.serving.zygote import AWAY, BACK, Ticket
from rpcnb.session.functions import REGISTRY, FunctionRegistry
from rpcnb.transport.descriptor import adopt, receive_descriptor
from rpcnb.transport.pipes import consider
from rpcnb.transport.unix import unix_pair
from rpcnb.wire.messages import Goodbye, Side
from rpcnb.wire.v1 import WireV1

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rpcnb.core.roles import Role
    from rpcnb.endpoint.serving.due import DueQueue
    from rpcnb.endpoint.serving.seat import Away, Opened, Post
    from rpcnb.session.base import RPCSession
    from rpcnb.session.interrupts import SignalInterrupter
    from rpcnb.session.streams import ExecutionStream
    from rpcnb.transport.base import Transport

LOG = logging.getLogger("rpcnb.worker")
STOPPING = "the server is stopping"
LAST_WORDS = 10.0
"""Seconds a peer gets to take the first step when its session could not be opened."""
STUCK_AFTER = 10.0
"""Seconds after the end of its connection in which a worker must have ended."""
GRACE = 3600.0
"""Seconds for which a session waits for a client that is gone without a word: a closed lid."""
LEASE = 24 * 3600.0
"""Seconds for which it waits for anybody when its client detached."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a server offers to each of its sessions."""

    name: str = "rpcnb"
    registry: FunctionRegistry = field(default=REGISTRY, repr=False)
    allowed_modules: tuple[str, ...] = ()
    """Modules that `load_module` may load; ``numpy.*`` allows all below."""
    device_backends: tuple[str, ...] = ()
    """Names of array backends besides NumPy's; see `rpcnb.session.backend.make_backends`."""
    open_next: Callable[[], RPCSession] | None = None
    """Opens the session that a gateway serves instead of its own process."""
    allow_exec: bool = False
    """Whether sessions run cells, each in its worker process."""
    grace: float = GRACE
    lease: float = LEASE
    drain: float = 0.0
    """Seconds for calls that run when the server is told to stop."""
    process_group: Path | None = None
    """Below it are the control groups that bound the sessions' processes, where there are any."""
    notes: Notes | None = field(default=None, repr=False)
    """To the audit log, where there is one."""
    limits: Limits = DEFAULT_LIMITS


def run_worker(
    fd: int, ticket: Ticket, service: Service, folder: Path, door: socket.socket
) -> None:
    """Be a worker process: serve the session of `ticket` until it ends.

    `folder` is where its work folder is to be made; further connections come through `door`.
    """
    from rpcnb.session import tqdm_hook
    from rpcnb.session.interrupts import SignalInterrupter
    from rpcnb.session.output import CAPTURE
    from rpcnb.session.processes import limit_processes
    from rpcnb.session.quota import limit_memory

    # Here already, for a server may stop while a slow session opens.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    interrupter = SignalInterrupter()
    interrupter.install()
    CAPTURE.install_for_good()
    tqdm_hook.install()
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    folder.mkdir(mode=0o700)
    if (
        service.limits.session_memory or not service.device_backends
    ):  # which map what they do not use
        limit_memory(service.limits.session_memory)
    limit_processes(service.limits.session_processes, ticket.session_id, service.process_group)
    try:
        transport, opened = _adopt(fd), partial(_open_to_others, door)
        serve(transport, ticket, service, opened, folder, interrupter=interrupter, on_end=_end_soon)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _adopt(fd: int) -> Transport:
    """Return the connection that was handed over; one that has ended where it was lost since.

    Its client may have been told that it has a session, and will come back to it.
    """
    try:
        return adopt(fd)
    except TransportError as error:
        LOG.info("the connection was lost before the session began: %s", error)
        os.close(fd)
        transport, other = unix_pair()
        other.close()
        return transport


def serve_on_thread(
    service: Service,
    transport: Transport,
    ticket: Ticket,
    opened: Opened,
) -> None:
    """Serve one session on a thread of the server's process."""
    with tempfile.TemporaryDirectory(prefix="rpcnb-", ignore_cleanup_errors=True) as folder:
        serve(transport, ticket, service, opened, Path(folder))


def serve(
    transport: Transport,
    ticket: Ticket,
    service: Service,
    opened: Opened,
    folder: Path,
    *,
    interrupter: SignalInterrupter | None = None,
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Serve one session on this thread until it ends.

    Parameters
    ----------
    transport : Transport
        Greeted; owned from here on.
    opened : callable
        Told what others may do with the session; returns whom to tell when nobody is connected.
    folder : path
        For the session's files.
    interrupter : SignalInterrupter, optional
        How calls are interrupted that run on the main thread.
    on_end : callable
        Told that the session is over; its calls may still run.
    """
    from rpcnb.endpoint.serving.seat import Post, Seat, Tenure

    if ticket.protocol:
        from rpcnb.endpoint.tvm.worker import serve_tvm

        def open_for(offered: Service, stream: ExecutionStream) -> RPCSession:
            return open_session(offered, ticket, stream, interrupter, folder)

        serve_tvm(transport, ticket, service, open_for, on_end)
        return
    if ticket.pipes:
        try:
            transport = consider(transport, LAST_WORDS)
        except TransportError as error:
            LOG.info("session %s did not begin: %s", ticket.session_id, error)
            transport.close()
            return
    tenure = Tenure(service.grace, service.lease, service.drain)
    refusals = Refusals(ticket.session_id, service.notes)
    seat = Seat(service.limits, tenure, partial(make_dispatcher, folder, refusals), on_end)
    try:
        session = open_session(service, ticket, seat.stream, interrupter, folder)
    except Exception as error:
        LOG.warning("session %s cannot be opened", ticket.session_id, exc_info=True)
        say_sorry(transport, ticket, error)
        return
    try:
        seat.open(session, transport, ticket)
        seat.tell_away = opened(Post(seat.close, seat.take))
        seat.run()
    finally:
        refusals.tell_counts(session)
        session.shutdown()


class Refusals:
    """What a session's client was not let do; told to the audit log, a bounded number of times."""

    def __init__(self, session_id: str, notes: Notes | None) -> None:
        self._session_id = session_id
        self._notes = notes
        self._count = 0

    def add(self, what: str, needed: Role) -> None:
        """Take note of one, in words without values."""
        self._count += 1
        LOG.info("refused %s, which needs the role %s", what, needed)
        if self._notes is not None and self._count <= MOST_REFUSALS:
            self._notes.write(self._session_id, "refused", what=what, needed=str(needed))

    def tell_counts(self, session: RPCSession) -> None:
        """Say how much a session that ends has done."""
        if self._notes is not None:
            calls = session.statistics().get("calls", 0)
            counted = calls if type(calls) is int else 0
            self._notes.write(self._session_id, "counts", calls=counted, refusals=self._count)


def make_dispatcher(
    folder: Path, refusals: Refusals, session: RPCSession, ticket: Ticket, due: DueQueue | None
) -> Dispatcher:
    """Return what serves the session to its client: with a gate, unless the client may do all."""
    grant = grant_of(ticket.caveats)
    if grant.is_whole:
        dispatcher = Dispatcher(session, due)
    else:
        from rpcnb.endpoint.serving.gate import GatedDispatcher

        dispatcher = GatedDispatcher(session, grant, refusals.add, due)
    if dispatcher.is_local:
        dispatcher.memory = AdoptedMemory(session, folder)
    return dispatcher


def open_session(
    service: Service,
    ticket: Ticket,
    stream: ExecutionStream,
    interrupter: SignalInterrupter | None,
    folder: Path,
) -> RPCSession:
    """Open what is served: this process, or the next server on the way."""
    if service.open_next is not None:
        return service.open_next()
    from rpcnb.session.backend import make_backends
    from rpcnb.session.cells import Cells
    from rpcnb.session.files import WorkFolder
    from rpcnb.session.local import LocalSession

    grant = grant_of(ticket.caveats)
    registry = service.registry.only(grant.allows_name) if grant.functions else service.registry
    return LocalSession(
        registry,
        backends=make_backends(service.device_backends),
        name=service.name,
        allowed_modules=service.allowed_modules,
        default_stream=stream,
        interrupter=interrupter,
        work_folder=WorkFolder(folder, service.limits),
        cells=Cells(service.registry, folder) if service.allow_exec else None,
        limits=service.limits,
    )


def say_sorry(transport: Transport, ticket: Ticket, error: Exception) -> None:
    """Tell the peer why its session cannot be opened, and close.

    Not before it has said something: until then, the broker's answer may be on its way.
    """
    if transport.wait_readable(LAST_WORDS):
        transport.receive_into(memoryview(bytearray(PIECE)))  # closing unread would lose our words
        text = f"the session cannot be opened: {type(error).__name__}: {error}"
        protocol = WireV1(Side.SERVER, epoch=ticket.epoch)
        transport.send(protocol.frame(protocol.prepare(Goodbye(text[:500], error=True))))
    transport.close()


def _end_soon() -> None:
    """End this worker process also when its main thread does not come back from a call."""
    watchdog = threading.Timer(STUCK_AFTER, os.kill, (os.getpid(), signal.SIGKILL))
    watchdog.daemon = True
    try:
        watchdog.start()
    except RuntimeError:  # the session has as many threads as it may: nothing would end it
        os.kill(os.getpid(), signal.SIGKILL)


def _open_to_others(door: socket.socket, post: Post) -> Away:
    """Let SIGTERM end the session in an orderly way, and other connections come in."""

    # On a thread of its own: closing interrupts the call on this one, in the middle of the closing.
    def close(*_: object) -> None:
        threading.Thread(target=post.close, args=(STOPPING,), name="rpcnb-close").start()

    signal.signal(signal.SIGTERM, close)
    threading.Thread(target=_attend, args=(door, post), name="rpcnb-door", daemon=True).start()
    return partial(_tell_away, door)


def _tell_away(door: socket.socket, away: bool) -> None:  # noqa: FBT001 -- as its type says
    with suppress(OSError):  # the zygote is gone
        door.send(AWAY if away else BACK)


def _attend(door: socket.socket, post: Post) -> None:
    """Let connections in until the zygote is gone."""
    while True:
        try:
            note, fd = receive_descriptor(door)
        except ConnectionClosed:
            return
        post.take(adopt(fd), Ticket(**json.loads(note)))
