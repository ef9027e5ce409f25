"""The session's event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from rpcnb.session.coroutines import LoopThread

WAIT = 10.0


@pytest.fixture
def loop():
    loop = LoopThread()
    yield loop
    loop.close()


def test_coroutines_run_on_one_thread_beside_each_other(loop) -> None:
    meet = []
    threads = set()
    done = threading.Semaphore(0)

    async def one() -> None:
        threads.add(threading.get_ident())
        meet.append(1)
        while len(meet) < 2:  # noqa: ASYNC110 -- shows that both take turns
            await asyncio.sleep(0)
        done.release()

    loop.start(one)
    loop.start(one)
    assert done.acquire(timeout=WAIT)
    assert done.acquire(timeout=WAIT)
    assert len(threads) == 1


def test_a_cancelled_coroutine_always_takes_its_first_step(loop) -> None:
    outcomes: list[str] = []
    done = threading.Semaphore(0)

    async def one() -> None:
        outcome = "ran"
        try:
            await asyncio.sleep(WAIT)
        except asyncio.CancelledError:
            outcome = "cancelled"
        outcomes.append(outcome)
        done.release()

    for _ in range(50):
        loop.start(one)()
    for _ in range(50):
        assert done.acquire(timeout=WAIT)
    assert outcomes == ["cancelled"] * 50


def test_cancelling_what_has_ended_does_nothing(loop) -> None:
    done = threading.Event()

    async def one() -> None:
        done.set()

    cancel = loop.start(one)
    assert done.wait(WAIT)
    cancel()


def test_closing_ends_the_thread(loop) -> None:
    done = threading.Event()

    async def one() -> None:
        done.set()

    loop.start(one)
    thread = loop._thread
    assert thread is not None
    loop.close()
    loop.close()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert done.is_set()
