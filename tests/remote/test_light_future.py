from __future__ import annotations

import sys
import threading
from concurrent.futures import (
    FIRST_COMPLETED,
    InvalidStateError,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from typing import TYPE_CHECKING

import pytest

from rpcnb.remote.light_future import LightFuture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOON = 10.0


@pytest.fixture
def many_switches() -> Iterator[None]:
    """Threads take turns as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_nothing_is_made_while_nobody_waits() -> None:
    future = LightFuture()
    assert not vars(future)
    future.settle(3)
    assert future.result() == 3
    assert future.done()
    assert not isinstance(future._condition, threading.Condition)


def test_it_is_as_any_future_before_its_end() -> None:
    future = LightFuture()
    told: list[object] = []
    future.add_done_callback(lambda done: told.append(done.result()))
    assert not future.done()
    assert not future.running()
    with pytest.raises(TimeoutError):
        future.result(0)
    future.set_running_or_notify_cancel()
    assert future.running()
    future.settle(3)
    assert (told, future.result(), future.exception(), future.running()) == ([3], 3, None, False)


def test_it_is_as_any_future_after_its_end() -> None:
    future = LightFuture()
    future.settle(None)
    told: list[object] = []
    future.add_done_callback(told.append)
    assert told == [future]
    assert future.exception() is None
    assert not future.cancel()
    assert wait([future], 0).done == {future}
    assert list(as_completed([future], 0)) == [future]
    assert "finished" in repr(future)
    with pytest.raises(InvalidStateError):
        future.set_result(1)


def test_an_error_ends_it() -> None:
    future = LightFuture()
    future.set_exception(ValueError("no good"))
    assert future.done()
    with pytest.raises(ValueError, match="no good"):
        future.result()


def test_one_waits_for_some_that_have_ended_and_some_that_have_not() -> None:
    futures = [LightFuture() for _ in range(6)]
    for future in futures[::2]:
        future.settle(0)
    assert wait(futures, 0, FIRST_COMPLETED).done == set(futures[::2])
    for future in futures[1::2]:
        future.settle(1)
    assert wait(futures, SOON).not_done == set()


def test_it_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError, match="missing"):
        LightFuture().missing  # noqa: B018 -- looking is the test


def by_result(futures: list[LightFuture]) -> list[object]:
    return [future.result(SOON) for future in futures]


def by_wait(futures: list[LightFuture]) -> list[object]:
    assert not wait(futures, SOON).not_done
    return [future.result(0) for future in futures]


def by_completion(futures: list[LightFuture]) -> list[object]:
    return sorted(future.result(0) for future in as_completed(futures, SOON))


def by_callback(futures: list[LightFuture]) -> list[object]:
    ended = threading.Semaphore(0)
    for future in futures:
        future.add_done_callback(lambda _: ended.release())
    assert all(ended.acquire(timeout=SOON) for _ in futures)
    assert not ended.acquire(blocking=False)
    return [future.result(0) for future in futures]


@pytest.mark.usefixtures("many_switches")
@pytest.mark.parametrize("look", [by_result, by_wait, by_completion, by_callback])
def test_whoever_is_first_nobody_misses_the_end(
    look: Callable[[list[LightFuture]], list[object]],
) -> None:
    for _ in range(20):
        futures = [LightFuture() for _ in range(50)]
        with ThreadPoolExecutor(2) as watchers:
            found = [watchers.submit(look, futures) for _ in "ab"]
            for number, future in enumerate(futures):
                future.settle(number)
            assert [each.result(SOON) for each in found] == [list(range(50))] * 2
