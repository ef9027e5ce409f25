"""What the benchmarked server offers; loaded by the process that forks its workers."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import Counter
from typing import TYPE_CHECKING

import rpcnb
from benchmarks import work

if TYPE_CHECKING:
    from types import FrameType


for _work in (work.nothing, work.small, work.mean, work.make, work.renew, work.checksum):
    rpcnb.register(f"bench.{_work.__name__}")(_work)


@rpcnb.register("bench.hoard")
def hoard(count: int) -> list[work.Thing]:
    return [work.make() for _ in range(count)]


# --- for counts.py: what happens on the thread that serves ------------------------------------------

EVENTS: Counter[str] = Counter()


def _count(_: FrameType, event: str, __: object) -> None:
    EVENTS[event] += 1


@rpcnb.register("bench.start_counting")
def start_counting() -> None:
    EVENTS.clear()
    sys.setprofile(_count)


@rpcnb.register("bench.stop_counting")
def stop_counting() -> dict[str, int]:
    sys.setprofile(None)
    return dict(EVENTS)


@rpcnb.register("bench.start_tracing")
def start_tracing() -> None:
    tracemalloc.start()
    tracemalloc.reset_peak()


@rpcnb.register("bench.stop_tracing")
def stop_tracing() -> int:
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@rpcnb.register("bench.start_hoarding")
def start_hoarding() -> None:
    gc.collect()
    gc.disable()


@rpcnb.register("bench.stop_hoarding")
def stop_hoarding() -> int:
    gc.enable()
    return gc.collect()
