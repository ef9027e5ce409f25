"""Tests of `rpcnb.endpoint.serving.threads`: all runs, at the same time, on few threads."""

from __future__ import annotations

import threading
from functools import partial
from queue import SimpleQueue

import pytest
from hypothesis import given, settings, strategies as st

from rpcnb.endpoint.serving import threads as module
from rpcnb.endpoint.serving.threads import Threads

PATIENCE = 20.0
NAME = "test-threads"


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


@pytest.fixture
def threads(eventually):
    made = Threads(NAME)
    yield made
    made.close()
    assert eventually(lambda: ours() == [])


def test_nothing_waits_for_anything_else(threads) -> None:
    barrier = threading.Barrier(33)
    for _ in range(32):
        threads.run(barrier.wait)
    barrier.wait(PATIENCE)


def test_one_after_the_other_takes_one_thread(threads, eventually) -> None:
    seen: SimpleQueue[int] = SimpleQueue()
    idents = set()
    for _ in range(100):
        threads.run(lambda: seen.put(threading.get_ident()))
        idents.add(seen.get(timeout=PATIENCE))
        assert eventually(lambda: threads._idle == 1)
    assert len(idents) == 1


def test_those_that_have_nothing_to_do_end(threads, eventually, monkeypatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    barrier = threading.Barrier(9)
    for _ in range(8):
        threads.run(barrier.wait)
    barrier.wait(PATIENCE)
    assert eventually(lambda: ours() == [])
    done = threading.Event()
    threads.run(done.set)
    assert done.wait(PATIENCE)


def test_of_many_only_a_few_wait_for_more(threads, eventually) -> None:
    barrier = threading.Barrier(3 * module.MOST_IDLE + 1)
    for _ in range(3 * module.MOST_IDLE):
        threads.run(barrier.wait)
    barrier.wait(PATIENCE)
    assert eventually(lambda: len(ours()) == module.MOST_IDLE == threads._idle)


def test_what_runs_when_they_are_closed_is_not_disturbed_and_its_thread_ends(eventually) -> None:
    threads = Threads(NAME)
    go_on, done = threading.Event(), threading.Event()
    threads.run(lambda: (go_on.wait(PATIENCE), done.set()))
    threads.close()
    threads.close()
    go_on.set()
    assert done.wait(PATIENCE)
    assert eventually(lambda: ours() == [])


def test_what_a_task_holds_is_let_go_when_it_is_done(threads, eventually) -> None:
    class Thing:
        def __del__(self) -> None:
            gone.set()

    gone = threading.Event()
    threads.run(partial(id, Thing()))
    assert gone.wait(PATIENCE)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=20), st.floats(0.0001, 0.002))
def test_each_is_run_once_also_where_threads_give_up_meanwhile(bursts, patience) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PATIENCE", patience)
        threads = Threads(NAME)
        seen: SimpleQueue[int] = SimpleQueue()
        expected = list(range(sum(bursts)))
        number = iter(expected)
        for burst in bursts:
            for _ in range(burst):
                threads.run(partial(seen.put, next(number)))
            for _ in range(burst // 2):
                threads.run(threading.Event().is_set)
        assert sorted(seen.get(timeout=PATIENCE) for _ in expected) == expected
        threads.close()
        for thread in ours():
            thread.join(PATIENCE)
        assert ours() == []
