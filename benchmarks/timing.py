"""How both sides, the limit and rpcnb, are timed: by the same few lines."""

from __future__ import annotations

import subprocess
import sys
import zlib
from statistics import median
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.child import wait_for_others

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.child import Figures

STEP = np.uint64(0x9E3779B97F4A7C15)  # odd: it takes 2**64 additions to come back


def summary(nanoseconds: Sequence[int]) -> Figures:
    """Return median and 99th percentile [s]."""
    ordered = sorted(nanoseconds)
    return {
        "median": median(ordered) * 1e-9,
        "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1e-9,
    }


def time_each(action: Callable[[], object], number: int) -> Figures:
    """Time `number` runs one by one, after a quarter as many that do not count."""
    for _ in range(number // 4 + 1):
        action()
    times = []
    for _ in range(number):
        began = perf_counter_ns()
        action()
        times.append(perf_counter_ns() - began)
    return summary(times)


def time_transfers(
    renew: Callable[[], int], transfer: Callable[[], object], check: Callable[[], int], number: int
) -> Figures:
    """Time copies of bytes that are new each time.

    Parameters
    ----------
    renew : callable
        Changes the bytes where they come from; returns their checksum.
    transfer : callable
        What is timed.
    check : callable
        Returns the checksum of the bytes where they went.
    number : int
        Copies that count; the first one does not.
    """
    times = []
    for _ in range(number + 1):
        expected = renew()
        began = perf_counter_ns()
        transfer()
        times.append(perf_counter_ns() - began)
        if check() != expected:
            raise RuntimeError("the bytes that arrived are not those that were sent")
    return summary(times[1:])


def count_for(action: Callable[[], object], seconds: float) -> Figures:
    """Count runs in some seconds, together with the other processes of this measurement."""
    for _ in range(200):
        action()
    wait_for_others()
    runs, began = 0, perf_counter()
    while (elapsed := perf_counter() - began) < seconds:
        action()
        runs += 1
    return {"rate": runs / elapsed}


def time_process(code: str, text: str) -> Figures:
    """Time a fresh interpreter until it prints something; `text` is its standard input.

    The second one: the first may have to compile modules, and to read them from a disk.
    """
    _run_process(code, text)
    return {"median": _run_process(code, text)}


def _run_process(code: str, text: str) -> float:
    began = perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None  # as asked for
        assert process.stdout is not None
        process.stdin.write(text)
        process.stdin.close()
        answered = process.stdout.readline()
        elapsed = perf_counter() - began
    if not answered:
        raise RuntimeError("the fresh process failed")
    return elapsed


def some_bytes(nbytes: int) -> np.ndarray:
    """Return memory that has been touched, as 64-bit words that differ."""
    return np.arange(nbytes // 8, dtype=np.uint64) * STEP


def renew(words: np.ndarray) -> int:
    """Change every word; return the checksum."""
    words += STEP
    return checksum(words)


def checksum(words: np.ndarray) -> int:
    return zlib.crc32(words.data)
