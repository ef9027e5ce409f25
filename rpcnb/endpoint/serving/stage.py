"""A session that is ready before anybody comes for it.

Each page that a forked worker writes to is copied, 3 µs and 4 KiB of memory that it shares no more;
and it writes to a page for nearly every function it runs and every object it makes or refers to.
So what is the same for all sessions is made once, in the process that forks: a worker copies it.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from rpcnb.core.roles import grant_of
from rpcnb.core.values import TypeCode
from rpcnb.endpoint.serving.audit import MOST_REFUSALS, Notes
from rpcnb.endpoint.serving.dispatch import Dispatcher
from rpcnb.endpoint.serving.seat import Seat, Tenure
from rpcnb.endpoint.serving.serve_memory import AdoptedMemory
from rpcnb.session.files import WorkFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.roles import Role
    from rpcnb.endpoint.serving.due import DueQueue
    from rpcnb.endpoint.serving.worker import Service
    from rpcnb.session.base import RPCSession
    from rpcnb.session.interrupts import SignalInterrupter
    from rpcnb.session.streams import ExecutionStream

ASKED_FOR_FIRST = ("rpcnb.functions", "rpcnb.statistics")
LOG = logging.getLogger("rpcnb.worker")


class Stage:
    """A session and its seat, made on the thread that is to run its calls.

    Parameters
    ----------
    service : Service
        What the session offers.
    caveats : str
        What its client may not do.
    interrupter : SignalInterrupter, optional
        How calls are interrupted that run on the main thread.
    on_end : callable
        Told that the session is over; its calls may still run.

    Raises
    ------
    Exception
        Whatever opening the session raises.
    """

    def __init__(
        self,
        service: Service,
        caveats: str,
        interrupter: SignalInterrupter | None,
        on_end: Callable[[], None],
    ) -> None:
        self._files = WorkFolder.to_be(service.limits)
        self._refusals = Refusals(service.notes)
        tenure = Tenure(service.grace, service.lease, service.drain)
        self.seat = Seat(service.limits, tenure, self._make_dispatcher, on_end)
        self.session = open_session(service, caveats, self.seat.stream, interrupter, self._files)

    def settle(self, session_id: str, folder: str) -> None:
        """Be the session of that id, whose folder is made when it needs one."""
        self._files.settle(folder)
        self._refusals.session_id = session_id
        self.session.started_at = monotonic()

    def prepare(self) -> None:
        """Make as much of the first connection as is known before it comes."""
        for name in ASKED_FOR_FIRST:  # what is known of them is kept
            function = self.session.get_function(name)
            if function is not None:
                self.session.free_handle(function.handle, TypeCode.FUNCTION)
        self.seat.prepare(self.session)

    def _make_dispatcher(
        self, session: RPCSession, caveats: str, due: DueQueue | None
    ) -> Dispatcher:
        """Return what serves the session to a client: with a gate, unless that may do all."""
        grant = grant_of(caveats)
        if grant.is_whole:
            dispatcher = Dispatcher(session, due)
        else:
            from rpcnb.endpoint.serving.gate import GatedDispatcher

            dispatcher = GatedDispatcher(session, grant, self._refusals.add, due)
        if dispatcher.is_local:
            dispatcher.memory = AdoptedMemory(session, self._files)
        return dispatcher

    def close(self) -> None:
        """End the session, saying how much it has done."""
        self._refusals.tell_counts(self.session)
        self.session.shutdown()


class Refusals:
    """What a session's client was not let do; told to the audit log, a bounded number of times."""

    def __init__(self, notes: Notes | None) -> None:
        self.session_id = ""
        self._notes = notes
        self._count = 0

    def add(self, what: str, needed: Role) -> None:
        """Take note of one, in words without values."""
        self._count += 1
        LOG.info("refused %s, which needs the role %s", what, needed)
        if self._notes is not None and self._count <= MOST_REFUSALS:
            self._notes.write(self.session_id, "refused", what=what, needed=str(needed))

    def tell_counts(self, session: RPCSession) -> None:
        """Say how much a session that ends has done."""
        if self._notes is not None:
            calls = session.statistics().get("calls", 0)
            counted = calls if type(calls) is int else 0
            self._notes.write(self.session_id, "counts", calls=counted, refusals=self._count)


def open_session(
    service: Service,
    caveats: str,
    stream: ExecutionStream,
    interrupter: SignalInterrupter | None,
    files: WorkFolder,
) -> RPCSession:
    """Open what is served: this process, or the next server on the way."""
    if service.open_next is not None:
        return service.open_next()
    from rpcnb.session.backend import make_backends
    from rpcnb.session.cells import Cells
    from rpcnb.session.local import LocalSession

    grant = grant_of(caveats)
    registry = service.registry.only(grant.allows_name) if grant.functions else service.registry
    return LocalSession(
        registry,
        backends=make_backends(service.device_backends),
        name=service.name,
        allowed_modules=service.allowed_modules,
        default_stream=stream,
        interrupter=interrupter,
        work_folder=files,
        cells=Cells(service.registry, files) if service.allow_exec else None,
        limits=service.limits,
    )
