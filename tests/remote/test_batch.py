from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rpcnb.core.errors import InvalidHandle, RemoteError, RpcnbError, SessionError
from rpcnb.remote.batch import MOST, BatchedCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote


def test_calls_are_one_message_and_one_reply(remote: Remote, crossings: Callable[[], int]) -> None:
    add = remote.get_function("demo.add")
    with remote.batch():
        pass
    before = crossings()
    with remote.batch():
        calls = [add(number) for number in range(1000)]
        assert crossings() == before
    assert [call.result() for call in calls] == list(range(1, 1001))
    assert crossings() == before + 1
    assert all(call.done for call in calls)


def test_errors_are_those_of_their_calls(remote: Remote) -> None:
    add, fail = remote.get_function("demo.add"), remote.get_function("demo.fail")
    with remote.batch():
        good, bad, better = add(1), fail(), add(2)
    assert (good.result(), better.result(), good.exception()) == (2, 3, None)
    assert isinstance(bad.exception(), ValueError)
    for _ in range(2):
        with pytest.raises(ValueError, match="no good") as caught:
            bad.result()
    assert isinstance(caught.value, RemoteError)
    assert "in fail" in str(caught.value)


def test_any_argument_and_result_will_do(remote: Remote) -> None:
    add, echo = remote.get_function("demo.add"), remote.get_function("echo")
    make, total = remote.get_function("make_array"), remote.get_function("total")
    with remote.batch():
        named, listed, array = add(1, b=5), echo([1, {"two": (3,)}]), make(4)
        summed = total(remote.ones(3) * 2)
    assert (named.result(), listed.result(), summed.result()) == (6, [1, {"two": (3,)}], 6)
    assert array.result() is array.result()
    np.testing.assert_array_equal(array.result().to_numpy(), [0, 1, 2, 3])


def test_array_operations_keep_their_place(remote: Remote) -> None:
    total = remote.get_function("total")
    array = remote.zeros(4)
    with remote.batch():
        before = total(array)
        array += 1
        after = total(array)
        doubled = array * 2
    assert (before.result(), after.result()) == (0, 4)
    assert doubled.tolist() == [2, 2, 2, 2]


def test_a_function_that_is_given_up_in_the_block_is_found_again_or_refused(remote: Remote) -> None:
    by_name, held = remote.functions["demo.add"], remote.get_function("demo.add")
    with remote.batch():
        calls = [by_name(1), by_name(2)]
        by_name.free()
        calls.append(by_name(3))
        calls += [held(4), held(5)]
        held.free()
        with pytest.raises(InvalidHandle, match="was freed"):
            held(6)
    assert [call.result() for call in calls] == [2, 3, 4, 5, 6]


def test_results_are_there_when_the_block_was_left(remote: Remote) -> None:
    add = remote.get_function("demo.add")
    with remote.batch():
        call = add(1)
        assert isinstance(call, BatchedCall)
        assert "1 calls, not back yet" in repr(call)
        with pytest.raises(SessionError, match="when its block is left"):
            call.result()
    assert call.result() == 2
    assert add(1) == 2


def test_blocks_nest_and_other_threads_are_left_alone(remote: Remote) -> None:
    add = remote.get_function("demo.add")
    found: list[Any] = []
    with remote.batch():
        outer = add(1)
        with remote.batch():
            inner = add(2)
        last = add(3)
        thread = threading.Thread(target=lambda: found.append(add(4)))
        thread.start()
        thread.join(10)
    assert [call.result() for call in (outer, inner, last)] == [2, 3, 4]
    assert found == [5]


def test_what_cannot_wait_is_called_at_once_behind_the_others(remote: Remote) -> None:
    add, apply = remote.get_function("demo.add"), remote.get_function("apply")
    seen: list[int] = []
    with remote.batch():
        call = add(1)
        assert apply(lambda: seen.append(1)) is None
        assert add.options(timeout=5)(7) == 8
    assert call.result() == 2
    assert seen == [1]


def test_a_batch_of_any_size_is_a_few_messages(
    remote: Remote, crossings: Callable[[], int]
) -> None:
    add = remote.get_function("demo.add")
    with remote.batch():
        calls = [add(number) for number in range(MOST)]
        before = crossings()
    assert [call.result() for call in calls] == list(range(1, MOST + 1))
    assert crossings() - before <= 3


def test_an_error_in_the_block_sends_what_was_collected(remote: Remote) -> None:
    add = remote.get_function("demo.add")
    calls: list[BatchedCall] = []

    def fail() -> None:
        with remote.batch():
            calls.append(add(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert calls[0].result() == 2
    assert remote.batching is None


def test_a_session_that_ends_tells_every_call(make_remote: Callable[..., Remote]) -> None:
    remote = make_remote("ending")
    wait = remote.get_function("demo.add")
    with remote.batch():
        calls = [wait(1) for _ in range(3)]
    remote.close()
    for call in calls:
        error = call.exception()
        assert error is None or isinstance(error, RpcnbError)
