"""Operations that are sent without waiting, against a worker and through a slow line."""

from __future__ import annotations

import gc
import operator
import os
import signal
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import rpcnb
from benchmarks.relay import Relay
from rpcnb.array import inference
from rpcnb.array.prediction import Prediction
from rpcnb.core.errors import (
    DeadlineExceeded,
    InvalidHandle,
    RpcnbError,
    SessionError,
)
from rpcnb.endpoint import recovery
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.remote.client import Remote
from rpcnb.remote.promises import MOST, MOST_NBYTES, Promise
from rpcnb.session.base import CallStatus
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.session.observer import RunningCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROUND_TRIP = 0.002


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    registry = FunctionRegistry()
    registry.add("total", lambda array: float(array.sum()))
    registry.add("die", lambda: os.kill(os.getpid(), signal.SIGKILL))
    registry.add("apply", lambda function, array: function(array))
    file = tmp_path_factory.mktemp("server") / "connection.json"
    with warnings.catch_warnings():  # workers inherit the filters, and this run's raise errors
        warnings.simplefilter("always")
        # Python 3.12 and later count the threads of NumPy's libraries, too.
        warnings.filterwarnings("ignore", "This process", DeprecationWarning)
        made = Server(registry=registry, name="lab", connection_file=file, in_process=False)
        made.start()
    yield made
    made.close()


@pytest.fixture
def remote(server: Server) -> Iterator[Remote]:
    """Give a session of its own; everything must be given back when the test has ended."""
    with Remote(open_session(server.url, token=server.token), name="lab") as opened:
        yield opened
        opened.arrays.settle()
        gc.collect()
        assert list(opened.handles) == []
        there = opened.builtin("rpcnb.statistics")()
        looked_up = len(opened._builtins) + len(opened.session._small._functions)
        assert (there["handles"], there["bad_frees"]) == (looked_up, 0)


@pytest.fixture
def slow(server: Server) -> Iterator[Remote]:
    """Give a session over a line whose round trip takes 2 ms."""
    host, _, port = server.url.rpartition("//")[2].rpartition(":")
    relay = Relay((host, int(port)), ROUND_TRIP)
    with Remote(open_session(f"tcp://127.0.0.1:{relay.port}", token=server.token)) as opened:
        yield opened
    relay.close()


def negative_power(remote: Remote) -> Any:
    """Send what NumPy refuses when it sees the values: nobody can know before."""
    return remote.xp.asarray([1, 2]) ** remote.xp.asarray([1, -1])


def waits(remote: Remote) -> int:
    return remote.arrays.pipeline.waits


# --- sending ahead --------------------------------------------------------------------------------


def test_a_thousand_operations_are_a_handful_of_round_trips(slow: Remote) -> None:
    array = first = slow.arange(100)
    calls, before = slow.session.statistics()["calls"], waits(slow)
    for _ in range(1000):
        array = array + 1
    np.testing.assert_array_equal(array.to_numpy(), np.arange(100) + 1000)
    # And the download, and the question which library it is.
    assert 1000 <= slow.session.statistics()["calls"] - calls <= 1002
    assert slow.session.statistics()["calls_queued"] >= 1000
    assert waits(slow) - before <= 1000 // (MOST // 2) + 1
    assert (array - 1000).tolist() == first.tolist()


def test_they_leave_many_to_a_system_call(slow: Remote) -> None:
    array = slow.arange(100) + 1
    array.to_numpy()
    sends = []
    transport = slow.session._connection.transport
    outbox = slow.session._connection.outbox
    outbox._send_one = lambda data: sends.append(len(data)) or transport.send_one(data)
    for _ in range(320):
        array = array * 1
    array.to_numpy()
    assert len(sends) <= 320 / 4


def test_a_small_result_comes_with_its_reply(slow: Remote) -> None:
    array = slow.arange(100)
    array.sum()
    slow.arrays.settle()
    frames, before = slow.session.statistics()["frames_sent"], waits(slow)
    assert float(array.sum()) == 4950
    assert (slow.session.statistics()["frames_sent"] - frames, waits(slow) - before) == (1, 1)


def test_shape_and_dtype_are_known_at_once_and_the_rest_is_waited_for(slow: Remote) -> None:
    view = (slow.arange(12).reshape(3, 4) * 1.5)[:, 1::2]
    before = waits(slow)
    assert (view.shape, view.dtype, view.nbytes, len(view)) == ((3, 2), np.float64, 48, 3)
    assert "f64[3, 2] 48 B" in repr(view)
    assert waits(slow) == before
    assert view.strides == (32, 16)
    assert view.writeable
    assert waits(slow) == before + 1
    assert view.shares_memory(view[0])


def test_wrong_operands_still_raise_at_the_call(remote: Remote) -> None:
    array = remote.arange(6)
    with pytest.raises(ValueError, match="broadcast"):
        array + remote.arange(5)
    with pytest.raises(TypeError):
        ~(array * 1.5)
    with pytest.raises(IndexError):
        array[7]
    with pytest.raises(ValueError, match="reshape"):
        array.reshape(4, 2)
    with pytest.raises(OverflowError):
        array.astype("u1") + 300
    with pytest.raises(np.linalg.LinAlgError):
        remote.xp.linalg.inv(remote.xp.zeros((2, 2)))


def test_what_writes_keeps_its_place(remote: Remote) -> None:
    array = remote.zeros(5)
    view = array[1:3]
    total = array.sum()
    array += 1
    view *= 5
    array[4] = 7
    assert (float(total), array.tolist()) == (0, [1, 5, 5, 1, 7])
    small = remote.xp.asarray([1.0, 2.0]) + 1
    small += 1
    assert small.tolist() == [3, 4]
    alias = small.reshape(2, 1)
    alias += 1
    assert small.tolist() == [4, 5]


def test_copies_and_calls_come_after_what_was_sent_ahead(remote: Remote) -> None:
    array = remote.zeros(100_000)
    doubled = (array + 1) * 2
    array.copy_from(np.ones(100_000))
    assert remote.get_function("total")(doubled) == 200_000
    out = np.empty(100_000)
    (array + doubled).copy_to(out)
    assert set(out) == {3.0}


def test_results_nobody_wants_are_given_back(remote: Remote) -> None:
    array = remote.arange(10)
    for _ in range(50):
        array + 1
    freed = array * 2
    freed.free()
    kept = array[2:]
    array.free()
    with pytest.raises(InvalidHandle, match="freed"):
        freed + 1
    assert kept.tolist() == list(range(2, 10))


def test_shared_memory_is_not_used_again_under_what_was_sent_ahead(remote: Remote) -> None:
    ones = np.ones(200_000)
    array = remote.array(ones)
    sums = []
    for number in range(20):
        sums.append(array.sum())
        array.free()
        array = remote.array(ones * (number + 2))
    assert [float(each) for each in sums] == [200_000.0 * (number + 1) for number in range(20)]


def test_what_is_in_flight_is_bounded_by_bytes(slow: Remote) -> None:
    array = slow.zeros(MOST_NBYTES // 8 // 4)
    pipeline, most = slow.arrays.pipeline, 0
    for _ in range(20):
        array = array + 1
        most = max(most, len(pipeline.in_flight))
    assert 1 < most <= 4
    assert array[0].item() == 20
    assert pipeline._nbytes == 0


def test_sync_mode_waits_for_each(slow: Remote) -> None:
    array = slow.arange(3)
    with rpcnb.sync_mode():
        queued = slow.session.statistics()["calls_queued"]
        assert (array + 1).promise is None
        with pytest.raises(ValueError, match="negative integer powers"):
            negative_power(slow)
    assert slow.session.statistics()["calls_queued"] == queued


def test_a_local_session_has_nothing_to_wait_for() -> None:
    with Remote(LocalSession(FunctionRegistry())) as remote:
        assert (remote.arange(3) + 1).promise is None


def test_callbacks_use_arrays_while_their_caller_waits(remote: Remote) -> None:
    found = remote.get_function("apply")(lambda array: float((array + 1).sum()), remote.arange(4))
    assert found == 10


# --- what fails late --------------------------------------------------------------------------------


def test_a_late_error_names_its_line_and_poisons_what_is_built_on_it(remote: Remote) -> None:
    bad = negative_power(remote)
    worse = (bad + 1)[0]
    for use in (worse.item, bad.to_numpy, lambda: bad + 1, lambda: worse.strides):
        with pytest.raises(ValueError, match="negative integer powers") as caught:
            use()
        assert "test_promises.py:" in caught.value.__notes__[-1]
        assert "pow" in caught.value.__notes__[-1]
    with pytest.raises(ValueError, match="negative integer powers"):
        remote.get_function("total")(bad)
    with pytest.raises(ValueError, match="negative integer powers"):
        remote.xp.linalg.qr(bad.reshape(1, 2))


@pytest.mark.parametrize(
    "ask",
    [
        lambda remote: remote.ones(3).tolist(),
        lambda remote: remote.xp.nonzero(remote.ones(3)),
        lambda remote: float(remote.ones(3).sum()),
        lambda remote: remote.ones(3).copy_from(np.zeros(3)),
        lambda remote: remote.arrays.settle(),
    ],
    ids=["download", "operation", "small", "upload", "settle"],
)
def test_an_error_nobody_asked_for_comes_with_whatever_waits_next(
    remote: Remote, ask: Callable[[Remote], object]
) -> None:
    negative_power(remote)
    with pytest.raises(ValueError, match="negative integer powers"):
        ask(remote)
    ask(remote)  # and only once


def test_several_are_told_together(remote: Remote) -> None:
    for _ in range(6):
        negative_power(remote)
    with pytest.raises(ValueError, match="negative integer") as caught:
        remote.arrays.settle()
    notes = caught.value.__notes__
    assert len([note for note in notes if note.startswith("so failed pow")]) == 3
    assert notes[-1] == "and 2 more"
    remote.arrays.settle()


def test_closing_raises_what_nobody_was_told(server: Server) -> None:
    remote = Remote(open_session(server.url, token=server.token))
    negative_power(remote)
    with pytest.raises(ValueError, match="negative integer"):
        remote.close()
    assert remote.closed
    other = Remote(open_session(server.url, token=server.token))

    def leave_by_an_error() -> None:
        with other:
            negative_power(other)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        leave_by_an_error()
    assert other.closed


def test_an_assignment_that_fails_is_not_lost(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = remote.zeros(3)
    monkeypatch.setitem(inference.RULES, "written", lambda *_: Prediction((), np.dtype("f8")))
    array[9] = 1
    with pytest.raises(IndexError) as caught:
        array.sum().item()
    assert "setitem" in caught.value.__notes__[-1]


def test_a_wrong_rule_is_a_loud_error(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(inference.RULES, "elementwise", lambda *_: Prediction((3,), np.dtype("f8")))
    wrong = remote.ones(4) + 1
    with pytest.raises(
        SessionError, match=r"row 'add' promised '<f8\|\(3,\)\|' at test_promises.py"
    ):
        wrong.to_numpy()


def test_warnings_come_where_somebody_waits_and_name_the_line(remote: Remote) -> None:
    result = 1 / remote.zeros(3)
    line = int(result.promise.line)
    with pytest.warns(RuntimeWarning, match="divide by zero") as caught:
        result.to_numpy()
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


# --- interrupts, losses, threads ----------------------------------------------------------------------


def test_an_interrupt_stops_everything_in_flight(remote: Remote) -> None:
    array = remote.zeros((600, 600), "f4")
    for _ in range(40):
        array = array @ array
    first, *_, last = remote.arrays.pipeline.in_flight
    threading.Timer(0.05, lambda: signal.raise_signal(signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        remote.get_function("total")(array)
    remote.arrays.settle()
    assert first.done
    assert last.done
    assert (remote.ones(3) + 1).tolist() == [2, 2, 2]


def test_a_worker_that_dies_with_many_in_flight(server: Server) -> None:
    remote = Remote(open_session(server.url, token=server.token))
    array = remote.arange(10)
    remote.get_function("die").submit()
    with pytest.raises(RpcnbError):  # noqa: PT012 -- whichever operation learns of it first
        for _ in range(500):
            array = array + 1
        array.to_numpy()
    with pytest.raises(RpcnbError):
        array.to_numpy()
    assert not remote.arrays.pipeline.in_flight
    remote.close()


def test_a_line_that_is_cut_with_many_in_flight(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "RESTART_PATIENCE", 0.2)
    host, _, port = server.url.rpartition("//")[2].rpartition(":")
    relay = Relay((host, int(port)), 0.05)
    remote = Remote(open_session(f"tcp://127.0.0.1:{relay.port}", token=server.token))
    array = remote.arange(10)
    for _ in range(300):
        array = array + 1
    relay.close()
    with pytest.raises(RpcnbError, match="lost"):
        array.to_numpy()
    remote.close()


def test_threads_send_side_by_side(remote: Remote) -> None:
    array = remote.arange(20)
    found: list[Any] = []

    def work(number: int) -> None:
        result = array
        for _ in range(200):
            result = operator.add(result, number)
        found.append((number, result.to_numpy()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    for number, result in found:
        np.testing.assert_array_equal(result, np.arange(20) + 200 * number)


def test_arrays_of_two_sessions_do_not_mix(remote: Remote, server: Server) -> None:
    with Remote(open_session(server.url, token=server.token), name="other") as other:
        with pytest.raises(InvalidHandle, match="belongs to"):
            (remote.ones(3) + 1) + (other.ones(3) + 1)
        other.arrays.settle()


class Overtaken(RunningCall):
    """Has ended for its waiter before the thread that read the reply calls back."""

    def __init__(self, thread: threading.Thread) -> None:
        self.thread = thread

    def wait(self) -> None:
        self.thread.start()


@pytest.mark.parametrize("settles", [True, False])
def test_who_waits_waits_for_the_thread_that_read_the_reply(remote, eventually, settles) -> None:
    pipeline = remote.arrays.pipeline
    promise = Promise(pipeline, "add", 0, "", (), 0)

    def call_back() -> None:
        eventually(lambda: pipeline._joined == 1)
        promise.finish(CallStatus.DEADLINE, None)

    promise.running = Overtaken(threading.Thread(target=call_back))
    pipeline.in_flight[promise] = None
    with pytest.raises(DeadlineExceeded):
        pipeline.settle() if settles else promise.wait()
    pipeline.settle()
    promise.running.thread.join()


def test_through_a_gateway(remote: Remote, server: Server, tmp_path: Path) -> None:
    with (
        Server(
            open_next=lambda: open_session(server.url, token=server.token),
            name="gate",
            in_process=True,
            connection_file=tmp_path / "gate.json",
        ) as gate,
        Remote(open_session(gate.url, token=gate.token)) as through,
    ):
        array = through.arange(10)
        for _ in range(100):
            array = array + 1
        assert array.promise is not None
        assert array.tolist() == list(range(100, 110))
        bad = negative_power(through)
        with pytest.raises(ValueError, match="negative integer powers"):
            bad.tolist()
