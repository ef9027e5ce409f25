from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.core.errors import EncodeError, ImplicitTransferError, InvalidHandle
from rpcnb.remote.array import RemoteArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote


@pytest.fixture
def calls(remote: Remote) -> Callable[[], int]:
    """Give a function that tells how many calls have been made."""
    return lambda: remote.session.statistics()["calls"]


def test_an_operation_is_one_round_trip(remote: Remote, calls: Callable[[], int]) -> None:
    array = remote.arrays.run("add", (remote.ones(20), 1), {})
    before = calls()
    result = remote.arrays.run("multiply", (array, 2), {})
    assert calls() == before + 1
    assert isinstance(result, RemoteArray)
    np.testing.assert_array_equal(result.to_numpy(), np.full(20, 4.0))


def test_small_results_need_no_second_one(remote: Remote, calls: Callable[[], int]) -> None:
    array = remote.ones(20)
    array.sum()
    before = calls()
    assert float(array.sum()) == 20
    assert calls() == before + 1


def test_operands_may_be_nested(remote: Remote) -> None:
    array = remote.ones(2)
    result = remote.xp.concat((array, [array, array][0]))
    assert result.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("operand", [{1}, object(), len, iter([1])], ids=lambda x: type(x).__name__)
def test_what_cannot_cross_is_no_operand(remote: Remote, operand: object) -> None:
    with pytest.raises(EncodeError):
        remote.arrays.run("add", (remote.ones(2), operand), {})


def test_host_arrays_are_operands_of_indexing_only(remote: Remote) -> None:
    array = remote.arange(4)
    assert array[np.array([3, 1])].tolist() == [3, 1]
    array[np.array([0])] = np.array([9])
    assert array[0].item() == 9
    with pytest.raises(ImplicitTransferError, match=r"remote\.array\(x\)"):
        remote.arrays.run("add", (array, np.ones(4)), {})


def test_scalars_of_numpy_are_operands(remote: Remote) -> None:
    array = remote.arange(2)
    assert (array + np.int64(3)).tolist() == [3, 4]
    assert (array + np.array(3.5)).tolist() == [3.5, 4.5]


def test_freed_arrays_are_refused(remote: Remote) -> None:
    array = remote.ones(2)
    array.free()
    with pytest.raises(InvalidHandle, match="freed"):
        array + 1


def test_uploads_choose_their_way_by_size(remote: Remote) -> None:
    for size in (3, 100_000):
        value = np.arange(size)
        np.testing.assert_array_equal(remote.arrays.upload(value, None).to_numpy(), value)
    assert remote.arrays.devices() == (remote.ones(1).device,)
