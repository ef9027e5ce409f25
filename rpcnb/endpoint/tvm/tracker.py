"""`Tracker`: who knows which TVM servers are free."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Self

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import (
    ConnectionClosed,
    HandshakeError,
    RemoteProtocolError,
    SessionError,
    TransportTimeout,
)
from rpcnb.core.limits import MIB
from rpcnb.transport import registry as transports
from rpcnb.wire.tvm.values import I32

if TYPE_CHECKING:
    from types import TracebackType

MAGIC = 0x0002F271
LONGEST = MIB
PUT, REQUEST, UPDATE_INFO, SUMMARY, PENDING_KEYS = 3, 4, 5, 6, 7
_USER = "rpcnb"


class Tracker:
    """A connection to a TVM tracker.  Thread-safe; a context manager.

    Parameters
    ----------
    host, port
        Where it listens.
    timeout : float [s], optional
        For connecting and for each answer but that of `request`.
    """

    def __init__(self, host: str, port: int, *, timeout: float | None = 10.0) -> None:
        bracketed = f"[{host}]" if ":" in host else host
        self.url = f"tcp://{bracketed}:{port}"
        self._timeout = timeout
        self._lock = threading.Lock()
        deadline = Deadline.after(timeout)
        self._transport = transports.connect(self.url, timeout)
        try:
            self._transport.send([I32.pack(MAGIC)])
            if self._receive(4, deadline) != I32.pack(MAGIC):
                message = f"what answers at {self.url} is no TVM tracker"
                raise HandshakeError(message)  # noqa: TRY301 -- close, whatever it is
        except BaseException:
            self._transport.close()
            raise

    def summary(self) -> dict[str, Any]:
        """Return ``queue_info`` (key → free and pending) and ``server_info`` (a list)."""
        answer = self._ask([SUMMARY], self._timeout)
        if not isinstance(answer, dict):
            message = f"{self.url} gave no summary"
            raise RemoteProtocolError(message)
        return answer

    def request(
        self, key: str, priority: int = 1, timeout: float | None = None
    ) -> tuple[str, int, str]:
        """Wait for a free server; return its host, port, and the key to greet it with.

        Raises
        ------
        TransportTimeout
            None became free within `timeout` seconds. This connection is of no more use then: the
            answer may still come.
        """
        try:
            answer = self._ask([REQUEST, key, _USER, priority], timeout)
        except TransportTimeout:
            self.close()
            message = f"no server with the key {key!r} became free within {timeout} s"
            raise TransportTimeout(message) from None
        match answer:
            case [str(host), int(port), str(match_key)]:
                return host, port, match_key
            case _:
                message = f"{self.url} offered a server without an address"
                raise RemoteProtocolError(message)

    # --- for servers ----------------------------------------------------------------------------

    def introduce(self, key: str, host: str, port: int) -> None:
        """Say which server this connection belongs to; it leaves when the connection ends."""
        self._tell([UPDATE_INFO, {"key": f"server:{key}", "addr": [host, port]}])

    def offer(self, key: str, host: str, port: int, match_key: str) -> None:
        """Say that the server is free for one client, who will greet it with `match_key`."""
        self._tell([PUT, key, [port, match_key], host])

    def offered(self) -> list[object]:
        """Return the match keys of this server that were given to no client yet."""
        answer = self._exchange([PENDING_KEYS], self._timeout)
        if not isinstance(answer, list):
            raise RemoteProtocolError(f"{self.url} gave no list of keys")
        return answer

    def _tell(self, message: list[object]) -> None:
        answer = self._exchange(message, self._timeout)
        if answer != 0:
            raise SessionError(f"the tracker at {self.url} refused: {str(answer)[:200]}")

    # --- one message and its answer -------------------------------------------------------------

    def _ask(self, message: list[object], timeout: float | None) -> object:
        match self._exchange(message, timeout):
            case [0, result]:
                return result
            case answer:
                raise SessionError(f"the tracker at {self.url} refused: {str(answer)[:200]}")

    def _exchange(self, message: list[object], timeout: float | None) -> object:
        with self._lock:
            data = json.dumps(message).encode()
            self._transport.send([I32.pack(len(data)) + data])
            deadline = Deadline.after(timeout)
            (nbytes,) = I32.unpack(self._receive(4, deadline))
            if not 0 < nbytes <= LONGEST:
                raise RemoteProtocolError(f"{self.url} announced {nbytes:,} bytes")
            try:
                return json.loads(self._receive(nbytes, deadline))
            except (ValueError, RecursionError) as error:
                raise RemoteProtocolError(f"{self.url} sent no JSON: {error}") from None

    def _receive(self, nbytes: int, deadline: Deadline) -> bytes:
        data = bytearray()
        while len(data) < nbytes:
            if not self._transport.wait_readable(deadline.remaining()):
                raise TransportTimeout(f"{self.url} does not answer")
            piece = memoryview(bytearray(nbytes - len(data)))
            count = self._transport.receive_into(piece)
            if not count:
                raise ConnectionClosed(f"{self.url} closed the connection")
            data += piece[:count]
        return bytes(data)

    def close(self) -> None:
        """Close the connection.  Idempotent."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<rpcnb.tvm.Tracker {self.url}>"
