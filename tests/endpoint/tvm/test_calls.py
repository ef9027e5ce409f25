"""Tests of `rpcnb.endpoint.tvm.calls`: waiting, not waiting, and what the views are told."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from rpcnb.core.cancelled import RemoteCancelled
from rpcnb.core.errors import EncodeError, RemoteError, SessionClosed
from rpcnb.core.events import (
    EVENTS,
    CallChanged,
    CallOutput,
    CallPhase,
    CopyProgress,
    SessionChanged,
    SessionState,
)
from rpcnb.endpoint.tvm.calls import CANNOT_STOP
from rpcnb.remote.client import Remote
from rpcnb.wire.tvm.packets import Raised, Shutdown

WAIT = 10.0


@pytest.fixture
def remote(tvm_peer, tvm_session):
    """Give a remote of a server whose ``block`` ends when `tvm_peer.go` is set."""
    tvm_peer.go, tvm_peer.blocks, tvm_peer.order = threading.Event(), threading.Event(), []

    def block(*args):
        tvm_peer.blocks.set()
        assert tvm_peer.go.wait(WAIT)
        return (1, len(args))

    def note(number, *_):
        tvm_peer.order.append(number)
        return (1, number)

    tvm_peer.functions |= {
        "block": block,
        "note": note,
        "fail": lambda: Raised("ValueError: abc"),
        "end": Shutdown,
    }
    yield Remote(tvm_session)
    tvm_peer.go.set()


@pytest.fixture
def events():
    with EVENTS.subscribe() as subscription:
        yield subscription


def phases(events, name) -> list[str]:
    """Return the phases of a function's calls, in order."""
    found = [event for event in events.drain() if isinstance(event, CallChanged)]
    return [event.phase for event in found if event.name == name]


def test_a_call_that_is_started_does_not_block(remote, tvm_peer) -> None:
    future = remote.get_function("block").submit(1, 2)
    assert tvm_peer.blocks.wait(WAIT)
    assert not future.done()
    assert future.running()
    tvm_peer.go.set()
    assert future.result(WAIT) == 2


def test_calls_run_in_the_order_they_were_started(remote, tvm_peer) -> None:
    block, note = remote.get_function("block"), remote.get_function("note")
    first = block.submit()
    futures = [note.submit(number) for number in range(30)]
    waited = threading.Thread(target=note, args=(99,))
    waited.start()
    assert tvm_peer.blocks.wait(WAIT)
    tvm_peer.go.set()
    waited.join(WAIT)
    assert [future.result(WAIT) for future in futures] == list(range(30))
    assert first.result(WAIT) == 0
    assert [n for n in tvm_peer.order if n != 99] == list(range(30))
    assert note(100) == 100
    assert tvm_peer.order[-1] == 100


def test_a_waiting_call_does_not_overtake_those_that_were_started(remote, tvm_peer) -> None:
    block, note = remote.get_function("block"), remote.get_function("note")
    futures = [block.submit(), *(note.submit(number) for number in range(10))]
    tvm_peer.go.set()
    note(10)
    assert tvm_peer.order == list(range(11))
    assert all(future.done() for future in futures)


def test_a_callback_may_ask_while_others_wait(remote, tvm_peer) -> None:
    block, note = remote.get_function("block"), remote.get_function("note")
    answers = []
    first = block.submit()
    first.add_done_callback(lambda _: answers.append(note(7)))
    last = note.submit(8)
    tvm_peer.go.set()
    assert last.result(WAIT) == 8
    assert answers == [7]
    assert tvm_peer.order == [7, 8]


def test_errors_of_started_calls_are_those_of_calls(remote) -> None:
    with pytest.raises(RemoteError, match="abc"):
        remote.get_function("fail").submit().result(WAIT)
    with pytest.raises(EncodeError, match="TVM"):
        remote.get_function("note").submit([1])
    with pytest.raises(EncodeError, match="keyword"):
        remote.get_function("note").submit(1, value=2)


def test_a_call_that_does_not_run_yet_is_cancelled(remote, tvm_peer, events) -> None:
    block, note = remote.get_function("block"), remote.get_function("note")
    first, second = block.submit(), note.submit(5)
    assert tvm_peer.blocks.wait(WAIT)
    assert second.cancel()
    with pytest.raises(RemoteCancelled):
        second.result(WAIT)
    assert not first.done()
    tvm_peer.go.set()
    assert first.result(WAIT) == 0
    assert note(6) == 6
    assert tvm_peer.order == [6]
    assert phases(events, "note")[:2] == [CallPhase.SENT, CallPhase.CANCELLED]


def test_a_call_that_runs_cannot_be_cancelled_and_says_so(remote, tvm_peer, events) -> None:
    future = remote.get_function("block").submit()
    assert tvm_peer.blocks.wait(WAIT)
    assert not future.cancel(timeout=0)
    assert [str(warning) for warning in future.warnings] == [CANNOT_STOP]
    tvm_peer.go.set()
    assert future.result(WAIT) == 0
    (said,) = [event for event in events.drain() if isinstance(event, CallOutput)]
    assert (said.stream, said.text) == ("warning", CANNOT_STOP)


def test_closing_ends_what_waits(remote, tvm_peer) -> None:
    block, note = remote.get_function("block"), remote.get_function("note")
    futures = [block.submit(), note.submit(1)]
    assert tvm_peer.blocks.wait(WAIT)
    remote.close()
    for future in futures:
        with pytest.raises(SessionClosed, match="was closed"):
            future.result(WAIT)


def test_small_arrays_of_a_started_call_are_given_back(remote, tvm_peer, eventually) -> None:
    note = remote.get_function("note")
    handles = len(remote.session.holdings)
    assert note.submit(3, np.arange(4)).result(WAIT) == 3
    assert len(remote.session.holdings) == handles


def test_the_views_are_told_how_calls_go(remote, tvm_peer, events) -> None:
    note, fail = remote.get_function("note"), remote.get_function("fail")
    note(1)
    usual = [CallPhase.SENT, CallPhase.STARTED, CallPhase.FINISHED]
    assert phases(events, "note") == usual
    note.submit(1).result(WAIT)
    assert phases(events, "note") == usual
    with pytest.raises(RemoteError):
        fail()
    failed = [event for event in events.drain() if isinstance(event, CallChanged)][-1]
    assert (failed.phase, failed.detail) == (CallPhase.FAILED, "ValueError: abc")
    assert failed.session == remote.session.table_index
    end = remote.get_function("end")
    with pytest.raises(Exception, match="ended during"):
        end()
    seen = events.drain()
    assert [e.phase for e in seen if isinstance(e, CallChanged)][-1] == CallPhase.LOST
    (changed,) = [event for event in seen if isinstance(event, SessionChanged)]
    assert changed.state is remote.session.state is SessionState.DIED


def test_the_views_are_told_how_far_a_copy_is(remote, tvm_peer, events, monkeypatch) -> None:
    monkeypatch.setattr("rpcnb.endpoint.tvm.link.PIECE", 1000)
    array = remote.array(np.zeros(4000, "u1"))
    array.to_numpy()
    seen = [event for event in events.drain() if isinstance(event, CopyProgress)]
    ups = [event.done for event in seen if event.direction == "upload"]
    downs = [event for event in seen if event.direction == "download"]
    assert ups == [1000, 2000, 3000, 4000]
    assert [event.done for event in downs][-1] == downs[-1].total == 4000
    assert len({event.transfer for event in seen}) == 2
