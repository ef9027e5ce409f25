from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import ArrayMismatch, ImplicitTransferError
from rpcnb.remote.array import RemoteArray, basic_index, short_dtype, short_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote

ARRAYS = {
    "plain": np.arange(24.0).reshape(2, 3, 4),
    "zero-d": np.array(5, "i2"),
    "empty": np.empty((0, 3), "f4"),
    "transposed": np.arange(6).reshape(2, 3).T,
    "strided": np.arange(20)[::-3],
    "foreign byte order": np.arange(3, dtype=">u4"),
    "dates": np.array(["2026-01-01", "NaT"], "M8[ns]"),
    "text": np.array(["ab", "c"]),
    "record": np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]),
    "bool": np.array([True, False]),
}


@pytest.mark.parametrize("value", ARRAYS.values(), ids=ARRAYS)
def test_arrays_come_back_as_they_went(remote: Remote, value: np.ndarray) -> None:
    np.testing.assert_array_equal(remote.array(value).to_numpy(), value, strict=True)


def test_metadata_is_known_here(remote: Remote, crossings: Callable[[], int]) -> None:
    array = remote.array(np.zeros((3, 4), "f4"))
    before = crossings()
    assert array.shape == (3, 4)
    assert array.dtype == np.float32
    assert (array.ndim, array.size, array.itemsize, array.nbytes) == (2, 12, 4, 48)
    assert array.strides == (16, 4)
    assert array.device == CPU
    assert array.writeable
    assert len(array) == 3
    assert repr(array) == "<RemoteArray f32[3, 4] 48 B on lab cpu:0>"
    assert crossings() == before


INDICES = [
    1,
    -1,
    np.int8(1),
    slice(1, 3),
    slice(None, None, -2),
    slice(np.int64(1), None),
    ...,
    None,
    (0, ..., 1),
    (None, 1, slice(None), None),
    (slice(3, 0, -1), 2),
    (0, 0, 0),
    (),
    slice(5, 5),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_indexing_gives_views(remote: Remote, index: object) -> None:
    value = np.arange(60).reshape(4, 3, 5)
    array = remote.array(value)
    view = array[index]
    assert isinstance(view, RemoteArray)
    assert view.shape == value[index].shape
    assert view.shares_memory(array)
    np.testing.assert_array_equal(view.to_numpy(), value[index])


def test_a_view_keeps_the_memory_of_a_freed_array(remote: Remote) -> None:
    array = remote.arange(10)
    view = array[2:5]
    array.free()
    np.testing.assert_array_equal(view.to_numpy(), [2, 3, 4])


@pytest.mark.parametrize("index", [[0, 1], np.array([0]), True, 1.5, "a"], ids=repr)
def test_indices_that_would_copy_are_refused(index: object) -> None:
    with pytest.raises(TypeError, match="integers, slices"):
        basic_index(index)


def test_an_index_out_of_bounds_raises(remote: Remote) -> None:
    with pytest.raises(IndexError):
        remote.arange(3)[3]


def test_assignment_takes_scalars_small_arrays_and_remote_arrays(remote: Remote) -> None:
    array = remote.zeros((3, 3))
    array[0, 0] = 1
    array[1] = [1, 2, 3]
    array[2, :2] = np.array([7, 8])
    array[..., 2] = remote.ones(3)
    np.testing.assert_array_equal(array.to_numpy(), [[1, 0, 1], [1, 2, 1], [7, 8, 1]])


def test_a_large_assignment_names_the_way_out(remote: Remote) -> None:
    array = remote.empty(100_000)
    with pytest.raises(ImplicitTransferError, match=r"781\.2 KiB.*a\[index\]\.copy_from\(x\)"):
        array[:] = np.zeros(100_000)
    array[:].copy_from(np.ones(100_000))
    assert array.item(99_999) == 1


def test_copy_from_casts_safely_or_not_at_all(remote: Remote) -> None:
    array = remote.zeros((2, 2))
    array.copy_from(np.ones((2, 2), "i4"))
    array[0].copy_from([5, 6])
    np.testing.assert_array_equal(array.to_numpy(), [[5, 6], [1, 1]])
    with pytest.raises(ArrayMismatch, match="complex128 cannot be cast to float64"):
        array.copy_from(np.ones((2, 2), complex))
    with pytest.raises(ArrayMismatch, match=r"\(4,\) does not fit into one of shape \(2, 2\)"):
        array.copy_from(np.ones(4))


def test_copy_to_fills_memory_that_exists(remote: Remote) -> None:
    out = np.zeros((4, 6))[::2, ::3]
    array = remote.array(np.arange(4, dtype="f4").reshape(2, 2))
    assert array.copy_to(out) is out
    np.testing.assert_array_equal(out, [[0, 1], [2, 3]])
    with pytest.raises(ArrayMismatch, match="float32 cannot be cast to int32"):
        array.copy_to(np.empty((2, 2), "i4"))


def test_copies_are_independent(remote: Remote) -> None:
    array = remote.zeros(3)
    copy = array.copy()
    array[0] = 1
    np.testing.assert_array_equal(copy.to_numpy(), [0, 0, 0])
    assert not copy.shares_memory(array)


def test_item_downloads_one_element(remote: Remote) -> None:
    array = remote.array([[1, 2], [3, 4]])
    assert array.item(1, 0) == 3
    assert type(array[0, 0].item()) is int
    with pytest.raises(ArrayMismatch, match="4 elements"):
        array.item()


def test_iterating_gives_rows(remote: Remote) -> None:
    rows = list(remote.array([[1, 2], [3, 4]]))
    assert [row.shape for row in rows] == [(2,), (2,)]
    assert rows[1].item(0) == 3


@pytest.mark.parametrize(
    "use",
    [np.asarray, np.sin, np.mean, bool, int, float, complex, operator.index, list],
    ids=lambda use: use.__name__,
)
def test_what_would_move_data_unasked_is_refused(
    remote: Remote, crossings: Callable[[], int], use: Callable[[object], object]
) -> None:
    array = remote.ones(1)
    before = crossings()
    with pytest.raises(ImplicitTransferError, match=r"8 B.*a\.to_numpy\(\)"):
        use(array)
    assert crossings() == before


def test_arithmetic_with_host_arrays_is_refused(remote: Remote) -> None:
    with pytest.raises(ImplicitTransferError, match=r"np\.add"):
        np.ones(3) + remote.ones(3)


def test_equality_is_refused_rather_than_answered_by_identity(remote: Remote) -> None:
    array = remote.ones(3)
    for other in (array, np.ones(3), 1):
        with pytest.raises(TypeError, match="by identity"):
            operator.eq(array, other)
    assert (array == None) is False  # noqa: E711
    assert {array: 1}[array] == 1


def test_a_zero_d_array_has_no_length_and_is_not_iterable(remote: Remote) -> None:
    array = remote.array(3)
    with pytest.raises(TypeError, match="0-d"):
        len(array)
    with pytest.raises(TypeError, match="0-d"):
        iter(array)


@pytest.mark.parametrize(
    ("dtype", "short"),
    [("f4", "f32"), (">i8", ">i64"), ("?", "bool"), ("c16", "c128"), ("M8[ns]", "datetime64[ns]")],
)
def test_dtypes_are_written_short(dtype: str, short: str) -> None:
    assert short_dtype(np.dtype(dtype)) == short


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1 << 26, "64.0 MiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes_are_written_with_their_unit(nbytes: int, text: str) -> None:
    assert short_size(nbytes) == text
