"""`TVMServer`: lets TVM programs use an rpcnb session.

TVM's protocol has no proof of identity, so this never listens beyond loopback.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Self

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import ConnectionClosed, HandshakeError, RpcnbError, TransportTimeout
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.endpoint.tvm.front import TVMFront
from rpcnb.transport import registry as transports
from rpcnb.wire.tvm.greeting import LONGEST_KEY, MAGIC, NO_MATCH
from rpcnb.wire.tvm.values import I32

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.session.base import RPCSession
    from rpcnb.transport.base import Transport

LOG = logging.getLogger(__name__)


class TVMServer:
    """Listens for TVM clients; each gets a session of its own, on a thread of this process.

    Parameters
    ----------
    open_session : callable
        Makes the session to serve.
    key : str
        What clients must ask for. It is a name, no secret.
    port : int
        On the loopback interface; 0 takes a free one.
    """

    def __init__(self, open_session: Callable[[], RPCSession], key: str, port: int = 0) -> None:
        self._open_session = open_session
        self.key = key
        self._listener = transports.listen(f"tcp://127.0.0.1:{port}")
        self.port = int(self._listener.url.rpartition(":")[2])
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
            self._served.add(transport)
            threading.Thread(target=self._serve, args=(transport,), daemon=True).start()

    def _serve(self, transport: Transport) -> None:
        try:
            greet_client(transport, self.key, Deadline.after(DEFAULT_LIMITS.preauth_seconds))
            with self._open_session() as session:
                TVMFront(session, transport).serve()
        except RpcnbError as error:
            LOG.info("a TVM client was refused or lost: %s", error)
        finally:
            transport.close()
            self._served.discard(transport)

    def close(self) -> None:
        """Stop listening and end all sessions.  Idempotent."""
        self._listener.close()
        for transport in tuple(self._served):
            transport.close()
        self._thread.join(DEFAULT_LIMITS.preauth_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def greet_client(transport: Transport, key: str, deadline: Deadline) -> None:
    """Do the server's half of the first bytes.

    Raises
    ------
    HandshakeError
        No TVM client, or it asked for another key; it was told.
    """
    magic, nbytes = (I32.unpack(receive(transport, 4, deadline))[0] for _ in range(2))
    if magic != MAGIC or not 0 <= nbytes <= LONGEST_KEY:
        message = "what connected is no TVM client"
        raise HandshakeError(message)
    words = receive(transport, nbytes, deadline).decode("utf-8", "replace").split()
    if words[:1] != [f"client:{key}"]:
        transport.send([I32.pack(NO_MATCH)])
        message = f"a TVM client asked for {words[:1]} instead of {key!r}"
        raise HandshakeError(message)
    own = f"server:{key}".encode()
    transport.send([I32.pack(MAGIC) + I32.pack(len(own)) + own])


def receive(transport: Transport, nbytes: int, deadline: Deadline) -> bytes:
    """Receive exactly so many bytes."""
    data = bytearray()
    while len(data) < nbytes:
        if not transport.wait_readable(deadline.remaining()):
            message = "a TVM client did not say what it wants"
            raise TransportTimeout(message)
        piece = memoryview(bytearray(nbytes - len(data)))
        count = transport.receive_into(piece)
        if not count:
            message = "a TVM client left during the greeting"
            raise ConnectionClosed(message)
        data += piece[:count]
    return bytes(data)
