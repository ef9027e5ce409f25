"""Who has an object: nobody but the local variable that is asked about, or somebody else, too."""

from __future__ import annotations

import threading
from contextvars import ContextVar, copy_context
from sys import getrefcount
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.reuse import UNSHARED

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT = 10.0
VARIABLE: ContextVar[object] = ContextVar("VARIABLE")


class Thing:
    def method(self) -> None: ...


class Keeper:
    """Keeps a thing as a session keeps a call, and says whether nobody else has it."""

    def __init__(self) -> None:
        self.spare: Thing | None = Thing()

    def has_it_alone(self) -> bool:
        thing, self.spare = self.spare, None
        alone = getrefcount(thing) == UNSHARED
        self.spare = thing
        return alone


def in_a_copied_context(thing: Thing) -> object:
    token = VARIABLE.set(thing)
    copied = copy_context()
    VARIABLE.reset(token)
    return copied


def in_a_frame(thing: Thing) -> object:
    def wait():
        yield thing

    waiting = wait()
    next(waiting)
    return waiting


def in_a_traceback(thing: Thing) -> object:
    try:
        assert thing is None
    except AssertionError as error:
        return error
    return None


HOLDERS: dict[str, Callable[[Thing], object]] = {
    "list": lambda thing: [thing],
    "bound method": lambda thing: thing.method,
    "closure": lambda thing: lambda: thing,
    "context": in_a_copied_context,
    "frame": in_a_frame,
    "traceback": in_a_traceback,
}


def test_nobody_else_has_what_only_its_keeper_has() -> None:
    keeper = Keeper()
    assert all(keeper.has_it_alone() for _ in range(100))


@pytest.mark.parametrize("holder", HOLDERS)
def test_whoever_else_has_it_is_seen_until_they_let_go(holder) -> None:
    keeper = Keeper()
    assert keeper.spare is not None
    held = HOLDERS[holder](keeper.spare)
    assert not keeper.has_it_alone()
    del held
    assert keeper.has_it_alone()


def test_a_thread_that_has_it_is_seen() -> None:
    keeper, taken, leave = Keeper(), threading.Event(), threading.Event()

    def use() -> None:
        thing = keeper.spare
        taken.set()
        leave.wait(WAIT)
        del thing

    thread = threading.Thread(target=use)
    thread.start()
    assert taken.wait(WAIT)
    assert not keeper.has_it_alone()
    leave.set()
    thread.join(WAIT)
    assert keeper.has_it_alone()
