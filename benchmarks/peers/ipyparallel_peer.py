"""ipyparallel: a cluster of one engine, through a `DirectView`."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from typing import TYPE_CHECKING, Any

import ipyparallel as ipp

from benchmarks import work
from benchmarks.peers.base import SMALL, Peer, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


class Client(Peer):
    """A `DirectView` of the only engine."""

    def __init__(self, server: dict[str, Any]) -> None:
        self._client = ipp.Client(server["connection"])
        self._client.wait_for_engines(1, timeout=60, interactive=False)
        self._view = self._client[0]
        self._view.execute("from benchmarks.work import make, renew", block=True)

    def nothing(self) -> object:
        return self._view.apply_sync(work.nothing)

    def small(self) -> float:
        return float(self._view.apply_sync(work.small, *SMALL[0], **SMALL[1]))

    def in_flight(self, number: int) -> None:
        for result in [self._view.apply_async(work.nothing) for _ in range(number)]:
            result.get()

    def churn(self) -> None:
        self._view.execute("thing = make()", block=True)
        self._view.execute("del thing", block=True)

    def upload(self, words: np.ndarray) -> None:
        self._view.push({"words": words}, block=True)

    def mean(self) -> float:
        return float(self._view.apply_sync(work.mean, ipp.Reference("words")))

    def download(self) -> np.ndarray:
        words: np.ndarray = self._view.pull("words", block=True)
        return words

    def checksum(self) -> int:
        return int(self._view.apply_sync(work.checksum, ipp.Reference("words")))

    def renew(self) -> int:
        # What was pushed may not be written to: it lies in the message.
        self._view.execute("words = words.copy(); checksum = renew(words)", block=True)
        return int(self._view.pull("checksum", block=True))

    def close(self) -> None:
        self._client.close()


def start(_: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], object]]:
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    os.environ["IPYTHONDIR"] = folder.name  # leave the user's alone
    cluster = ipp.Cluster(n=1, log_level=logging.ERROR)
    cluster.start_cluster_sync()
    found = asyncio.run(cluster.controller.get_connection_info())

    def stop() -> None:
        cluster.stop_cluster_sync()
        folder.cleanup()

    return {"connection": found["client"]}, stop


if __name__ == "__main__":
    serve(start)
