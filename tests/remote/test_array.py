from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import ArrayMismatch, ImplicitTransferError
from rpcnb.remote.array import RemoteArray, short_dtype, short_size, summary_of

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


@pytest.mark.parametrize("index", [[0, 1], np.array([0]), [True, False, True]], ids=repr)
def test_other_indices_give_copies(remote: Remote, index: object) -> None:
    array = remote.arange(3)
    part = array[index]
    np.testing.assert_array_equal(part.to_numpy(), np.arange(3)[index])
    assert not part.shares_memory(array)


@pytest.mark.parametrize("index", [1.5, "a", 1j], ids=repr)
def test_what_is_no_index_raises(remote: Remote, index: object) -> None:
    with pytest.raises((IndexError, TypeError)):
        remote.arange(3)[index]


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
    [np.asarray, np.save, bool, int, float, complex, np.apply_along_axis],
    ids=lambda use: use.__name__,
)
def test_what_would_move_data_unasked_is_refused(
    remote: Remote, crossings: Callable[[], int], use: Callable[..., object]
) -> None:
    array = remote.ones(1)
    before = crossings()
    with pytest.raises(ImplicitTransferError, match=r"8 B.*a\.to_numpy\(\)"):
        use(*{np.save: ("x.npy", array), np.apply_along_axis: (len, 0, array)}.get(use, (array,)))
    assert crossings() == before


def test_an_array_of_one_number_is_a_number(remote: Remote, crossings: Callable[[], int]) -> None:
    three = remote.arange(4).max()
    assert three == 3
    before = crossings()
    assert (int(three), float(three), bool(three), operator.index(three)) == (3, 3.0, True, 3)
    assert f"{three:.1f}" == "3.0"
    assert crossings() == before


def test_arithmetic_with_host_arrays_is_refused(remote: Remote) -> None:
    array = remote.ones(3)
    for use in (operator.add, operator.eq, operator.iadd):
        with pytest.raises(ImplicitTransferError, match="host array"):
            use(np.ones(3), array)
        with pytest.raises(ImplicitTransferError, match="host array of 24 B"):
            use(array, np.ones(3))


def test_equality_is_by_element(remote: Remote) -> None:
    array = remote.arange(3)
    assert (array == 1).tolist() == [False, True, False]
    assert (array == array.copy()).all()
    assert (array == None) is False  # noqa: E711
    with pytest.raises(TypeError, match="unhashable"):
        hash(array)


def test_a_written_array_forgets_what_came_with_it(remote: Remote) -> None:
    array = remote.xp.asarray([1, 2])
    view = array[:1]
    view[0] = 5
    assert array.tolist() == [5, 2]
    other = array + 0
    other += 1
    assert other.tolist() == [6, 3]
    filled = remote.xp.asarray([1.0])
    filled.copy_from([7.0])
    assert filled.item() == 7
    written = remote.xp.asarray([1.0, 2.0])
    assert np.add(written, 1, out=written) is written
    assert written.tolist() == [2, 3]
    assert remote.get_function("apply")(remote.get_function("total"), written) == 5


def test_its_text_and_summary_are_made_over_there(remote: Remote) -> None:
    array = remote.array(np.array([1, 2, 3, np.nan], "f4"))
    assert str(array) == "[ 1.,  2.,  3., nan]"
    assert array.summary() == "f32[4] 16 B ∈ [1, 3] μ=2 σ=0.8165 NaN×1"  # noqa: RUF001


def test_a_summary_without_numbers_is_short(remote: Remote) -> None:
    array = remote.zeros(0)
    assert summary_of(array, array.statistics()) == "f64[0] 0 B"


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
