from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.array.table import operations
from rpcnb.core.errors import InvalidHandle
from rpcnb.remote.array import RemoteArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.array.namespace import ArrayNamespace
    from rpcnb.remote.client import Remote

STANDARD = [
    operation
    for operation in operations().values()
    if operation.group
    in {
        "creation",
        "elementwise",
        "linalg",
        "fft",
        "manipulation",
        "metadata",
        "reduction",
        "views",
    }
]


@pytest.mark.parametrize("operation", STANDARD, ids=lambda one: one.name)
def test_every_row_is_a_function_with_its_signature(xp: ArrayNamespace, operation) -> None:
    part = getattr(xp, operation.group) if "." in operation.name else xp
    function = getattr(part, operation.short_name)
    expected = list(operation.signature.parameters)
    assert list(inspect.signature(function).parameters) == expected
    assert function.__doc__


def test_the_namespace_says_what_it_is(xp: ArrayNamespace) -> None:
    assert repr(xp) == "<lab.xp: array API 2025.12>"
    assert repr(xp.linalg) == "<lab.xp.linalg>"
    assert {"sin", "linalg", "float64", "pi"} <= set(dir(xp))
    assert xp.float64 is np.float64


@pytest.mark.parametrize("value", [1, 2.5, True, 1j, [1, 2], [[1.0], [2.0]], np.arange(6.0)])
def test_asarray_uploads_what_is_here(xp: ArrayNamespace, value: object) -> None:
    np.testing.assert_array_equal(xp.asarray(value).to_numpy(), np.asarray(value), strict=True)


def test_small_arrays_are_uploaded_in_one_round_trip(
    xp: ArrayNamespace, round_trips: Callable[[], int]
) -> None:
    before = round_trips()
    array = xp.asarray([1, 2, 3])
    assert array.tolist() == [1, 2, 3]
    assert round_trips() == before + 1


def test_large_arrays_are_uploaded_too(xp: ArrayNamespace) -> None:
    value = np.arange(100_000)
    np.testing.assert_array_equal(xp.asarray(value, dtype=xp.float32).to_numpy(), value)


def test_asarray_takes_a_remote_array_as_it_is(xp: ArrayNamespace) -> None:
    array = xp.asarray([1, 2])
    assert xp.asarray(array) is array
    assert not xp.asarray(array, copy=True).shares_memory(array)
    assert xp.asarray(array, dtype=xp.float32).dtype == np.float32
    with pytest.raises(ValueError, match="only by copying"):
        xp.asarray(array, dtype=xp.float32, copy=False)
    with pytest.raises(ValueError, match="copied"):
        xp.asarray([1], copy=False)


def test_asarray_stacks_lists_of_remote_arrays(xp: ArrayNamespace) -> None:
    one, two = xp.asarray([1, 2]), xp.asarray([3.0, 4.0])
    assert xp.asarray([one, two]).tolist() == [[1, 2], [3, 4]]
    assert xp.asarray([[one[0], 5.0], [7, two[1]]]).tolist() == [[1, 5], [7, 4]]


def test_what_is_no_array_of_numbers_is_refused(xp: ArrayNamespace) -> None:
    with pytest.raises(TypeError, match="no array of numbers"):
        xp.asarray([object()])
    with pytest.raises(OverflowError):
        xp.asarray(300, dtype=xp.uint8)


def test_dlpack_both_ways(xp: ArrayNamespace) -> None:
    array = xp.from_dlpack(np.arange(3))
    assert isinstance(array, RemoteArray)
    assert xp.from_dlpack(array) is array
    np.testing.assert_array_equal(np.from_dlpack(array), [0, 1, 2])
    with pytest.raises(BufferError, match="over there"):
        array.__dlpack__(copy=False)


def test_creation_makes_arrays_there(xp: ArrayNamespace, round_trips: Callable[[], int]) -> None:
    before = round_trips()
    assert xp.zeros((2, 3), dtype=xp.int8).dtype == np.int8
    assert xp.arange(0, 5, 2).tolist() == [0, 2, 4]
    assert xp.linspace(0, 1, 3, device=xp.asarray(1).device).tolist() == [0, 0.5, 1]
    assert xp.eye(2).tolist() == [[1, 0], [0, 1]]
    assert round_trips() <= before + 6  # one of them a download


def test_results_with_names(xp: ArrayNamespace) -> None:
    array = xp.asarray([[2.0, 0.0], [0.0, 3.0]])
    assert xp.linalg.eigh(array).eigenvalues.tolist() == [2, 3]
    found = xp.unique_all(xp.asarray([3, 1, 3]))
    assert (found.values.tolist(), found.counts.tolist()) == ([1, 3], [1, 2])
    assert np.linalg.svd(array).S.tolist() == [3, 2]
    assert isinstance(xp.broadcast_arrays(array, array), tuple)


def test_special_functions_are_scipys(xp: ArrayNamespace) -> None:
    special = import_module("scipy.special")
    values = [0.5, 1.5]
    np.testing.assert_allclose(
        xp.special.gammaln(xp.asarray(values)).to_numpy(), special.gammaln(values)
    )
    assert float(special.erf(xp.asarray(0.5))) == special.erf(0.5)


def test_arrays_of_two_sessions_do_not_mix(remote: Remote, server) -> None:
    from rpcnb.remote.client import open_remote

    with open_remote(server.url, server.token, name="other") as other:
        there = other.zeros(3)
        with pytest.raises(InvalidHandle, match="other"):
            remote.zeros(3) + there
        with pytest.raises(InvalidHandle, match="other"):
            remote.xp.asarray(there) + remote.zeros(3)
