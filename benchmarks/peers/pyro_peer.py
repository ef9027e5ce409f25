"""Pyro5, with msgpack as serializer: the default one turns bytes into text."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import Pyro5.api as pyro

from benchmarks import work
from benchmarks.peers.base import SMALL, Peer, serve

if TYPE_CHECKING:
    from collections.abc import Callable

pyro.config.SERIALIZER = "msgpack"


@pyro.expose
class Thing(work.Thing):
    """A small object that stays over there."""


@pyro.expose
@pyro.behavior(instance_mode="session")
class Work:
    """One object for each connection."""

    def __init__(self) -> None:
        self._words = np.zeros(0, np.uint64)

    def nothing(self) -> None: ...

    def small(self, *args: Any, **kwargs: Any) -> float:
        return work.small(*args, **kwargs)

    def make(self) -> str:
        return str(self._pyroDaemon.register(Thing()))

    def free(self, uri: str) -> None:
        self._pyroDaemon.unregister(pyro.URI(uri).object)

    def put(self, dtype: str, data: bytes) -> None:
        self._words = np.frombuffer(bytearray(data), dtype)

    def get(self) -> bytes:
        return self._words.tobytes()

    def mean(self) -> float:
        return work.mean(self._words)

    def checksum(self) -> int:
        return work.checksum(self._words)

    def renew(self) -> int:
        return work.renew(self._words)


class Client(Peer):
    """A proxy."""

    def __init__(self, server: dict[str, Any]) -> None:
        self._proxy = pyro.Proxy(server["uri"])
        self._proxy._pyroBind()  # noqa: SLF001 -- as documented: connect now
        self._dtype = ""

    def nothing(self) -> object:
        return self._proxy.nothing()

    def small(self) -> float:
        return float(self._proxy.small(*SMALL[0], **SMALL[1]))

    def in_batch(self, number: int) -> None:
        batch = pyro.BatchProxy(self._proxy)
        for _ in range(number):
            batch.nothing()
        for _ in batch():
            pass

    def churn(self) -> None:
        self._proxy.free(self._proxy.make())

    def upload(self, words: np.ndarray) -> None:
        self._dtype = words.dtype.str
        self._proxy.put(self._dtype, words.tobytes())

    def mean(self) -> float:
        return float(self._proxy.mean())

    def download(self) -> np.ndarray:
        return np.frombuffer(self._proxy.get(), self._dtype)

    def checksum(self) -> int:
        return int(self._proxy.checksum())

    def renew(self) -> int:
        return int(self._proxy.renew())

    def close(self) -> None:
        self._proxy._pyroRelease()  # noqa: SLF001 -- as documented


def start(_: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], object]]:
    daemon = pyro.Daemon(host="127.0.0.1")
    uri = daemon.register(Work)
    threading.Thread(target=daemon.requestLoop, daemon=True).start()
    return {"uri": str(uri)}, daemon.shutdown


if __name__ == "__main__":
    serve(start)
