from __future__ import annotations

import threading

import numpy as np
import pytest

from rpcnb.core.errors import ArrayMismatch, RemoteError
from rpcnb.core.events import EVENTS, CallChanged, CopyProgress
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.client.small_copies import MOST
from rpcnb.endpoint.serving.server import Server
from rpcnb.remote.client import Remote
from rpcnb.session.functions import FunctionRegistry


@pytest.fixture
def go_on():
    return threading.Event()


@pytest.fixture
def remote(tmp_path, monkeypatch, go_on):
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path))
    registry = FunctionRegistry()
    registry.add("t.wait", lambda: go_on.wait(20))
    registry.add("t.frozen", frozen)
    with (
        Server(registry=registry, in_process=True) as server,
        Remote(open_session(server.url, token=server.token)) as remote,
    ):
        yield remote


def frozen() -> np.ndarray:
    array = np.zeros(20)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("nbytes", [1, 8, 100, MOST, MOST + 1, 5000])
def test_a_copy_of_any_size_comes_through(remote, nbytes) -> None:
    mine = np.arange(nbytes, dtype=np.uint8) * 7
    array = remote.array(mine)
    assert (array.to_numpy() == mine).all()
    array.copy_from(mine[::-1])
    assert (array.to_numpy() == mine[::-1]).all()


def test_a_small_copy_is_a_call_and_a_large_one_is_not(remote) -> None:
    small, large = remote.zeros(16), remote.zeros(MOST)
    small.copy_from(np.ones(16))  # looks the function up
    calls = remote.session.statistics()["calls"]
    small.copy_from(np.ones(16))
    assert remote.session.statistics()["calls"] == calls + 1
    large.copy_from(np.ones(MOST))
    assert remote.session.statistics()["calls"] == calls + 1


def test_a_small_copy_does_not_wait_for_calls_that_do_not_have_its_array(remote, go_on) -> None:
    array = remote.array(np.arange(4.0))
    array.copy_to(np.empty(4))
    waiting = remote.get_function("t.wait").submit()
    assert array.to_numpy().tolist() == [0, 1, 2, 3]
    array.copy_from(np.ones(4))
    assert not waiting.done()
    go_on.set()
    assert waiting.result(20)
    assert array.to_numpy().tolist() == [1, 1, 1, 1]


def test_views_see_a_copy_and_no_call(remote) -> None:
    array = remote.array(np.arange(4.0))
    with EVENTS.subscribe() as events:
        array.copy_to(np.empty(4))
        told = {type(event) for event in events.drain()}
    assert CopyProgress in told
    assert CallChanged not in told


def test_what_goes_wrong_over_there_is_raised_here(remote) -> None:
    array = remote.get_function("t.frozen")()
    with pytest.raises(ArrayMismatch, match="read-only"):
        array.copy_from(np.ones(20))
    assert array.to_numpy().tolist() == [0.0] * 20


@pytest.mark.parametrize("dtype", ["f8", "i2", "?", "S3", "M8[s]", [("a", "i4"), ("b", "f8")]])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (30, 40)])
def test_a_new_array_comes_through(remote, shape, dtype) -> None:
    nbytes = np.empty(shape, dtype).nbytes
    mine = np.ndarray(shape, dtype, buffer=bytearray(b"\1" * max(nbytes, 1)))
    array = remote.array(mine)
    assert (array.shape, array.dtype) == (mine.shape, mine.dtype)
    assert array.to_numpy().tobytes() == mine.tobytes()
    assert array.writeable


def test_a_small_new_array_is_one_call_and_its_own(remote) -> None:
    mine = np.arange(4.0)
    remote.array(mine)  # looks the function up
    calls = remote.session.statistics()["calls"]
    first, second = remote.array(mine), remote.array(mine)
    assert remote.session.statistics()["calls"] == calls + 2
    first.copy_from(np.zeros(4))
    assert second.to_numpy().tolist() == [0, 1, 2, 3]
    assert not first.shares_memory(second)


def test_a_small_new_array_waits_for_no_call(remote, go_on) -> None:
    remote.array(np.arange(4.0))
    waiting = remote.get_function("t.wait").submit()
    assert remote.array(np.arange(3.0)).to_numpy().tolist() == [0, 1, 2]
    assert not waiting.done()
    go_on.set()
    assert waiting.result(20)


def test_content_that_does_not_fit_makes_no_array(remote) -> None:
    make = remote.get_function("rpcnb.array.from_bytes")
    for data, dtype, shape in [(b"1234", "<f8", (1,)), (b"", "<f8", (-1,)), (b"12", "|O", (1,))]:
        with pytest.raises(RemoteError):
            make(data, dtype, *shape)
    assert [row.kind for row in remote.handles] == ["function"]
