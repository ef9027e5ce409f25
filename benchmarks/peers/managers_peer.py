"""The standard library's `multiprocessing.managers`; arrays are pickled.

As shipped for calls. Connecting waits 44 ms for a delayed acknowledgement three times unless the
sockets send at once, so that connections are made with TCP_NODELAY, on both sides.
"""

from __future__ import annotations

import socket
from multiprocessing import connection
from multiprocessing.managers import BaseManager
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import work
from benchmarks.peers.base import SMALL, Peer, serve

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = b"only for this benchmark"


class Work:
    """What a client's proxy stands for."""

    def __init__(self) -> None:
        self._words = np.zeros(0, np.uint64)

    def nothing(self) -> None: ...

    def small(self, *args: Any, **kwargs: Any) -> float:
        return work.small(*args, **kwargs)

    def put(self, words: np.ndarray) -> None:
        self._words = words

    def get(self) -> np.ndarray:
        return self._words

    def mean(self) -> float:
        return work.mean(self._words)

    def checksum(self) -> int:
        return work.checksum(self._words)

    def renew(self) -> int:
        return work.renew(self._words)


class Manager(BaseManager):
    """Knows both classes."""


Manager.register("Work", Work)
Manager.register("Thing", work.Thing, exposed=())


def send_at_once() -> None:
    """Let the sockets of `multiprocessing.connection` be made with TCP_NODELAY."""

    def connect(address: tuple[str, int]) -> connection.Connection:
        sock = socket.create_connection(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection.Connection(sock.detach())

    accept = connection.SocketListener.accept

    def accept_one(self: connection.SocketListener) -> connection.Connection:
        accepted = accept(self)
        with socket.socket(fileno=accepted.fileno()) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.detach()
        return accepted

    connection.SocketClient = connect
    connection.SocketListener.accept = accept_one


class Client(Peer):
    """A proxy; its calls go one after the other over one connection."""

    def __init__(self, server: dict[str, Any]) -> None:
        send_at_once()
        self._manager = Manager(("127.0.0.1", server["port"]), KEY)
        self._manager.connect()
        self._work = self._manager.Work()

    def nothing(self) -> object:
        return self._work.nothing()

    def small(self) -> float:
        return float(self._work.small(*SMALL[0], **SMALL[1]))

    def churn(self) -> None:
        self._manager.Thing()

    def upload(self, words: np.ndarray) -> None:
        self._work.put(words)

    def mean(self) -> float:
        return float(self._work.mean())

    def download(self) -> np.ndarray:
        words: np.ndarray = self._work.get()
        return words

    def checksum(self) -> int:
        return int(self._work.checksum())

    def renew(self) -> int:
        return int(self._work.renew())

    def close(self) -> None:
        del self._work


def start(_: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], object]]:
    send_at_once()
    server = Manager(("127.0.0.1", 0), KEY).get_server()
    # A daemon: it ends with this process, which is how its own `stop` ends, too.
    Thread(target=server.serve_forever, daemon=True).start()
    return {"port": server.address[1]}, lambda: None


if __name__ == "__main__":
    serve(start)
