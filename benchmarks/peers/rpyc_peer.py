"""RPyC, with compression off and arrays in pieces of 60 kB that are sent without waiting.

One large message is copied again for each of its parts (5 times the time for 64 MiB). Sockets send
at once (``nodelay``): many pieces would wait 40 ms for a delayed acknowledgement otherwise.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import rpyc
from rpyc.core.channel import Channel
from rpyc.core.stream import SocketStream
from rpyc.utils.server import ThreadedServer

from benchmarks import work
from benchmarks.peers.base import SMALL, Peer, serve

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE = 60_000
"""Bytes of one message: what goes into one packet of RPyC's."""
CONFIG = {"sync_request_timeout": 300}
Channel.COMPRESSION_THRESHOLD = 1 << 60


class Service(rpyc.Service):
    """What one connection sees."""

    def __init__(self) -> None:
        self._words = np.zeros(0, np.uint64)

    def exposed_nothing(self) -> None: ...

    def exposed_small(self, *args: Any, **kwargs: Any) -> float:
        return work.small(*args, **kwargs)

    def exposed_make(self) -> work.Thing:
        return work.make()

    def exposed_allocate(self, dtype: str, nbytes: int) -> None:
        if self._words.nbytes != nbytes:
            self._words = np.zeros(nbytes, np.uint8)
        self._words = self._words.view(dtype)

    def exposed_put(self, offset: int, data: bytes) -> None:
        self._words.data.cast("B")[offset : offset + len(data)] = data

    def exposed_get(self, offset: int, nbytes: int) -> bytes:
        return bytes(self._words.data.cast("B")[offset : offset + nbytes])

    def exposed_mean(self) -> float:
        return work.mean(self._words)

    def exposed_checksum(self) -> int:
        return work.checksum(self._words)

    def exposed_renew(self) -> int:
        return work.renew(self._words)


class Client(Peer):
    """A connection to a `ThreadedServer`."""

    def __init__(self, server: dict[str, Any]) -> None:
        stream = SocketStream.connect("127.0.0.1", server["port"], nodelay=True)
        self._connection = rpyc.connect_stream(stream, config=CONFIG)
        root = self._root = self._connection.root
        self._nothing, self._small, self._make, self._mean = (  # looked up once
            root.nothing,
            root.small,
            root.make,
            root.mean,
        )
        self._put, self._get = rpyc.async_(root.put), rpyc.async_(root.get)
        self._dtype, self._nbytes = "", 0

    def nothing(self) -> object:
        return self._nothing()

    def small(self) -> float:
        return float(self._small(*SMALL[0], **SMALL[1]))

    def in_flight(self, number: int) -> None:
        nothing = rpyc.async_(self._nothing)
        for result in [nothing() for _ in range(number)]:
            result.wait()

    def churn(self) -> None:
        self._make()  # freed with its proxy

    def upload(self, words: np.ndarray) -> None:
        data = words.data.cast("B")
        if (self._dtype, self._nbytes) != (words.dtype.str, words.nbytes):
            self._dtype, self._nbytes = words.dtype.str, words.nbytes
            self._root.allocate(self._dtype, self._nbytes)
        for result in [
            self._put(start, bytes(data[start : start + PIECE]))
            for start in range(0, len(data), PIECE)
        ]:
            result.wait()

    def download(self) -> np.ndarray:
        out = bytearray(self._nbytes)
        starts = range(0, self._nbytes, PIECE)
        pieces = [self._get(start, min(PIECE, self._nbytes - start)) for start in starts]
        for start, piece in zip(starts, pieces, strict=True):
            out[start : start + PIECE] = piece.value
        return np.frombuffer(out, self._dtype)

    def mean(self) -> float:
        return float(self._mean())

    def checksum(self) -> int:
        return int(self._root.checksum())

    def renew(self) -> int:
        return int(self._root.renew())

    def close(self) -> None:
        self._connection.close()


def start(_: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], object]]:
    server = ThreadedServer(Service, hostname="127.0.0.1", port=0, protocol_config=CONFIG)
    server.listener.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # accepted ones inherit it
    threading.Thread(target=server.start, daemon=True).start()
    return {"port": server.port}, server.close


if __name__ == "__main__":
    serve(start)
