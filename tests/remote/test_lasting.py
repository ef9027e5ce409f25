"""Tests of `rpcnb.remote.lasting`: a session that is left, and taken up by somebody else."""

from __future__ import annotations

import numpy as np
import pytest

import rpcnb
from rpcnb.core.errors import ConnectionClosed, SessionClosed, SessionError, SessionTaken
from rpcnb.remote.array import RemoteArray
from rpcnb.remote.object import RemoteObject
from rpcnb.session.functions import FunctionRegistry


class Box:
    """An object that stays over there."""


@pytest.fixture
def address(tmp_path, monkeypatch):
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path))
    registry = FunctionRegistry()
    registry.add("t.box", Box)
    registry.add("t.same", lambda a, b: a is b)
    with rpcnb.Server(registry=registry, in_process=True) as server:
        yield server.url.replace("tcp://", "rpcnb://") + "/work"


def connect(address: str) -> rpcnb.Remote:
    from rpcnb.remote.client import open_remote

    return open_remote(address)


@pytest.mark.parametrize("count", [4, 1 << 17])
def test_arrays_and_objects_are_found_again_by_whoever_takes_the_session_up(address, count) -> None:
    first = connect(address)
    array, box = first.arange(count), first.fn.t.box()
    numbers = array.handle, box.handle
    first.detach()
    with connect(address) as second:
        found = second.adopt()
        assert set(numbers) <= set(found)
        again, box_again = found[numbers[0]], found[numbers[1]]
        assert isinstance(again, RemoteArray)
        assert isinstance(box_again, RemoteObject)
        assert np.array_equal(again.to_numpy(), np.arange(count))
        assert second.fn.t.same(box_again, box_again)
        assert second.adopt() == {}  # they are here


def test_what_is_here_already_is_not_adopted(address) -> None:
    connect(address).detach()
    with connect(address) as second:
        mine = second.arange(10)
        assert second.adopt() == {}
        assert mine.to_numpy().tolist() == list(range(10))


def test_a_remote_that_was_left_is_closed_and_the_table_knows(address) -> None:
    remote = rpcnb.connect(address, name="mine")
    remote.detach()
    assert remote.closed
    assert "mine" not in rpcnb.manager.sessions
    with pytest.raises(SessionClosed):
        remote.fn.t.box()
    connect(address).close()


def test_the_former_client_is_told(address, eventually) -> None:
    first = connect(address)

    def is_told() -> bool:
        try:
            first.ping()
        except SessionTaken:
            return True
        except ConnectionClosed:  # it is over, and the reason is being found out
            pass
        return False

    with connect(address):
        assert eventually(is_told)
    first.close()


def test_a_session_in_this_process_cannot_be_left() -> None:
    with rpcnb.local(name="here") as remote:
        with pytest.raises(SessionError, match="without its client"):
            remote.detach()
        assert not remote.closed
