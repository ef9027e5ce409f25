"""Tests of `rpcnb.session.base`: what a session that only implements the least gets for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from rpcnb.core.cancelled import RemoteCancelled
from rpcnb.core.device import CPU
from rpcnb.core.errors import ConnectionClosed, DeadlineExceeded, ErrorInfo, RemoteError
from rpcnb.core.values import ArrayRef, FunctionInfo, FunctionRef, Handle
from rpcnb.session.base import CallStatus, RPCSession, raise_or_return, run_and_call_back
from rpcnb.session.observer import ENDED_CALL

FUNCTION = FunctionRef(Handle(1))
ARRAY = ArrayRef(Handle(2))


class LeastSession(RPCSession):
    """Implements what is abstract and nothing else."""

    name = "least"

    def __init__(self) -> None:
        self.memory = bytearray(8)
        self.is_shut_down = False
        self.error: BaseException | None = None

    def get_function(self, name: str) -> FunctionRef | None:
        return FunctionRef(Handle(1), FunctionInfo(name))

    def call_func(self, func: Any, args: Any = (), kwargs: Any = None, **_: Any) -> Any:
        if self.error is not None:
            raise self.error
        return args

    def copy_to_remote(self, source: Any, target: ArrayRef, nbytes: int) -> None:
        self.memory[:nbytes] = source[:nbytes]

    def copy_from_remote(self, source: ArrayRef, target: Any, nbytes: int) -> None:
        target[:nbytes] = self.memory[:nbytes]

    def free_handle(self, handle: Handle, type_code: Any, count: int = 1) -> None:
        raise AssertionError("nothing is freed here")

    def get_device_api(self, device: Any, *, allow_missing: bool = False) -> Any:
        class Streams:
            def stream_sync(self, device: Any, stream: int) -> None:
                waited.append((device, stream))

        return Streams()

    def is_local_session(self) -> bool:
        return True

    def shutdown(self) -> None:
        self.is_shut_down = True


waited: list[tuple[Any, int]] = []


@pytest.fixture
def outcomes() -> list[tuple[CallStatus, Any]]:
    return []


@pytest.fixture
def callback(outcomes: list[tuple[CallStatus, Any]]) -> Any:
    return lambda status, value: outcomes.append((status, value))


def test_a_session_that_is_not_async_calls_back_before_it_returns(callback, outcomes) -> None:
    session = LeastSession()
    assert not session.is_async()
    assert session.async_call_func(FUNCTION, (1, 2), None, callback) is ENDED_CALL
    assert outcomes == [(CallStatus.RETURN, (1, 2))]
    ENDED_CALL.cancel()


def test_its_copies_and_waits_call_back_too(callback, outcomes) -> None:
    session, target = LeastSession(), bytearray(3)
    session.async_copy_to_remote(b"abc", ARRAY, 3, callback)
    session.async_copy_from_remote(ARRAY, target, 3, callback)
    session.async_stream_wait(CPU, 4, callback)
    assert [status for status, _ in outcomes] == [CallStatus.RETURN] * 3
    assert bytes(target) == b"abc"
    assert waited[-1] == (CPU, 4)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("bad"), CallStatus.EXCEPTION),
        (RemoteCancelled(), CallStatus.CANCELLED),
        (DeadlineExceeded(), CallStatus.DEADLINE),
    ],
)
def test_errors_reach_a_callback_as_status_and_description(
    callback, outcomes, error, status
) -> None:
    session = LeastSession()
    session.error = error
    session.async_call_func(FUNCTION, (), None, callback)
    assert outcomes[0][0] is status
    if status is CallStatus.EXCEPTION:
        assert outcomes[0][1].message == "bad"
        assert "ValueError: bad" in outcomes[0][1].traceback


def test_an_interrupt_belongs_to_the_thread_and_to_no_callback(callback, outcomes) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_and_call_back(interrupt, callback)
    assert outcomes == []


@pytest.mark.parametrize(
    ("status", "value", "error"),
    [
        (CallStatus.EXCEPTION, ErrorInfo("KeyError", "k", "KeyError"), RemoteError),
        (CallStatus.CANCELLED, None, RemoteCancelled),
        (CallStatus.DEADLINE, None, DeadlineExceeded),
        (CallStatus.LOST, ConnectionClosed("gone"), ConnectionClosed),
    ],
)
def test_an_outcome_is_raised_as_what_it_is(status, value, error) -> None:
    with pytest.raises(error):
        raise_or_return(status, value)


def test_a_result_is_returned() -> None:
    assert raise_or_return(CallStatus.RETURN, 5) == 5


def test_the_rest_has_a_harmless_default() -> None:
    with LeastSession() as session:
        assert session.statistics() == {}
        assert session.host_memory(Handle(1)) is None
        assert not session.runs_beside_streams(FUNCTION)
        assert RPCSession.get(session.table_index) is session
    assert session.is_shut_down
