"""What a zygote does with processes and descriptors, and a worker with its own, by system calls."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
"""Looked up once, not by each worker."""


def close_all(numbers: list[int]) -> None:
    """Close descriptors, with one system call for those that follow each other."""
    numbers.sort()
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            os.closerange(first, last + 1)
            first = number
        last = number
    os.closerange(first, last + 1)


def flush_output() -> None:
    """Let nothing be lost; what stdout and stderr lead to may have gone with the broker."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def send_signal(pid: int, number: int) -> None:
    """Send a signal to a process, which may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def kill_group(leader: int) -> None:
    """End what a worker left behind: its process group, which outlives it."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody left (macOS says EPERM for zombies)
        return


def die_with(parent: int) -> None:
    """Be ended when the zygote is killed outright (Linux; elsewhere workers see their peer go)."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # killed before this was arranged
            os._exit(1)
