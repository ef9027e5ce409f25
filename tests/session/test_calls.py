"""The current call and its progress."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from rpcnb.core.events import EVENTS, CallChanged, CallOutput, CallPhase, CallProgress
from rpcnb.session import calls
from rpcnb.session.calls import CURRENT_CALL, CallContext, report_progress, track
from rpcnb.session.interrupts import ThreadGate
from rpcnb.session.observer import CallObserver

WAIT = 10.0


class Recorder(CallObserver):
    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def started(self) -> None:
        self.seen.append(("started",))

    def progress(self, done, total, description) -> None:
        self.seen.append((done, total, description))

    def output(self, stream, text) -> None:
        self.seen.append((stream, text))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def call(recorder):
    call = CallContext(1, "f", recorder)
    token = CURRENT_CALL.set(call)
    yield call
    CURRENT_CALL.reset(token)


@pytest.fixture
def clock(monkeypatch):
    """Give a clock that stands still unless moved."""
    now = [100.0]
    monkeypatch.setattr(calls, "monotonic", lambda: now[0])
    return now


def test_outside_of_a_call_nothing_happens() -> None:
    report_progress(1, 2)
    assert list(track([1, 2])) == [1, 2]


def test_the_first_report_says_that_the_call_runs(call, recorder) -> None:
    report_progress(1, 2, "x")
    assert recorder.seen == [("started",), (1, 2, "x")]


def test_reports_are_throttled_and_the_last_one_is_sent(call, recorder, clock) -> None:
    for done in range(100):
        clock[0] += 0.001
        report_progress(done)
    call.finish()
    reports = [entry[0] for entry in recorder.seen if len(entry) == 3]
    assert reports[0] == 0
    assert reports[-1] == 99
    assert len(reports) == 3


def test_completion_is_never_held_back(call, recorder, clock) -> None:
    report_progress(1, 2)
    report_progress(2, 2)
    report_progress(2, 2)
    assert recorder.seen[1:] == [(1, 2, ""), (2, 2, "")]


def test_nothing_is_passed_on_after_the_end(call, recorder) -> None:
    call.finish()
    report_progress(1)
    call.output("stdout", "x")
    call.announce()
    assert recorder.seen == []


def test_track_knows_the_length(call, recorder, clock) -> None:
    for _ in track("abc", "letters"):
        clock[0] += 1
    assert recorder.seen[1:] == [(n, 3, "letters") for n in range(4)]


def test_track_of_an_iterator_has_no_total(call, recorder) -> None:
    assert list(track((x for x in "ab"), "it")) == ["a", "b"]
    assert recorder.seen[-1] == (2, None, "it")


def test_of_nested_loops_the_outer_counts(call, recorder, clock) -> None:
    for _ in track(range(2), "outer"):
        clock[0] += 1
        for _ in track(range(5), "inner"):
            clock[0] += 1
    assert {entry[2] for entry in recorder.seen[1:]} == {"outer"}


def test_one_loop_after_another_both_count(call, recorder, clock) -> None:
    for name in ("first", "second"):
        for _ in track(range(2), name):
            clock[0] += 1
    assert [entry[2] for entry in recorder.seen[1:]] == ["first"] * 3 + ["second"] * 2


def test_a_loop_left_early_makes_room(call, recorder, clock) -> None:
    loop = track(range(9), "left")
    next(loop)
    loop.close()
    clock[0] += 1
    next(track(range(2), "next"))
    assert recorder.seen[-1] == (0, 2, "next")


def test_a_thread_belongs_to_no_call_unless_given_the_context(call, recorder) -> None:
    def work() -> None:
        report_progress(7)

    for target in (work, lambda: None):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join(WAIT)
    assert recorder.seen == []
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
    thread.start()
    thread.join(WAIT)
    assert recorder.seen[-1][0] == 7


def test_tasks_of_one_loop_report_to_their_own_calls() -> None:
    recorders = [Recorder() for _ in range(3)]

    async def one(number: int) -> None:
        CURRENT_CALL.set(CallContext(number, "f", recorders[number]))
        await asyncio.sleep(0)
        report_progress(number)

    async def main() -> None:
        await asyncio.gather(*(one(n) for n in range(3)))

    asyncio.run(main())
    assert [r.seen[-1][0] for r in recorders] == [0, 1, 2]


def test_an_observer_is_never_interrupted() -> None:
    class Slow(Recorder):
        def progress(self, done, total, description) -> None:
            gate.interrupt()
            super().progress(done, total, description)

    recorder = Slow()
    call = CallContext(1, "f", recorder)
    gate = call.gate = ThreadGate()
    token = CURRENT_CALL.set(call)
    try:
        with pytest.raises(KeyboardInterrupt):
            gate.run(report_progress, (1,), {})
    finally:
        CURRENT_CALL.reset(token)
    assert recorder.seen[-1][0] == 1


def test_an_observer_that_raises_does_not_fail_the_function(call, recorder, monkeypatch) -> None:
    def gone(*args) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(recorder, "progress", gone)
    report_progress(1)


def test_views_are_told_what_the_observer_is_told(recorder) -> None:
    with EVENTS.subscribe() as subscription:
        call = CallContext(5, "f", recorder, session=3)
        call.progress(1, 2, "x")
        call.output("stderr", "text")
        events = subscription.drain()
    started, progress, output = events
    assert isinstance(started, CallChanged)
    assert started.phase is CallPhase.STARTED
    assert isinstance(progress, CallProgress)
    assert (progress.session, progress.call, progress.done) == (3, 5, 1)
    assert isinstance(output, CallOutput)
    assert (output.stream, output.text) == ("stderr", "text")
