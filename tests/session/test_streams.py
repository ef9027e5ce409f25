"""Ordered queues of work, on threads of their own and on borrowed ones."""

from __future__ import annotations

import random
import signal
import sys
import threading
from typing import TYPE_CHECKING, Self

import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import DeviceError, SessionClosed, SessionError
from rpcnb.session import streams
from rpcnb.session.streams import ExecutionStream, PumpedStream, StreamRegistry, ThreadStream, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT = 10.0


@pytest.fixture
def stream():
    stream = ThreadStream(limit=1000)
    yield stream
    stream.close()


def blocked(stream: ExecutionStream) -> Callable[[], None]:
    """Occupy a stream until the returned function is called."""
    running, release = threading.Event(), threading.Event()
    stream.submit(lambda: (running.set(), release.wait(WAIT)))
    assert running.wait(WAIT)
    return release.set


def finish(stream: ExecutionStream) -> None:
    done = threading.Event()
    stream.when_drained(done.set)
    assert done.wait(WAIT)


def test_tasks_run_in_order_on_one_other_thread(stream) -> None:
    seen: list[tuple[int, int]] = []
    for number in range(100):
        stream.submit(lambda n=number: seen.append((n, threading.get_ident())))
    finish(stream)
    assert [n for n, _ in seen] == list(range(100))
    assert len({thread for _, thread in seen}) == 1
    assert seen[0][1] != threading.get_ident()


def test_no_thread_starts_before_the_first_task(stream) -> None:
    before = threading.active_count()
    assert stream.acquire()
    stream.release()
    stream.synchronize()
    assert threading.active_count() == before
    assert stream.idle


def test_a_turn_waits_for_the_tasks_before_it_and_holds_up_those_behind(stream) -> None:
    order: list[str] = []
    release = blocked(stream)
    stream.submit(lambda: order.append("first"))
    waiting = threading.Thread(
        target=lambda: (stream.acquire(), order.append("turn"), stream.release())
    )
    waiting.start()
    while not any(isinstance(item, Turn) for item in stream._queue):
        assert waiting.is_alive()
    stream.submit(lambda: order.append("last"))
    release()
    finish(stream)
    waiting.join(WAIT)
    assert order == ["first", "turn", "last"]


def test_the_holder_knows_itself(stream) -> None:
    assert not stream.held_by_caller
    stream.acquire()
    assert stream.held_by_caller
    stream.synchronize()  # from within: does not wait for itself
    stream.release()
    assert not stream.held_by_caller


def test_releasing_what_another_holds_does_nothing(stream) -> None:
    release = blocked(stream)
    stream.release()
    assert not stream.idle
    release()
    finish(stream)


def test_a_withdrawn_task_never_runs(stream) -> None:
    ran: list[int] = []
    release = blocked(stream)
    task = stream.submit(lambda: ran.append(1))
    assert stream.withdraw(task)
    assert not stream.withdraw(task)
    release()
    finish(stream)
    assert ran == []


def test_a_withdrawn_turn_lets_its_thread_go(stream) -> None:
    release = blocked(stream)
    results: list[bool] = []
    turns: list[Turn] = []

    def wait() -> None:
        turns.append(Turn())
        results.append(stream.acquire(turns[0]))

    thread = threading.Thread(target=wait)
    thread.start()
    while not (turns and stream.withdraw(turns[0])):
        assert thread.is_alive()
    thread.join(WAIT)
    assert results == [False]
    release()
    finish(stream)


def test_too_much_waiting_is_refused() -> None:
    stream = ThreadStream(limit=2)
    release = blocked(stream)
    stream.submit(lambda: None)
    stream.submit(lambda: None)
    with pytest.raises(SessionError, match="2 calls are waiting"):
        stream.submit(lambda: None)
    release()
    finish(stream)
    stream.close()


def test_a_closed_stream_runs_what_it_has_and_takes_no_more(stream) -> None:
    ran: list[int] = []
    release = blocked(stream)
    stream.submit(lambda: ran.append(1))
    stream.close()
    with pytest.raises(SessionClosed):
        stream.submit(lambda: None)
    release()
    finish(stream)
    stream._thread.join(WAIT)
    assert ran == [1]
    assert not stream._thread.is_alive()


def test_drained_is_told_after_what_came_before(stream) -> None:
    order: list[str] = []
    release = blocked(stream)
    stream.submit(lambda: order.append("work"))
    stream.when_drained(lambda: order.append("drained"))
    stream.submit(lambda: order.append("later"))
    release()
    finish(stream)
    assert order == ["work", "drained", "later"]


def test_a_pumped_stream_runs_where_it_is_pumped() -> None:
    woken = threading.Semaphore(0)
    stream = PumpedStream(woken.release)
    seen: list[int] = []
    threading.Thread(
        target=lambda: stream.submit(lambda: seen.append(threading.get_ident()))
    ).start()
    assert woken.acquire(timeout=WAIT)
    assert seen == []
    assert stream.run_pending() == 1
    assert seen == [threading.get_ident()]
    assert stream.run_pending() == 0


def test_a_pumped_stream_lets_any_thread_in_when_idle() -> None:
    stream = PumpedStream(lambda: None)
    assert stream.acquire()
    seen: list[int] = []
    stream.submit(lambda: seen.append(1))
    assert stream.run_pending() == 0  # its turn has not come
    stream.release()
    assert stream.run_pending() == 1


def test_many_threads_never_run_at_once(stream) -> None:
    inside = most = total = 0

    def work() -> None:
        nonlocal inside, most, total
        inside += 1
        most = max(most, inside)
        total += 1
        inside -= 1

    def contend() -> None:
        for _ in range(200):
            stream.acquire()
            work()
            stream.release()

    threads = [threading.Thread(target=contend) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        stream.submit(work)
    for thread in threads:
        thread.join(WAIT)
    finish(stream)
    assert (most, total) == (1, 800)


class CtrlC:
    """Presses Ctrl-C now and then; heard only inside the code under test, once a round."""

    def __init__(self) -> None:
        self.heard = True
        self.presses = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._press)

    def _press(self) -> None:
        chance = random.Random(3)
        while not self._over.is_set():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            sum(range(chance.randrange(300)))

    def _handle(self, number, frame) -> None:
        if not self.heard and frame.f_code.co_filename == streams.__file__:
            self.heard = True
            self.presses += 1
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGINT, self._handle)
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join(WAIT)
        sys.setswitchinterval(self._interval)
        signal.signal(signal.SIGINT, self._previous)


@pytest.mark.slow
def test_ctrl_c_at_any_instant_leaves_the_stream_usable(stream) -> None:
    with CtrlC() as ctrl_c:
        rounds = 0
        while rounds < 20_000 or not ctrl_c.presses:  # a quick machine may be through before
            rounds += 1
            ctrl_c.heard = False
            try:
                try:
                    stream.acquire()
                finally:
                    stream.release()
            except KeyboardInterrupt:
                stream.release()  # struck at the very door of the other one
            ctrl_c.heard = True
            assert stream.idle


def test_streams_are_found_by_handle(stream) -> None:
    registry = StreamRegistry(stream)
    handle = registry.create(CPU)
    assert handle != 0
    assert registry.get(0) is stream
    registry.synchronize(handle)
    registry.set_current(CPU, handle)
    assert registry.current(CPU) == handle
    registry.free(handle)
    assert registry.current(CPU) == 0
    for attempt in (registry.get, registry.free, registry.synchronize):
        with pytest.raises(DeviceError, match="no stream"):
            attempt(handle)
    assert registry.create(CPU) != handle
    registry.close()


def test_the_default_stream_cannot_be_freed(stream) -> None:
    with pytest.raises(DeviceError, match="default stream"):
        StreamRegistry(stream).free(0)
