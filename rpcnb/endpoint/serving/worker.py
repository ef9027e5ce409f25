"""Serving one session on one connection: what a worker process, or a session's thread, runs."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
from _thread import start_new_thread
from contextlib import suppress
from dataclasses import field, replace
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING

from rpcnb.core.errors import ConnectionClosed, TransportError
from rpcnb.core.folders import fresh_folder, remove_folder
from rpcnb.core.frozen import compile_all, frozen
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.endpoint.greeting import PIECE
from rpcnb.endpoint.serving.rehearsal import rehearse
from rpcnb.endpoint.serving.seat import Post
from rpcnb.endpoint.serving.stage import Stage, open_session
from rpcnb.endpoint.serving.ticket import AWAY, BACK, Ticket
from rpcnb.session.calls import CURRENT_CALL
from rpcnb.session.files import WorkFolder
from rpcnb.session.functions import REGISTRY, FunctionRegistry
from rpcnb.transport.descriptor import adopt, receive_descriptor
from rpcnb.transport.pipes import consider
from rpcnb.transport.unix import lost_connection
from rpcnb.wire.messages import Goodbye, Side
from rpcnb.wire.v1 import WireV1

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from rpcnb.endpoint.serving.audit import Notes
    from rpcnb.endpoint.serving.seat import Away, Opened
    from rpcnb.session.base import RPCSession
    from rpcnb.session.interrupts import SignalInterrupter
    from rpcnb.session.streams import ExecutionStream
    from rpcnb.transport.base import Transport

LOG = logging.getLogger("rpcnb.worker")
STDERR = 2
STOPPING = "the server is stopping"
LAST_WORDS = 10.0
"""Seconds a peer gets to take the first step when its session could not be opened."""
STUCK_AFTER = 10.0
"""Seconds after the end of its connection in which a worker must have ended."""
OPENING_PATIENCE = 2.0
"""Seconds in which a session must have opened when its server stops."""
GRACE = 3600.0
"""Seconds for which a session waits for a client that is gone without a word: a closed lid."""
LEASE = 24 * 3600.0
"""Seconds for which it waits for anybody when its client detached."""


@frozen
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


class Crew:
    """What the workers of one server have in common: made ready in the process that forks them.

    Parameters
    ----------
    service : Service
        What they offer.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._interrupter: SignalInterrupter
        self._on_term = OnTerm()
        self._stage: Stage | None = None

    def get_ready(self) -> None:
        """Make this process what a worker is.  Call once, with one thread and all functions loaded."""
        from rpcnb.session import tqdm_hook
        from rpcnb.session.interrupts import SignalInterrupter
        from rpcnb.session.output import CAPTURE
        from rpcnb.session.quota import limit_memory

        service = self._service
        self._on_term.install()
        self._interrupter = SignalInterrupter()
        self._interrupter.install()
        CAPTURE.install_for_good()
        tqdm_hook.install()
        tell_stacks_when_asked()
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 -- no Path needed
            os.dup2(nothing.fileno(), 0)
        if service.limits.session_memory or not service.device_backends:
            limit_memory(service.limits.session_memory)  # the others map what they do not use
        compile_all()
        if service.open_next is None and not service.device_backends:
            self._rehearse()
            self._stage = Stage(service, "", self._interrupter, self._end_soon)
            self._stage.prepare()

    def _rehearse(self) -> None:
        """Serve sessions that nobody waits for, tells of, or has functions in."""
        service = replace(self._service, registry=FunctionRegistry(), notes=None)

        def play(transport: Transport, ticket: Ticket, folder: str, stage: Stage) -> None:
            serve(transport, ticket, service, _nothing, folder, stage=stage)

        rehearse(partial(Stage, service, "", self._interrupter, _nothing), play)

    def work(self, fd: int, ticket: Ticket, folder: str, door: socket.socket) -> None:
        """Be a worker process: serve the session of `ticket` until it ends.

        `folder` is where its work folder is made when it needs one; further connections come through `door`.
        """
        service = self._service
        self._on_term.opening = True
        if service.limits.session_processes:
            from rpcnb.session.processes import limit_processes

            limit_processes(
                service.limits.session_processes, ticket.session_id, service.process_group
            )
        try:
            serve(
                _adopt(fd),
                ticket,
                service,
                partial(self._open_to_others, door),
                folder,
                interrupter=self._interrupter,
                on_end=self._end_soon,
                stage=self._stage,
            )
        finally:
            remove_folder(folder)

    def _end_soon(self) -> None:
        """End this worker process also when its main thread does not come back from a call."""
        is_main = get_ident() == self._interrupter.thread
        if is_main and CURRENT_CALL.get() is None and self._service.open_next is None:
            return  # the main thread is in no call, and its session asks nobody
        try:
            _later(STUCK_AFTER, partial(os.kill, os.getpid(), signal.SIGKILL))
        except RuntimeError:  # the session has as many threads as it may: nothing would end it
            os.kill(os.getpid(), signal.SIGKILL)

    def _open_to_others(self, door: socket.socket, post: Post) -> Away:
        """Let SIGTERM end the session in an orderly way, and other connections come in."""
        start_new_thread(_attend, (door, post))  # as `ServingConnection` does, for the same reason
        self._on_term.has_opened(post)
        return partial(_tell_away, door)


class OnTerm:
    """What SIGTERM does: ends a process at once that has no session, and an open session in order.

    One that is being opened ends as soon as it is open, so that its client is told.
    """

    def __init__(self) -> None:
        self.opening = False
        """There is a client, and will be a session."""
        self._post: Post | None = None
        self._told = False

    def has_opened(self, post: Post) -> None:
        """Take note of how the session is ended from now on.  Main thread only."""
        self._post = post
        if self._told:
            self._end()

    def install(self) -> None:
        """Take SIGTERM over.  Main thread only."""
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, *_: object) -> None:
        post = self._post
        if post is None:
            if not self.opening:
                os._exit(0)
            self._told = True
            _later(OPENING_PATIENCE, self._end_if_not_open)
            return
        # On a thread of its own: closing interrupts the call on this one, in the middle of the closing.
        threading.Thread(target=post.close, args=(STOPPING,), name="rpcnb-close").start()

    def _end_if_not_open(self) -> None:
        if self._post is None:
            os._exit(0)


def _later(seconds: float, action: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


def tell_stacks_when_asked() -> None:
    """Let SIGQUIT write what each thread does to the server's log, whatever that is, and go on.

    Where the system has it: not on Windows.
    """
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGQUIT, file=STDERR, all_threads=True)


def _nothing(*_: object) -> None:
    """Stand in for those who are told of a session."""


def _adopt(fd: int) -> Transport:
    """Return the connection that was handed over; one that has ended where it was lost since.

    Its client may have been told that it has the session, and will come back to it.
    """
    try:
        return adopt(fd)
    except TransportError as error:
        LOG.info("the connection was lost before the session had it: %s", error)
        os.close(fd)
        return lost_connection()


def serve_on_thread(
    service: Service,
    transport: Transport,
    ticket: Ticket,
    opened: Opened,
) -> None:
    """Serve one session on a thread of the server's process."""
    folder = os.path.realpath(fresh_folder())
    try:
        serve(transport, ticket, service, opened, folder)
    finally:
        remove_folder(folder)


def serve(
    transport: Transport,
    ticket: Ticket,
    service: Service,
    opened: Opened,
    folder: str,
    *,
    interrupter: SignalInterrupter | None = None,
    on_end: Callable[[], None] = lambda: None,
    stage: Stage | None = None,
) -> None:
    """Serve one session on this thread until it ends.

    Parameters
    ----------
    transport : Transport
        Greeted; owned from here on.
    opened : callable
        Told what others may do with the session; returns whom to tell when nobody is connected.
    folder : str
        For the session's files: an absolute path, which need not exist.
    interrupter : SignalInterrupter, optional
        How calls are interrupted that run on the main thread.
    on_end : callable
        Told that the session is over; its calls may still run.
    stage : Stage, optional
        A session that is ready, for a client that may do all.
    """
    if ticket.protocol:
        from rpcnb.endpoint.tvm.worker import serve_tvm

        def open_for(offered: Service, stream: ExecutionStream) -> RPCSession:
            files = WorkFolder.to_be(service.limits)
            files.settle(folder)
            return open_session(offered, ticket.caveats, stream, interrupter, files)

        serve_tvm(transport, ticket, service, open_for, on_end)
        return
    if ticket.pipes:
        try:
            transport = consider(transport, LAST_WORDS)
        except TransportError as error:
            LOG.info("session %s did not begin: %s", ticket.session_id, error)
            transport.close()
            return
    try:
        if stage is None or ticket.caveats:
            stage = Stage(service, ticket.caveats, interrupter, on_end)
    except Exception as error:
        LOG.warning("session %s cannot be opened", ticket.session_id, exc_info=True)
        say_sorry(transport, ticket, error)
        return
    stage.settle(ticket.session_id, folder)
    seat = stage.seat
    try:
        seat.open(stage.session, transport, ticket)
        seat.tell_away = opened(Post(seat.close, seat.take))
        seat.run()
    finally:
        stage.close()


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
        post.take(_adopt(fd), Ticket.from_note(note))
