"""What is measured of a peer: the rows of `benchmarks.probes`, through `base.Peer`.

A function that returns no figures says that this library cannot do that.
"""

from __future__ import annotations

import json
from importlib import import_module
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peers.base import Peer
from benchmarks.timing import (
    checksum,
    count_for,
    renew,
    some_bytes,
    summary,
    time_each,
    time_process,
    time_transfers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.child import Figures

SECONDS = 2.0
"""About as long a row may take: some peers need 200 times as long for a call as others."""


def connect(peer: str, server: dict[str, Any]) -> Peer:
    client: Peer = import_module(peer).Client(server)
    return client


def affordable(action: Callable[[], object], number: int) -> int:
    """Return how many repetitions fit into `SECONDS`, at least 3 and at most `number`."""
    action()
    began = perf_counter()
    action()
    return max(3, min(number, int(SECONDS / (perf_counter() - began))))


def timed(action: Callable[[], object], number: int) -> Figures:
    return time_each(action, affordable(action, number))


def can(peer: str, method: str) -> bool:
    """Tell whether a library has a way to do that; without connecting, which some survive badly."""
    return getattr(import_module(peer).Client, method) is not getattr(Peer, method)


def null_call(peer: str, server: dict[str, Any], number: int) -> Figures:
    with connect(peer, server) as client:
        return timed(client.nothing, number)


def small_call(peer: str, server: dict[str, Any], number: int) -> Figures:
    if not can(peer, "small"):
        return {}
    with connect(peer, server) as client:
        return timed(client.small, number)


def in_flight(peer: str, server: dict[str, Any], number: int) -> Figures:
    with connect(peer, server) as client:
        number = affordable(client.nothing, number)
        return {"rate": number / time_each(lambda: client.in_flight(number), 3)["median"]}


def in_batch(peer: str, server: dict[str, Any], number: int) -> Figures:
    if not can(peer, "in_batch"):
        return {}
    with connect(peer, server) as client:
        return {"rate": number / time_each(lambda: client.in_batch(number), 5)["median"]}


def mean(peer: str, server: dict[str, Any], number: int) -> Figures:
    if not can(peer, "mean"):
        return {}
    with connect(peer, server) as client:
        client.upload(np.arange(125_000, dtype=np.float64))
        return timed(client.mean, number)


def churn(peer: str, server: dict[str, Any], number: int) -> Figures:
    if not can(peer, "churn"):
        return {}
    with connect(peer, server) as client:
        return timed(client.churn, number)


def together(peer: str, server: dict[str, Any], seconds: float) -> Figures:
    if import_module(peer).Client.one_at_a_time:
        return {}
    with connect(peer, server) as client:
        return count_for(client.nothing, seconds)


def bulk(peer: str, server: dict[str, Any], nbytes: int, number: int, direction: str) -> Figures:
    with connect(peer, server) as client:
        words = some_bytes(nbytes)
        number = affordable(lambda: client.upload(words), number)
        if direction == "upload":
            return time_transfers(
                lambda: renew(words), lambda: client.upload(words), client.checksum, number
            )
        came = [words]

        def download() -> None:
            came[0] = client.download()

        return time_transfers(client.renew, download, lambda: checksum(came[0]), number)


def connecting(peer: str, server: dict[str, Any], number: int) -> Figures:
    """Time connecting and a first call."""
    times = []
    for _ in range(number + 1):
        began = perf_counter_ns()
        client = connect(peer, server)
        client.nothing()
        times.append(perf_counter_ns() - began)
        client.close()
    return summary(times[1:])  # the first one imports


def first_call(peer: str, server: dict[str, Any]) -> Figures:
    code = (
        f"import sys, json, {peer} as peer; client = peer.Client(json.load(sys.stdin)); "
        "client.nothing(); print(flush=True); client.close()"
    )
    return time_process(code, json.dumps(server))
