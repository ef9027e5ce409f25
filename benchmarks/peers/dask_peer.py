"""dask.distributed: calls through an actor, arrays by ``scatter(direct=True)`` and ``gather``.

An actor's calls go straight to the worker; `Client.submit` collects tasks for 10 ms before it sends
any, and asks the scheduler.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import distributed

from benchmarks import work
from benchmarks.peers.base import SMALL, Peer, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


class Work:
    """The actor."""

    def nothing(self) -> None: ...

    def small(self, *args: Any, **kwargs: Any) -> float:
        return work.small(*args, **kwargs)

    def mean(self, words: np.ndarray) -> float:
        return work.mean(words)


def renewed(words: np.ndarray) -> tuple[np.ndarray, int]:
    """Return other words and their checksum; what was scattered is not to be changed."""
    words = words.copy()
    return words, work.renew(words)


class Client(Peer):
    """A client of a cluster of one worker with one thread."""

    def __init__(self, server: dict[str, Any]) -> None:
        self._client = distributed.Client(server["address"])
        self._actor = self._client.submit(Work, actor=True, pure=False).result()
        self._words: Any = None

    def nothing(self) -> object:
        return self._actor.nothing().result()

    def small(self) -> float:
        return float(self._actor.small(*SMALL[0], **SMALL[1]).result())

    def in_flight(self, number: int) -> None:
        for future in [self._actor.nothing() for _ in range(number)]:
            future.result()

    def churn(self) -> None:
        self._run(work.make)  # freed with its future

    def _run(self, function: Callable[..., Any], *args: object) -> Any:
        future = self._client.submit(function, *args, pure=False)
        distributed.wait(future)
        return future

    def upload(self, words: np.ndarray) -> None:
        self._words = self._client.scatter(words, direct=True, hash=False)

    def mean(self) -> float:
        return float(self._run(work.mean, self._words).result())

    def download(self) -> np.ndarray:
        words: np.ndarray = self._client.gather(self._words, direct=True)
        return words

    def checksum(self) -> int:
        return int(self._run(work.checksum, self._words).result())

    def renew(self) -> int:
        both = self._run(renewed, self._words)
        self._words = self._run(first, both)
        return int(self._run(second, both).result())

    def close(self) -> None:
        self._words = self._actor = None
        self._client.close()


def first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def second(pair: tuple[Any, Any]) -> Any:
    return pair[1]


def start(_: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], object]]:
    cluster = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        dashboard_address=":0",
        silence_logs=logging.ERROR,
        memory_limit=0,
    )
    return {"address": cluster.scheduler_address}, cluster.close


if __name__ == "__main__":
    serve(start)
