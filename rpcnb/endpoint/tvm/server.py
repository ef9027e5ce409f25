"""`TVMServer`: lets TVM programs use an rpcnb session.

TVM's protocol has no proof of identity, so this never listens beyond loopback.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Self

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import ConnectionClosed, RpcnbError
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.endpoint.tvm.front import TVMFront
from rpcnb.endpoint.tvm.greeting import read_hello, refuse, welcome
from rpcnb.endpoint.tvm.registration import PERIOD, Registration
from rpcnb.transport import registry as transports

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.session.base import RPCSession
    from rpcnb.transport.base import Transport

LOG = logging.getLogger(__name__)


class TVMServer:
    """Listens for TVM clients; each gets a session of its own.

    Parameters
    ----------
    serve : callable
        Given a greeted connection, and for how many seconds (None: as long as it likes), serves a
        session on it until its end: `serve_here`, or a `Server` that has workers.
    key : str
        What clients must ask for. It is a name, no secret.
    port : int
        On the loopback interface; 0 takes a free one.
    tracker : tuple of str and int, optional
        Host and port of a TVM tracker. With one, only clients that it sends are let in, one at a
        time, as TVM's servers do.
    tracker_period : float [s]
        Between two looks at the tracker.
    """

    def __init__(
        self,
        serve: Callable[[Transport, float | None], None],
        key: str,
        port: int = 0,
        *,
        tracker: tuple[str, int] | None = None,
        tracker_period: float = PERIOD,
    ) -> None:
        self._serve_greeted = serve
        self.key = key
        self._listener = transports.listen(f"tcp://127.0.0.1:{port}")
        self.port = int(self._listener.url.rpartition(":")[2])
        self._registration: Registration | None = None
        if tracker is not None:
            self._registration = Registration(tracker, key, self.port, period=tracker_period)
        self._lock = threading.Lock()
        self._strangers: OrderedDict[int, Transport] = OrderedDict()
        """Connections that have not said what they want yet, oldest first."""
        self._served: set[Transport] = set()
        self._thread = threading.Thread(target=self._accept, name="rpcnb-tvm", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                transport = self._listener.accept()
            except ConnectionClosed:
                return
            except RpcnbError as error:  # this one went away
                LOG.info("a TVM client could not be accepted: %s", error)
                continue
            self._make_room(transport)
            threading.Thread(target=self._serve, args=(transport,), daemon=True).start()

    def _make_room(self, transport: Transport) -> None:
        """Count a stranger in; the one that has dawdled longest makes room.

        So that a crowd which says nothing keeps nobody out, as in `Broker`.
        """
        with self._lock:
            self._strangers[id(transport)] = transport
            if len(self._strangers) <= DEFAULT_LIMITS.preauth_connections:
                return
            _, oldest = self._strangers.popitem(last=False)
        LOG.info("dropped %s: too many strangers", oldest.peer_address)
        oldest.abort()

    def _serve(self, transport: Transport) -> None:
        try:
            hello = read_hello(transport, Deadline.after(DEFAULT_LIMITS.preauth_seconds))
            if self._admits(hello.key):
                self._serve_admitted(transport, hello.seconds)
            else:
                refuse(transport)
                LOG.info("a TVM client asked for %r", hello.key[:80])
        except RpcnbError as error:
            LOG.info("a TVM client was refused or lost: %s", error)
        finally:
            with self._lock:
                self._strangers.pop(id(transport), None)
                self._served.discard(transport)
            transport.close()

    def _admits(self, key: str) -> bool:
        return key == self.key if self._registration is None else self._registration.admit(key)

    def _serve_admitted(self, transport: Transport, seconds: float | None) -> None:
        try:
            with self._lock:
                self._strangers.pop(id(transport), None)
                self._served.add(transport)
            welcome(transport, self.key)
            self._serve_greeted(transport, seconds)
        finally:
            if self._registration is not None:
                self._registration.release()

    def close(self) -> None:
        """Leave the tracker, stop listening and end all sessions.  Idempotent."""
        if self._registration is not None:
            self._registration.close()
        self._listener.close()
        with self._lock:
            open_now = [*self._strangers.values(), *self._served]
        for transport in open_now:
            transport.close()
        self._thread.join(DEFAULT_LIMITS.preauth_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def serve_here(
    open_session: Callable[[], RPCSession],
) -> Callable[[Transport, float | None], None]:
    """Return what serves a session of this process on the thread that accepted its client."""

    def serve(transport: Transport, seconds: float | None) -> None:
        with TVMFront(open_session, transport, seconds) as front:
            front.serve()

    return serve
