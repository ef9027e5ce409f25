"""What an input may cost: a parser does work in proportion to what it was given.

The study asks for 5 ms and 1 MiB for 64 KiB. Under a fuzzer, whose instruments make Python several
times slower, and beside other tests, time is compared with 20 times that, and measured again when it
is over. Lists may reserve memory that is never touched, 8 KiB each: hence 9 MiB, as in
tests/wire/test_decoder.py.
"""

from __future__ import annotations

import time
import tracemalloc
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 0.1
"""Of processor time."""
NBYTES = 9 << 20
EACH = 32
"""One input of so many is looked at for its memory, which takes as long as ten others."""
ATTEMPTS = 3


def watched(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return a target that also fails when an input costs too much."""
    numbers = count()

    def run(data: bytes) -> None:
        if seconds_of(target, data) > SECONDS:
            best = min(seconds_of(target, data) for _ in range(ATTEMPTS))
            assert best <= SECONDS, f"{best:.3f} s for {len(data)} bytes"
        if next(numbers) % EACH == 0:
            most = nbytes_of(target, data)
            assert most <= NBYTES, f"{most} bytes for {len(data)}"

    return run


def seconds_of(target: Callable[[bytes], None], data: bytes) -> float:
    """Return the processor time that a target takes."""
    began = time.thread_time()
    target(data)
    return time.thread_time() - began


def nbytes_of(target: Callable[[bytes], None], data: bytes) -> int:
    """Return the most memory that a target has at once."""
    tracemalloc.start()
    try:
        target(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
