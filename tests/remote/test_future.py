from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import warnings
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.cancelled import RemoteCancelled
from rpcnb.core.errors import SessionError
from rpcnb.remote.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcnb.remote.client import Remote
    from rpcnb.remote.future import RemoteFuture


@pytest.fixture
def waiting(remote: Remote, gate: object) -> Iterator[RemoteFuture]:
    """A call that has begun and goes on when the gate opens."""
    call = remote.functions["demo.wait"].submit()
    assert gate.entered.wait(5)
    yield call
    gate.open.set()


def test_a_result_is_waited_for(waiting: RemoteFuture, gate: object) -> None:
    assert not waiting.done()
    gate.open.set()
    assert waiting.result(5) == "waited"
    assert waiting.exception() is None
    assert repr(waiting) == "<RemoteFuture demo.wait done on lab>"


def test_giving_up_waiting_leaves_the_call_running(waiting: RemoteFuture, gate: object) -> None:
    with pytest.raises(TimeoutError):
        waiting.result(timeout=0.01)
    gate.open.set()
    assert waiting.result(5) == "waited"


def test_a_running_call_is_cancelled_and_that_is_confirmed(waiting: RemoteFuture) -> None:
    assert waiting.cancel() is True
    assert waiting.cancelled()
    assert waiting.done()
    for look in (waiting.result, waiting.exception):
        with pytest.raises(RemoteCancelled) as caught:
            look()
        assert isinstance(caught.value, concurrent.futures.CancelledError)
        assert caught.value.confirmed
    assert "cancelled" in repr(waiting)


def test_a_call_that_stops_is_not_killed(waiting: RemoteFuture) -> None:
    assert waiting.cancel(kill=True) is True
    assert waiting.cancelled()


def test_a_thread_is_not_killed(remote: Remote, gate: object) -> None:
    call = remote.functions["demo.wait"].submit()
    assert gate.entered.wait(5)
    with pytest.raises(SessionError, match="cannot be killed"):
        remote.kill()
    gate.open.set()
    assert call.result(5) == "waited"
    assert call.cancel(kill=True) is False, "it had ended"


def test_a_queued_call_is_cancelled(remote: Remote, waiting: RemoteFuture) -> None:
    queued = remote.functions["demo.add"].submit(1)
    assert queued.cancel() is True
    assert not waiting.done()


def test_cancelling_an_ended_call_is_false(remote: Remote) -> None:
    call = remote.functions["demo.add"].submit(1)
    assert call.result(5) == 2
    assert call.cancel() is False
    assert call.result() == 2


def test_an_error_is_kept(remote: Remote) -> None:
    call = remote.functions["demo.fail"].submit()
    with pytest.raises(ValueError, match="no good"):
        call.result(5)
    assert isinstance(call.exception(), ValueError)
    assert "raised RemoteValueError" in repr(call)


def test_done_callbacks_are_called(waiting: RemoteFuture, gate: object) -> None:
    called = threading.Event()
    waiting.add_done_callback(lambda call: called.set())
    gate.open.set()
    assert called.wait(5)


def test_wait_and_as_completed_work(remote: Remote) -> None:
    calls = [remote.functions["demo.add"].submit(i) for i in range(5)]
    done, missing = concurrent.futures.wait(calls, timeout=5)
    assert len(done) == 5
    assert missing == set()
    assert {c.result() for c in concurrent.futures.as_completed(calls, 5)} == {1, 2, 3, 4, 5}


def test_as_completed_sees_a_cancelled_call(waiting: RemoteFuture) -> None:
    waiting.cancel()
    assert list(concurrent.futures.as_completed([waiting], 5)) == [waiting]


def test_progress_and_output_are_collected(
    remote: Remote, capsys: pytest.CaptureFixture[str]
) -> None:
    call = remote.functions["demo.work"].submit(3)
    assert call.result(5) == 3
    assert call.progress == Progress(3, 3, "rows")
    with warnings.catch_warnings(action="always"):  # of this process, where the call runs
        chat = remote.functions["demo.chat"].submit()
        assert chat.result(5) == "done"
    assert chat.stdout == "first line\n"
    assert chat.stderr == ""
    assert [type(warning) for warning in chat.warnings] == [UserWarning]
    assert capsys.readouterr().out == ""


def test_echo_also_prints(remote: Remote, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(action="always"):
        call = remote.functions["demo.chat"].submit(echo=True)
        call.result(5)
    assert capsys.readouterr().out == call.stdout == "first line\n"


def test_progress_callbacks_are_called_and_may_raise(
    remote: Remote, waiting: RemoteFuture, gate: object, capsys: pytest.CaptureFixture[str]
) -> None:
    call = remote.functions["demo.work"].submit(3)  # queued behind `waiting`
    seen: list[Progress] = []
    call.add_progress_callback(lambda progress: 1 // 0)
    call.add_progress_callback(seen.append)
    gate.open.set()
    assert call.result(5) == 3
    assert seen[-1] == Progress(3, 3, "rows")
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_callbacks_lent_to_a_submitted_call_run_here(remote: Remote) -> None:
    assert remote.functions["apply"].submit(lambda x: x + 1, 1).result(5) == 2


def test_a_call_is_awaited(remote: Remote) -> None:
    async def main() -> list[int]:
        add = remote.functions["demo.add"]
        return await asyncio.gather(*(add.submit(i) for i in range(3)))

    assert asyncio.run(main()) == [1, 2, 3]


def test_awaiting_raises_what_the_call_raised(remote: Remote) -> None:
    async def main() -> None:
        await remote.functions["demo.fail"].submit()

    with pytest.raises(ValueError, match="no good"):
        asyncio.run(main())


def test_awaiting_a_cancelled_call_raises_remote_cancelled(waiting: RemoteFuture) -> None:
    async def main() -> None:
        waiting.cancel()
        await waiting

    with pytest.raises(RemoteCancelled):
        asyncio.run(main())


def test_cancelling_the_task_cancels_the_call(
    waiting: RemoteFuture, eventually: Callable[..., bool]
) -> None:
    async def main() -> None:
        await asyncio.wait_for(waiting, timeout=0.01)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert eventually(waiting.cancelled)


def test_wrap_future_works_too(remote: Remote) -> None:
    async def main() -> int:
        return await asyncio.wrap_future(remote.functions["demo.add"].submit(1))

    assert asyncio.run(main()) == 2


def test_a_result_nobody_takes_is_given_back(remote: Remote, held: Callable[[], int]) -> None:
    make = remote.get_function("make_array")
    before = held()
    call = make.submit(3)
    call.result(5)
    assert held() == before + 1
    del call
    gc.collect()  # the session's record of the call may lead back to it
    assert held() == before
