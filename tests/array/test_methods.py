from __future__ import annotations

import copy
import inspect
import operator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.array.methods import index_of
from rpcnb.core.errors import ImplicitTransferError
from rpcnb.remote.array import RemoteArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.array.namespace import ArrayNamespace
    from rpcnb.remote.client import Remote

VALUE = np.arange(24.0).reshape(2, 3, 4)

METHODS = {
    "all": lambda x: x.all(),
    "any": lambda x: x.any(axis=1),
    "argmax": lambda x: x.argmax(axis=0),
    "argmin": lambda x: x.argmin(),
    "astype": lambda x: x.astype("f4"),
    "astype of a Python type": lambda x: x.astype(int),
    "clip": lambda x: x.clip(2, 5),
    "copy": lambda x: x.copy(),
    "cumsum": lambda x: x.cumsum(axis=1),
    "dot": lambda x: x[0].dot(x[1].T),
    "flatten": lambda x: x.flatten(),
    "max": lambda x: x.max(),
    "mean": lambda x: x.mean(axis=(0, 2), keepdims=True),
    "min": lambda x: x.min(1),
    "mT": lambda x: x.mT,
    "prod": lambda x: x.prod(axis=0),
    "ravel": lambda x: x.ravel(),
    "reshape": lambda x: x.reshape(4, 6),
    "reshape with a tuple": lambda x: x.reshape((4, -1)),
    "round": lambda x: (x / 7).round(1),
    "squeeze": lambda x: x[:1].squeeze(),
    "std": lambda x: x.std(ddof=1),
    "sum": lambda x: x.sum(axis=0, dtype="f4"),
    "take": lambda x: x.take(np.int64(2), axis=1),
    "transpose": lambda x: x.transpose(2, 0, 1),
    "T": lambda x: x.T,
    "var": lambda x: x.var(),
    "real": lambda x: x.real,
    "imag": lambda x: x.imag,
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "trace": lambda x: x.trace(),
}


@pytest.mark.parametrize("run", METHODS.values(), ids=METHODS)
def test_methods_are_numpys(
    xp: ArrayNamespace, run: Callable[[object], object], round_trips: Callable[[], int]
) -> None:
    there = xp.asarray(VALUE)
    before = round_trips()
    found = run(there)
    assert isinstance(found, RemoteArray)
    assert round_trips() <= before + 4
    np.testing.assert_array_equal(found.to_numpy(), run(VALUE), strict=True)


def test_methods_show_their_signature() -> None:
    assert str(inspect.signature(RemoteArray.sum)).startswith("(self, /, axis=None")
    assert RemoteArray.sum.__doc__ == "Sum."
    assert RemoteArray.__add__.__name__ == "__add__"


MASK = VALUE > 5
INDICES = [
    1,
    -1,
    ...,
    (0, ..., 1),
    (slice(None), slice(1, None), slice(None, None, -2)),
    (None, 1),
    [0, 1],
    ([0, 1], [2, 0]),
    np.array([[0], [1]]),
    MASK,
    (slice(None), np.array([True, False, True])),
    (1, [0, 2], slice(1, 3)),
    (np.int8(1), np.bool(True)),
    [],
    (slice(np.int64(1), np.int64(2)),),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_indexing_and_assignment_are_numpys(xp: ArrayNamespace, index: object) -> None:
    there, here = xp.asarray(VALUE), VALUE.copy()
    np.testing.assert_array_equal(there[index].to_numpy(), here[index])
    assert there[index].shares_memory(there) == np.shares_memory(here[index], here)
    there[index] = -1
    here[index] = -1
    np.testing.assert_array_equal(there.to_numpy(), here)


def test_remote_arrays_are_indices_too(xp: ArrayNamespace) -> None:
    there = xp.asarray(VALUE)
    np.testing.assert_array_equal(there[there > 5].to_numpy(), VALUE[VALUE > 5])
    which = xp.asarray([1, 0])
    np.testing.assert_array_equal(there[which].to_numpy(), VALUE[[1, 0]])
    np.testing.assert_array_equal(there[:, which, 0].to_numpy(), VALUE[:, [1, 0], 0])
    first = which[0]
    np.testing.assert_array_equal(there[first].to_numpy(), VALUE[1])
    np.testing.assert_array_equal(there[:first].to_numpy(), VALUE[:1])
    there[there > 5] = xp.asarray(0.0)
    assert float(xp.sum(there)) == 15
    assert [10, 11][first] == 11
    assert list(range(first)) == [0]


def test_slices_are_looked_into() -> None:
    assert index_of((slice(np.int64(1), None), None)) == (slice(1, None), None)
    assert index_of([]).dtype == np.intp


def test_in_place_operators_keep_the_object_and_its_views(
    xp: ArrayNamespace, round_trips: Callable[[], int]
) -> None:
    array = xp.asarray(np.arange(10))
    same, view = array, array[:2]
    before = round_trips()
    array += 5
    array *= xp.asarray(2)
    assert round_trips() == before + 3
    assert array is same
    assert view.tolist() == [10, 12]
    with pytest.raises(TypeError, match="Cannot cast ufunc"):
        array /= 2


def test_copies_are_made_over_there(xp: ArrayNamespace) -> None:
    array = xp.asarray([1, 2])
    for duplicate in (copy.copy, copy.deepcopy):
        other = duplicate({"x": array} if duplicate is copy.deepcopy else array)
        other = other["x"] if isinstance(other, dict) else other
        other += 1
        assert array.tolist() == [1, 2]


def test_iterating_takes_few_round_trips(
    xp: ArrayNamespace, round_trips: Callable[[], int]
) -> None:
    numbers, table = xp.arange(600), xp.reshape(xp.arange(20), (10, 2))
    before = round_trips()
    assert sum(int(number) for number in numbers) == sum(range(600))
    assert round_trips() == before + 3
    rows = list(table)
    assert round_trips() == before + 4
    rows[0][0] = 99
    assert int(table[0, 0]) == 99
    assert max(xp.asarray([3, 9, 2])) == 9
    assert 9 in xp.asarray([3, 9])
    assert 8 not in xp.asarray([3, 9])


def test_mixing_with_what_is_no_number_fails_here(
    xp: ArrayNamespace, round_trips: Callable[[], int]
) -> None:
    array = xp.asarray([1, 2])
    before = round_trips()
    for other in ("a", None, [1, 2], object()):
        with pytest.raises(TypeError):
            operator.add(array, other)
    with pytest.raises(TypeError, match=r"xp\.asarray"):
        operator.eq(array, [1, 2])
    assert (array == "a") is False
    with pytest.raises(TypeError, match="cannot be an operand"):
        xp.sum(len)
    assert round_trips() == before


def test_large_numbers_meet_numpys_rules(xp: ArrayNamespace) -> None:
    array = xp.asarray([1, 2], dtype=xp.uint8)
    with pytest.raises(OverflowError):
        array + 2**70
    with pytest.raises(OverflowError):
        array + 300


def test_devices_are_no_transfers(remote: Remote) -> None:
    array = remote.zeros(3)
    assert array.to_device(array.device) is array
    for elsewhere in ("cuda:0", "cpu"):
        with pytest.raises(ValueError, match="to_numpy"):
            array.to_device(elsewhere)


def test_a_bulk_array_is_no_truth_value(xp: ArrayNamespace) -> None:
    with pytest.raises(ImplicitTransferError, match="truth value"):
        bool(xp.asarray([1, 2]))
    with pytest.raises(TypeError, match="no index"):
        operator.index(xp.asarray(1.5))


def test_warnings_come_to_the_line_of_the_caller(xp: ArrayNamespace) -> None:
    array = xp.asarray([1.0, 0.0])
    with pytest.warns(RuntimeWarning, match="divide by zero") as caught:
        (1 / array).tolist()
    with pytest.warns(RuntimeWarning, match="divide by zero") as again:
        xp.divide(1, array).tolist()
    assert {caught[0].filename, again[0].filename} == {__file__}
