"""Cases about order, streams, cancelling and deadlines."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.cancelled import RemoteCancelled
from rpcnb.core.device import CPU
from rpcnb.core.errors import (
    DeadlineExceeded,
    RemoteInterrupted,
    SessionError,
    WorkerDied,
)
from rpcnb.core.events import EVENTS, CallChanged
from rpcnb.session.base import CallStatus
from rpcnb.session.observer import CallOptions
from rpcnb.testing.session_cases import (
    WAIT,
    RecordingObserver,
    SessionCases,
    Started,
    needs,
    new_key,
)

if TYPE_CHECKING:
    from rpcnb.session.device_api import DeviceAPI


class ControlCases(SessionCases):
    """Order, streams, cancel, deadline, interrupt."""

    def devices(self) -> DeviceAPI:
        """Return what manages the streams of the CPU."""
        api = self._session.get_device_api(CPU)
        assert api is not None
        return api

    def stream(self) -> CallOptions:
        """Make a stream to run calls on."""
        return CallOptions(stream=self.devices().create_stream(CPU))

    def until_released(self, key: str) -> None:
        """Wait until a call over there has released a key, asking on a stream of its own."""
        stream = self.stream()
        self.eventually(lambda: self.call("released", key, options=stream))
        self.devices().free_stream(CPU, stream.stream)

    def block(self) -> tuple[Started, str]:
        """Start a call that waits for the returned key; it runs when this returns."""
        key, running = new_key(), new_key()
        blocker = self.start("wait", key, running)
        self.until_released(running)
        return blocker, key

    # --- order ------------------------------------------------------------------------------------

    def test_a_call_that_was_started_ends_once(self) -> None:
        assert self.start("echo", 5).result() == 5

    @needs("true_async")
    def test_calls_of_one_stream_run_in_order(self) -> None:
        box = self.call("box", [])
        started = [self.start("append", box, n) for n in range(50)]
        assert [one.result() for one in started] == list(range(1, 51))
        assert self.call("content", box) == list(range(50))
        self.free(box)

    @needs("true_async", "streams")
    def test_streams_run_beside_each_other(self) -> None:
        blocker, key = self.block()
        stream = self.stream()
        assert self.call("add_one", 1, options=stream) == 2
        self.call("release", key, options=stream)
        assert blocker.result() == key

    @needs("true_async", "streams")
    def test_waiting_for_a_stream_ends_when_it_has_drained(self) -> None:
        blocker, key = self.block()
        drained = Started()
        self._session.async_stream_wait(CPU, 0, drained.callback)
        assert drained.ends == []
        assert blocker.ends == []
        self.call("release", key, options=self.stream())
        assert drained.status() is CallStatus.RETURN
        assert blocker.status() is CallStatus.RETURN

    @needs("true_async", "streams")
    def test_synchronizing_waits_for_what_was_queued(self) -> None:
        stream = self.stream()
        started = [self.start("add_one", n, options=stream) for n in range(20)]
        self.devices().stream_sync(CPU, stream.stream)
        assert [one.result() for one in started] == list(range(1, 21))

    @needs("streams")
    def test_the_stream_that_was_set_is_used(self) -> None:
        api = self.devices()
        stream = self.stream()
        assert api.get_current_stream(CPU) == 0
        api.set_stream(CPU, stream.stream)
        assert api.get_current_stream(CPU) == stream.stream
        assert self.start("thread").result() == self.start("thread", options=stream).result()
        api.set_stream(CPU, 0)
        api.free_stream(CPU, stream.stream)
        assert self.call("add_one", 1) == 2

    @needs("true_async")
    def test_a_coroutine_function_runs_beside_the_streams(self) -> None:
        blocker, key = self.block()
        assert self.call("async_add", 1, 2) == 3
        self.call("release", key, options=self.stream())
        blocker.status()

    # --- cancel -----------------------------------------------------------------------------------

    @needs("cancel", "true_async")
    def test_a_running_call_is_cancelled_and_cleans_up(self) -> None:
        running, cleaned = new_key(), new_key()
        started = self.start("wait_and_clean", new_key(), running, cleaned)
        self.until_released(running)
        started.cancel()
        started.cancel()
        assert started.status() is CallStatus.CANCELLED
        assert self.call("released", cleaned)
        with pytest.raises(RemoteCancelled) as caught:
            started.result()
        assert caught.value.confirmed

    @needs("cancel", "true_async")
    def test_a_call_is_stopped_by_the_number_that_its_events_have(self) -> None:
        running, session = new_key(), self._session.table_index
        with EVENTS.subscribe() as events:
            started = self.start("wait_and_clean", new_key(), running, new_key())
            self.until_released(running)
            told = [e for e in events.drain() if isinstance(e, CallChanged)]
        call = next(e.call for e in told if e.session == session and e.name.endswith("clean"))
        self._session.cancel_call(call)
        assert started.status() is CallStatus.CANCELLED
        self._session.cancel_call(call)  # has ended: nothing happens

    @needs("cancel", "true_async")
    def test_a_queued_call_is_cancelled_at_once_and_never_runs(self) -> None:
        blocker, key = self.block()
        never = new_key()
        queued = self.start("release", never)
        queued.cancel()
        assert queued.status() is CallStatus.CANCELLED
        assert blocker.ends == []
        self.call("release", key, options=self.stream())
        assert blocker.result() == key
        assert not self.call("released", never)

    @needs("cancel")
    def test_cancelling_what_has_ended_changes_nothing(self) -> None:
        started = self.start("echo", 1)
        assert started.result() == 1
        started.cancel()
        assert self.call("echo", 2) == 2
        assert len(started.ends) == 1

    @needs("cancel", "true_async")
    def test_a_call_that_swallows_the_interrupt_reports_its_real_end(self) -> None:
        running = new_key()
        started = self.start("wait_stubbornly", new_key(), running)
        self.until_released(running)
        started.cancel()
        assert started.result() == "stubborn"

    @needs("cancel", "true_async")
    def test_the_next_call_gets_its_own_answer(self) -> None:
        for number in range(10):
            running = new_key()
            started = self.start("wait", new_key(), running)
            self.until_released(running)
            started.cancel()
            assert self.call("echo", number) == number
            assert started.status() is CallStatus.CANCELLED

    @needs("cancel", "true_async")
    def test_a_coroutine_is_cancelled_and_cleans_up(self) -> None:
        running, cleaned = new_key(), new_key()
        started = self.start("async_wait", running, cleaned)
        self.until_released(running)
        started.cancel()
        assert started.status() is CallStatus.CANCELLED
        assert self.call("released", cleaned)

    @needs("cancel", "true_async")
    def test_shutdown_stops_what_runs_and_what_waits(self) -> None:
        blocker, _ = self.block()
        queued = self.start("add_one", 1)
        self._session.shutdown()
        ended = {CallStatus.CANCELLED, CallStatus.LOST}
        assert {blocker.status(), queued.status()} <= ended

    @needs("cancel")
    def test_an_interrupt_here_stops_the_call_there(self) -> None:
        key, running, cleaned = new_key(), new_key(), new_key()

        def press() -> None:
            self.until_released(running)
            signal.pthread_kill(main, signal.SIGINT)

        main = threading.get_ident()  # Ctrl-C reaches the main thread, where tests run
        pressing = threading.Thread(target=press)
        pressing.start()
        with pytest.raises(RemoteInterrupted) as caught:
            self.call("wait_and_clean", key, running, cleaned)
        pressing.join(WAIT)
        assert caught.value.confirmed
        assert self.call("released", cleaned)
        assert self.call("echo", "mine") == "mine"

    # --- kill -------------------------------------------------------------------------------------

    @needs("process", "true_async")
    def test_kill_ends_a_call_that_cannot_be_stopped_and_all_others(self) -> None:
        running = new_key()
        stubborn = self.start("hold_on", running)
        queued = self.start("echo", 1)
        echo = self.function("echo")
        self.until_released(running)
        stubborn.cancel()
        self._session.kill()
        for one in (stubborn, queued):
            with pytest.raises(WorkerDied, match="killed, as its client asked for"):
                one.result()
        with pytest.raises(WorkerDied):
            self._session.call_func(echo, (2,))

    @needs("no_process")
    def test_what_has_no_process_of_its_own_cannot_be_killed(self) -> None:
        with pytest.raises(SessionError, match=r"cannot be killed|cannot stop"):
            self._session.kill()
        assert self.call("echo", 1) == 1

    # --- deadline ---------------------------------------------------------------------------------

    @needs("deadlines")
    def test_a_call_is_stopped_when_its_time_is_up(self) -> None:
        cleaned = new_key()
        with pytest.raises(DeadlineExceeded):
            self.call("wait_and_clean", new_key(), "", cleaned, options=CallOptions(timeout=0.05))
        assert self.call("released", cleaned)

    @needs("deadlines", "true_async")
    def test_a_deadline_passes_while_a_call_waits_for_its_turn(self) -> None:
        blocker, key = self.block()
        never = new_key()
        queued = self.start("release", never, options=CallOptions(timeout=0.01))
        assert queued.status() is CallStatus.DEADLINE
        with pytest.raises(DeadlineExceeded):
            self.call("release", never, options=CallOptions(timeout=0.01))
        self.call("release", key, options=self.stream())
        assert blocker.result() == key
        assert not self.call("released", never)

    @needs("deadlines")
    def test_a_call_in_time_is_not_touched(self) -> None:
        assert self.call("add_one", 1, options=CallOptions(timeout=WAIT)) == 2

    @needs("deadlines", "true_async")
    def test_a_coroutine_has_a_deadline_too(self) -> None:
        with pytest.raises(DeadlineExceeded):
            self.call("async_wait", "", new_key(), options=CallOptions(timeout=0.05))

    # --- observers --------------------------------------------------------------------------------

    @needs("true_async", "streams")
    def test_a_long_call_says_that_it_has_started(self) -> None:
        observer = RecordingObserver()
        key = new_key()
        started = self.start("wait", key, observer=observer)
        assert observer.has_started.wait(WAIT)
        self.call("release", key, options=self.stream())
        assert started.result() == key
