"""Tests of `rpcnb.endpoint.tvm.link`: whose answer is whose, and how a connection ends."""

from __future__ import annotations

import os
import threading

import pytest

from rpcnb.core.errors import (
    ConnectionClosed,
    DeadlineExceeded,
    OutcomeUnknown,
    RemoteProtocolError,
    SessionClosed,
    WorkerDied,
)
from rpcnb.endpoint.tvm.link import TVMLink
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.tvm.packets import Code, Raised, Shutdown, SystemCall, encode
from rpcnb.wire.tvm.values import TVMDevice, TVMDType, TVMPointer, TVMTensor


def test_answers_come_in_the_order_of_the_requests(tvm_peer, tvm_session) -> None:
    tvm_peer.system[Code.DEV_CREATE_STREAM] = lambda device: TVMPointer(device.number)
    requests = [SystemCall(Code.DEV_CREATE_STREAM, (TVMDevice(1, n),)) for n in range(20)]
    answers = tvm_session.link.ask(*requests, what="streams")
    assert [answer.values[0].value for answer in answers] == list(range(20))


def test_releases_ride_ahead_of_the_next_request(tvm_peer, tvm_session) -> None:
    tvm_peer.functions["echo"] = lambda value: (1, value)
    echo = tvm_session.get_function("echo")
    tvm_session.link.released.extend(
        SystemCall(Code.FREE_HANDLE, (TVMPointer(n),)) for n in range(1000, 2000)
    )
    answers = [tvm_session.call_func(echo, (n,)) for n in range(6)]
    assert answers == list(range(6))
    assert tvm_peer.count(Code.FREE_HANDLE) == 1000


def test_releases_are_sent_when_nothing_else_is(tvm_peer, tvm_session, eventually) -> None:
    tvm_peer.functions["echo"] = lambda value: (1, value)
    echo = tvm_session.get_function("echo")
    tvm_session.free_handle(echo.handle, echo.type_code)
    assert eventually(lambda: tvm_peer.count(Code.FREE_HANDLE) == 1)
    assert tvm_session.get_function("echo") is not None


def test_threads_get_their_own_answers(tvm_peer, tvm_session) -> None:
    tvm_peer.functions["echo"] = lambda value: (1, value)
    echo = tvm_session.get_function("echo")
    wrong = []

    def work(start: int) -> None:
        wrong.extend(n for n in range(start, start + 200) if tvm_session.call_func(echo, (n,)) != n)

    threads = [threading.Thread(target=work, args=(1000 * k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert wrong == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Shutdown(), WorkerDied),
        (Raised("RPCSessionTimeoutError: your 2 s are over"), DeadlineExceeded),
        ((), RemoteProtocolError),
    ],
)
def test_an_answer_that_ends_the_session_ends_it_for_good(
    tvm_peer, tvm_session, answer, error
) -> None:
    tvm_peer.functions["end"] = lambda: answer
    end = tvm_session.get_function("end")
    with pytest.raises(error):
        tvm_session.call_func(end)
    if error is not RemoteProtocolError:
        with pytest.raises(SessionClosed):
            tvm_session.get_function("end")


def test_a_server_that_is_gone_leaves_the_outcome_open(tvm_peer, tvm_session) -> None:
    def vanish() -> None:
        raise ConnectionClosed("the server hangs up")

    tvm_peer.functions["vanish"] = vanish
    function = tvm_session.get_function("vanish")
    with pytest.raises(OutcomeUnknown, match="was lost"):
        tvm_session.call_func(function)
    with pytest.raises(SessionClosed, match="is over"):
        tvm_session.call_func(function)


def test_bytes_nobody_asked_for_end_the_session(tvm_session) -> None:
    tensor = TVMTensor(1, TVMDevice(1, 0), TVMDType(1, 8), (4,))
    link = tvm_session.link
    with pytest.raises(RemoteProtocolError, match="nobody asked for"):
        link._sink(tensor, 4)
    assert link.wire.receive_data(b"") == []


def test_a_forked_child_has_no_session(tvm_session) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            tvm_session.get_function("x")
        except SessionClosed as error:
            os._exit(0 if "forked" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert tvm_session.get_function("x") is None


def test_the_end_is_heard_also_in_the_answer_to_a_release(
    tvm_peer, tvm_session, eventually
) -> None:
    tvm_peer.functions["echo"] = lambda value: (1, value)
    echo, other = tvm_session.get_function("echo"), tvm_session.get_function("echo")
    tvm_peer.system[Code.FREE_HANDLE] = lambda *_: Raised("RPCSessionTimeoutError: time is up")
    tvm_session.free_handle(other.handle, other.type_code)
    assert eventually(lambda: tvm_peer.count(Code.FREE_HANDLE) == 1)
    with pytest.raises((SessionClosed, DeadlineExceeded), match="time is up"):
        tvm_session.call_func(echo, (1,))
    with pytest.raises(SessionClosed, match="time is up"):
        tvm_session.call_func(echo, (1,))


def test_what_was_said_before_the_connection_closed_is_the_reason(tvm_session) -> None:
    near, far = memory_pair()
    link = TVMLink(near, "board", lambda _: None)
    far.send(encode(Raised("RPCSessionTimeoutError: time is up")))
    far.close()
    with pytest.raises(DeadlineExceeded, match="time is up"):
        link.ask(SystemCall(Code.DEV_GET_CURRENT_STREAM, (TVMDevice(1, 0),)), what="it")
