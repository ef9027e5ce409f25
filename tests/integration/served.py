"""Functions that the servers of these tests offer: some behave, some do not."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

from rpcnb.session.functions import REGISTRY, register


class Box:
    """An object that stays here."""


@register("t.echo")
def echo(value=None):
    return value


@register("t.double")
def double(value):
    return value * 2


@register("t.negate")
def negate(value):
    return -value


@register("t.loop")
def loop(seconds):
    end = time.monotonic() + seconds
    turns = 0
    while time.monotonic() < end:
        turns += 1
    return turns


@register("t.sleep")
def sleep(seconds):
    time.sleep(seconds)
    return seconds


@register("t.stubborn")
def stubborn(seconds):
    """Go on in spite of interrupts."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(0.01)
        except KeyboardInterrupt:
            continue


@register("t.deaf")
def deaf(seconds):
    """Let no signal in, as C code in a long loop does."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        time.sleep(seconds)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@register("t.grip")
def grip(seconds):
    """Hold the interpreter's lock in C: no other thread of this process runs, and no signal is seen."""
    ctypes.PyDLL(None).sleep(seconds)


@register("t.backtrack")
def backtrack(length):
    """Look for a match for as long as the universe exists, in C and with the lock."""
    return re.match(r"(a+)+$", "a" * length + "b")


@register("t.multiply")
def multiply(number):
    """Multiply numbers of millions of digits, in C and with the lock."""
    return math.factorial(number).bit_length()


@register("t.run_and_say")
def run_and_say(name, argument, path):
    """Make a file, so that others see that this runs, and call another function."""
    Path(path).touch()
    return REGISTRY.get(name)(argument)


# Not in the call: where NumPy first imports this, an interrupt is swallowed by its C modules.
UNSORTED = np.random.default_rng(0).random(200_000)


@register("t.sort")
def sort(seconds):
    """Spend the time in loops of NumPy's, of some 10 ms each, where no signal is looked at."""
    end = time.monotonic() + seconds
    numbers = UNSORTED
    while time.monotonic() < end:
        np.sort(numbers)
    return seconds


@register("t.hang")
def hang():
    while True:
        pass


@register("t.exit")
def end_process(code):
    os._exit(code)


@register("t.crash")
def crash():
    ctypes.string_at(0)


@register("t.call_stubbornly")
def call_stubbornly(function, seconds):
    """Go on whatever became of a call of the client's."""
    try:
        function()
    except BaseException:  # noqa: BLE001 -- as its name says
        stubborn(seconds)


@register("t.call")
def call(function, *args):
    return function(*args)


@register("t.zeros")
def zeros(nbytes):
    """Return an array all of whose memory is really there."""
    array = np.empty(nbytes, "u1")
    array[...] = 1
    return array


@register("t.checksum")
def checksum(array):
    return int(np.bitwise_xor.reduce(array.view("u8")))


@register("t.objects")
def objects(count):
    return [Box() for _ in range(count)]


@register("t.pid")
def pid():
    return os.getpid()


@register("t.spawn")
def spawn():
    """Start a process that outlives the call."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    return child


@register("t.threads")
def threads():
    return threading.active_count()


@register("t.memory")
def memory(reset):
    """Return this process's resident and peak resident bytes; let the peak begin anew.

    What is free, but kept by the allocator, is given back first: it is nobody's.
    """
    gc.collect()
    getattr(ctypes.CDLL(None), "malloc_trim", bool)(0)  # glibc's
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return [int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")]


@register("t.blocks")
def blocks():
    """Return how many blocks of memory Python's objects have."""
    gc.collect()
    return sys.getallocatedblocks()


@register("t.array")
def array(values, dtype):
    return np.array(values, dtype)


@register("t.raise_large")
def raise_large(length):
    raise ValueError("x" * length)


SEEN: set[int] = set()
"""What `t.increase` was given, and how often it was called."""
CALLS = [0]


@register("t.increase")
def increase(number):
    """Count, in this session's process."""
    SEEN.add(number)
    CALLS[0] += 1
    return CALLS[0]


@register("t.counted")
def counted():
    return [CALLS[0], len(SEEN)]
