"""TVM's own tracker: who is free, and a session through it."""

from __future__ import annotations

import pytest

from rpcnb import tvm
from rpcnb.core.errors import ConnectError, SessionError, TransportTimeout
from rpcnb.remote.client import open_remote


@pytest.fixture(scope="module")
def tracker_port(run_script):
    with run_script("track.py") as port:
        yield port


def test_a_server_registers_is_taken_and_comes_back(tracker_port, serving, eventually) -> None:
    url = f"tvm+tracker://127.0.0.1:{tracker_port}?key=board&priority=2"
    with tvm.Tracker("127.0.0.1", tracker_port) as tracker, serving("board", str(tracker_port)):

        def free() -> int:
            return tracker.summary()["queue_info"].get("board", {"free": 0})["free"]

        assert eventually(lambda: free() == 1)
        assert [info["key"] for info in tracker.summary()["server_info"]] == ["server:board"]
        with open_remote(url) as remote:
            assert remote.get_function("test.add_one")(1) == 2
            assert free() == 0
            with pytest.raises(TransportTimeout, match="no server with the key 'board'"):
                open_remote(url, timeout=0.2)
        assert eventually(lambda: free() == 1)


def test_a_tracker_that_is_not_there_is_told(tracker_port) -> None:
    with pytest.raises(ConnectError):
        tvm.Tracker("127.0.0.1", 1)
    with tvm.Tracker("127.0.0.1", tracker_port) as tracker:
        assert "queue_info" in tracker.summary()
        with pytest.raises(SessionError, match="refused"):
            tracker._ask([2, "not the key"], 5.0)
