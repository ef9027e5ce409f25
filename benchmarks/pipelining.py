"""``python -m benchmarks.pipelining``: what needs no waiting, near and 2 ms away.

1. A chain of 1,000 operations on 100 numbers, each on the result of the one before, to the download
   of the last: sent ahead, and waited for one by one (`rpcnb.sync_mode`), on this machine and over
   a relay that adds a round trip of 2 ms. Microseconds an operation; the quickest of some runs.
2. Null calls: 5,000 in a batch, and 5,000 submitted, against as many messages of a bare socket
   (`limits.in_flight`), in turns. Thousands a second; the median of the rounds' ratios.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from time import perf_counter
from typing import TYPE_CHECKING, Any

import rpcnb
from benchmarks.child import ROOT, probe, server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcnb import Remote

OPERATIONS, CALLS, RUNS, ROUNDS = 1000, 5000, 5, 5
ROUND_TRIP = 0.002
"""Seconds that the relay adds."""


@contextmanager
def far(url: str) -> Iterator[str]:
    """Give the address of a server as through a long line."""
    host, _, port = url.rpartition("//")[2].rpartition(":")
    command = [sys.executable, "-m", "benchmarks.relay", host, port, str(ROUND_TRIP)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as relay:
        assert relay.stdout is not None  # as asked for
        yield f"tcp://127.0.0.1:{relay.stdout.readline().strip()}"
        relay.terminate()


def chain(remote: Remote) -> None:
    """Run the operations, and look at what comes of them."""
    array = remote.arange(100)
    for _ in range(OPERATIONS):
        array = array + 1
    assert array.to_numpy()[0] == OPERATIONS


def quickest(work: Callable[[], None], runs: int) -> float:
    """Return the seconds of the quickest run, after one that does not count."""
    times = []
    for _ in range(runs + 1):
        began = perf_counter()
        work()
        times.append(perf_counter() - began)
    return min(times[1:])


def chains(url: str, token: str) -> dict[str, float]:
    """Return microseconds an operation: sent ahead, and waited for."""
    found = {}
    with rpcnb.connect(url, token) as remote:
        for name, mode in (("sent ahead", nullcontext()), ("one by one", rpcnb.sync_mode())):
            with mode:
                found[name] = quickest(lambda: chain(remote), RUNS) / OPERATIONS * 1e6
        found["waits"] = remote.arrays.pipeline.waits / (RUNS + 1)
    return found


def main() -> None:
    with server("benchmarks.serve", cores=[]) as served:
        near = chains(served["url"], served["token"])
        with far(served["url"]) as url:
            distant = chains(url, served["token"])
        print(
            f"{'chain of 1,000 operations':30} {'sent ahead':>12} {'one by one':>12} {'waits':>8}"
        )
        for name, row in (("on this machine", near), ("2 ms away", distant)):
            ahead, waiting = row["sent ahead"], row["one by one"]
            print(f"{name:30} {ahead:9.1f} µs {waiting:9.1f} µs {row['waits']:8.1f}")
        with server("benchmarks.limits", cores=[]) as limit:
            rates(served, limit)


def rates(served: dict[str, Any], limit: dict[str, Any]) -> None:
    """Measure calls that nobody waits for against the limit, in turns."""
    rows: dict[str, list[tuple[float, float]]] = {"in a batch": [], "submitted": []}
    for _ in range(ROUNDS):
        most = probe("benchmarks.limits:in_flight", (), server=limit, number=CALLS)["rate"]
        for name, function in (
            ("in a batch", "in_batch"),
            ("submitted", "in_flight"),
        ):
            rate = probe(f"benchmarks.probes:{function}", (), server=served, number=CALLS)["rate"]
            rows[name].append((rate, most / rate))
    print(f"\n{'5,000 null calls':30} {'calls/s':>12} {'of the limit':>12}")
    for name, found in rows.items():
        rate = statistics.median(rate for rate, _ in found)
        ratio = statistics.median(ratio for _, ratio in found)
        print(f"{name:30} {rate / 1000:10.0f} k {1 / ratio:11.2f}×")  # noqa: RUF001 -- a sign


if __name__ == "__main__":
    main()
