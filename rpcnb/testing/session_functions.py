"""What the serving side of a `SessionSuite` must have registered: small functions to be called.

``register_all(registry)`` adds them under ``test.``.  Tests meet on a board: one call waits for a
key that another call releases, so that no test sleeps.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings
from collections import defaultdict
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.session.calls import report_progress, track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcnb.session.functions import FunctionRegistry

PATIENCE = 20.0
"""Seconds after which a function that waits gives up."""

_BOARD: defaultdict[str, threading.Event] = defaultdict(threading.Event)


class CustomError(Exception):
    """An error class which the other side does not know."""


class UnprintableError(Exception):
    """An error whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class Box:
    """An object that must stay where it is."""

    def __init__(self, content: object) -> None:
        self.content = content

    def __repr__(self) -> str:
        return f"Box({self.content!r})"


_ERRORS: dict[str, Callable[[str], BaseException]] = {
    "ValueError": ValueError,
    "KeyError": KeyError,
    "CustomError": CustomError,
    "UnprintableError": UnprintableError,
    "MemoryError": MemoryError,
    "KeyboardInterrupt": KeyboardInterrupt,
}


def fail(kind: str, message: str) -> None:
    """Raise."""
    raise _ERRORS[kind](message)


def recurse(depth: int = 0) -> int:
    """Recurse without end."""
    return recurse(depth + 1) + 1


def make_adder(number: int) -> Callable[[int], int]:
    """Return a closure."""
    return lambda other: number + other


def make_holder(size: int) -> tuple[Any, Callable[[], float]]:
    """Return an array, and a closure that keeps it alive and sums it."""
    array = np.ones(size)
    return array, lambda: float(array.sum())


def release(key: str) -> None:
    """Let the calls go that wait for `key`."""
    _BOARD[key].set()


def released(key: str) -> bool:
    """Tell whether `key` was released."""
    return _BOARD[key].is_set()


def wait(key: str, running: str = "") -> str:
    """Release `running`, then wait until somebody releases `key`."""
    if running:
        release(running)
    end = monotonic() + PATIENCE
    # In slices, because an interrupt of a thread other than the main one comes between them.
    while not _BOARD[key].wait(0.002):
        if monotonic() > end:
            raise TimeoutError(f"nobody released {key!r}")
    return key


def wait_and_clean(key: str, running: str, cleaned: str) -> None:
    """Wait, and release `cleaned` whatever happens."""
    try:
        wait(key, running)
    finally:
        release(cleaned)


def wait_stubbornly(key: str, running: str) -> str:
    """Swallow an interrupt and return normally."""
    try:
        wait(key, running)
    except KeyboardInterrupt:
        return "stubborn"
    return "released"


def hold_on(running: str) -> None:
    """Go on in spite of an interrupt, and never return by itself."""
    release(running)
    end, nothing = monotonic() + PATIENCE, threading.Event()
    while monotonic() < end:
        with suppress(KeyboardInterrupt):
            nothing.wait(end - monotonic())


def append(items: Box, item: object) -> int:
    """Append to a list that lives here; return its length."""
    assert isinstance(items.content, list)
    items.content.append(item)
    return len(items.content)


def content(box: Box) -> object:
    """Return what is in a box."""
    return box.content


def progress(count: int) -> int:
    """Report progress `count` times."""
    for done in track(range(count), description="steps"):
        report_progress(done + 1, count, "steps")
    return count


def print_lines(count: int) -> None:
    """Print numbered lines, every third to stderr."""
    for number in range(count):
        print(number, file=sys.stderr if number % 3 == 2 else sys.stdout)


def warn(message: str) -> None:
    """Warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(message, UserWarning, stacklevel=2)


def numbers(count: int, closed: str = "") -> Iterator[int]:
    """Yield numbers; release `closed` at the end."""
    try:
        yield from range(count)
    finally:
        release(closed)


def numbers_then_fail(count: int) -> Iterator[int]:
    """Yield numbers, and raise."""
    yield from range(count)
    raise ValueError("in the middle")


async def async_add(left: int, right: int) -> int:
    """Add, after a turn of the loop."""
    await asyncio.sleep(0)
    return left + right


async def async_wait(running: str, cleaned: str) -> None:
    """Wait until cancelled."""
    try:
        release(running)
        await asyncio.sleep(PATIENCE)
    finally:
        release(cleaned)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add_one": lambda number: number + 1,
    "append": append,
    "array": lambda count: np.arange(count, dtype="<f8"),
    "arrays": lambda count: {"all": [np.full(3, n) for n in range(count)]},
    "async_add": async_add,
    "async_wait": async_wait,
    "box": Box,
    "call": lambda function, *args, **kwargs: function(*args, **kwargs),
    "call_each": lambda function, items: [function(item) for item in items],
    "call_named": lambda *, callback, value: callback(value),
    "content": content,
    "echo": lambda value, *_: value,
    "exit": sys.exit,
    "fail": fail,
    "make_adder": make_adder,
    "make_holder": make_holder,
    "many": lambda *args, **kwargs: [list(args), kwargs],
    "nothing": lambda: None,
    "numbers": numbers,
    "numbers_then_fail": numbers_then_fail,
    "print_lines": print_lines,
    "progress": progress,
    "recurse": recurse,
    "release": release,
    "released": released,
    "strcat": lambda left, right: left + right,
    "sum": lambda array: float(np.sum(array)),
    "thread": threading.get_ident,
    "hold_on": hold_on,
    "wait": wait,
    "wait_and_clean": wait_and_clean,
    "wait_stubbornly": wait_stubbornly,
    "warn": warn,
}


def register_all(registry: FunctionRegistry) -> None:
    """Offer all of them under ``test.``; may be called again."""
    for name, function in FUNCTIONS.items():
        registry.add(f"test.{name}", function, override=True)
