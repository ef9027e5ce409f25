"""execnet: a gateway to a process that it starts itself; arrays cross as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import execnet
import numpy as np

from benchmarks.child import ROOT
from benchmarks.peers.base import SMALL, Peer, serve

if TYPE_CHECKING:
    from collections.abc import Callable

SERVING = """
import sys
sys.path.insert(0, channel.receive())
from benchmarks.peers.execnet_peer import answer
answer(channel)
"""


def answer(channel: Any) -> None:
    """Serve one channel: what runs over there."""
    from benchmarks import work
    from benchmarks.child import pin

    words, things = np.zeros(0, np.uint64), {}
    pin(channel.receive())
    for wish, *rest in channel:
        answer: object = None
        if wish == "small":
            args, kwargs = rest
            answer = work.small(*args, **kwargs)
        elif wish == "make":
            things[len(things)] = work.make()
            answer = len(things) - 1
        elif wish == "free":
            del things[rest[0]]
        elif wish == "put":
            words = np.frombuffer(bytearray(rest[1]), rest[0])
        elif wish == "get":
            answer = words.tobytes()
        elif wish != "nothing":
            answer = getattr(work, wish)(words)
        channel.send(answer)


class Client(Peer):
    """A gateway with one channel."""

    def __init__(self, server: dict[str, Any]) -> None:
        self._gateway = execnet.makegateway("popen")
        channel = self._channel = self._gateway.remote_exec(SERVING)
        channel.send(str(ROOT))
        channel.send(server["cores"])
        self._dtype = ""

    def _ask(self, *wish: object) -> Any:
        self._channel.send(wish)
        return self._channel.receive()

    def nothing(self) -> object:
        return self._ask("nothing")

    def small(self) -> float:
        return float(self._ask("small", *SMALL))

    def in_flight(self, number: int) -> None:
        for _ in range(number):
            self._channel.send(("nothing",))
        for _ in range(number):
            self._channel.receive()

    def churn(self) -> None:
        self._ask("free", self._ask("make"))

    def upload(self, words: np.ndarray) -> None:
        self._dtype = words.dtype.str
        self._ask("put", self._dtype, words.tobytes())

    def mean(self) -> float:
        return float(self._ask("mean"))

    def download(self) -> np.ndarray:
        return np.frombuffer(self._ask("get"), self._dtype)

    def checksum(self) -> int:
        return int(self._ask("checksum"))

    def renew(self) -> int:
        return int(self._ask("renew"))

    def close(self) -> None:
        self._gateway.exit()
        execnet.default_group.terminate(timeout=5.0)


def start(task: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], object]]:
    """Serve nothing: each client starts its own; tell it on which cores."""
    return {"cores": task["cores"]}, lambda: None


if __name__ == "__main__":
    serve(start)
