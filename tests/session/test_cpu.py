from __future__ import annotations

import mmap
import platform
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as nps

from rpcnb.core.device import CPU, Device, DeviceAttr, DeviceType
from rpcnb.core.errors import ArrayMismatch, DecodeError, DeviceError, EncodeError
from rpcnb.session.cpu import NumPyBackend

BACKEND = NumPyBackend()
PADDED = np.dtype(
    {"names": ["x", "y"], "formats": ["i1", ">f4"], "offsets": [1, 5], "itemsize": 11}
)
DTYPES = ["f8", ">i2", "?", "c16", "S3", "U2", "M8[ns]", "f2", PADDED]
GPU = Device(DeviceType.CUDA, 0)


def counted(shape: tuple[int, ...], dtype: Any = "f8") -> np.ndarray[Any, Any]:
    """Return an array every byte of which says where it is."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=int)) * dtype.itemsize
    if dtype.kind in "?US":
        return (np.arange(np.prod(shape, dtype=int)) % 2).reshape(shape).astype(dtype)
    return (np.arange(size) % 251).astype("u1").view(dtype).reshape(shape)


def content(array: np.ndarray[Any, Any]) -> bytes:
    """Return all bytes in C order; NumPy's own `tobytes` leaves out the paddings of records."""
    return array.view(np.dtype((np.void, array.itemsize))).tobytes()


LAYOUTS = {
    "contiguous": lambda a: a,
    "every other column": lambda a: a[:, ::2],
    "backwards": lambda a: a[::-1, ::-1],
    "transposed": lambda a: a.T,
    "Fortran": np.asfortranarray,
    "broadcast": lambda a: np.broadcast_to(a[0], (3, a.shape[1])),
    "no dimension": lambda a: a[1, 2, ...],
    "empty": lambda a: a[2:2],
    "windows": lambda a: np.lib.stride_tricks.sliding_window_view(a, 2, 0),
    "with a byte offset": lambda a: a[2:, 1:],
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_read_gives_the_bytes_of_the_c_order_content(layout: str, dtype: Any) -> None:
    array = LAYOUTS[layout](counted((5, 6), dtype))
    out = bytearray(array.nbytes)
    BACKEND.read(array, 0, memoryview(out))
    assert out == content(array)


@given(
    shape=nps.array_shapes(min_dims=0, max_dims=3, max_side=5),
    dtype=st.sampled_from(DTYPES),
    data=st.data(),
)
def test_read_and_write_agree_with_the_content_at_any_offset(
    shape: tuple[int, ...], dtype: Any, data: st.DataObject
) -> None:
    whole = counted(tuple(2 * n for n in shape), dtype)
    index = data.draw(nps.basic_indices(whole.shape, allow_ellipsis=False))
    array = whole[(*(index if isinstance(index, tuple) else (index,)), ...)]
    offset = data.draw(st.integers(0, array.nbytes))
    nbytes = data.draw(st.integers(0, array.nbytes - offset))
    expected = bytearray(content(array))
    out = bytearray(nbytes)
    BACKEND.read(array, offset, memoryview(out))
    assert out == expected[offset : offset + nbytes]

    piece = bytes(b ^ 1 for b in out) if np.dtype(dtype).kind != "U" else bytes(out)
    untouched = content(whole)
    BACKEND.write(array, offset, memoryview(piece))
    expected[offset : offset + nbytes] = piece
    assert content(array) == expected
    BACKEND.write(array, offset, memoryview(out))
    assert content(whole) == untouched


@pytest.mark.parametrize(("offset", "nbytes"), [(-1, 1), (0, 81), (80, 1), (73, 8)])
def test_bytes_outside_are_refused(offset: int, nbytes: int) -> None:
    array = np.zeros(10)
    with pytest.raises(ArrayMismatch, match="do not lie in an array of 80"):
        BACKEND.read(array, offset, memoryview(bytearray(nbytes)))
    with pytest.raises(ArrayMismatch, match="do not lie in an array of 80"):
        BACKEND.write(array, offset, memoryview(bytes(nbytes)))
    BACKEND.read(array, 80, memoryview(b""))


@pytest.mark.parametrize("layout", ["every other column", "transposed", "contiguous"])
def test_a_piece_of_a_large_array_takes_no_copy_of_it(layout: str) -> None:
    array = LAYOUTS[layout](np.zeros((1024, 2048)))
    piece = memoryview(bytearray(1 << 20))
    tracemalloc.start()
    BACKEND.read(array, 12345, piece)
    BACKEND.write(array, 12345, piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_host_view_is_the_memory_itself(dtype: Any) -> None:
    array = counted((3, 4), dtype)
    view = BACKEND.host_view(array)
    assert view is not None
    assert (view.format, view.ndim, view.nbytes) == ("B", 1, array.nbytes)
    assert view == array.tobytes()
    view[:] = bytes(array.nbytes)
    assert array.tobytes() == bytes(array.nbytes)


def test_host_view_of_nothing_is_empty_and_of_one_element_is_that() -> None:
    assert BACKEND.host_view(np.zeros((0, 3))) == b""
    assert BACKEND.host_view(np.ndarray((3,), "S0")) == b""
    assert BACKEND.host_view(np.array(7, "u1")) == b"\x07"


@pytest.mark.parametrize("layout", ["every other column", "backwards", "transposed", "Fortran"])
def test_there_is_no_host_view_where_elements_are_not_in_c_order(layout: str) -> None:
    assert BACKEND.host_view(LAYOUTS[layout](counted((5, 6)))) is None


def test_a_read_only_array_stays_so_by_every_way() -> None:
    array = np.zeros(4)
    array.flags.writeable = False
    view = BACKEND.host_view(array)
    assert view is not None
    assert view.readonly
    assert not BACKEND.describe(array).writeable
    assert not BACKEND.view(array, slice(2)).flags.writeable
    for change in (
        lambda: BACKEND.write(array, 0, memoryview(b"1")),
        lambda: BACKEND.assign(array, 0, 1),
        lambda: BACKEND.copy(np.ones(4), array),
    ):
        with pytest.raises(ArrayMismatch, match="read-only"):
            change()


def test_an_array_is_described() -> None:
    array = np.zeros((4, 6), ">f4")
    whole, part = BACKEND.describe(array), BACKEND.describe(array[1:, ::-2])
    assert (whole.shape, whole.dtype, whole.device, whole.strides) == ((4, 6), ">f4", CPU, None)
    assert (part.shape, part.strides) == ((3, 3), (24, -8))
    assert part.base == whole.base
    assert part.buffer_nbytes == whole.buffer_nbytes == 96
    assert BACKEND.describe(array.copy()).base != whole.base
    assert 0 <= whole.base < 1 << 63


def test_more_dimensions_than_may_cross_are_refused() -> None:
    assert BACKEND.describe(np.zeros((1,) * 32)).shape == (1,) * 32
    with pytest.raises(EncodeError, match="33 dimensions"):
        BACKEND.describe(np.zeros((1,) * 33))


def test_records_with_attributes_are_records() -> None:
    array = np.rec.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])
    assert BACKEND.describe(array) == BACKEND.describe(
        array.view(np.ndarray).view(array.dtype.descr)
    )


def test_the_buffer_is_found_below_foreign_owners() -> None:
    data = bytes(64)
    one, other = np.frombuffer(data, "f8"), np.frombuffer(data, "i4", count=4)
    assert BACKEND.describe(one).base == BACKEND.describe(other[1:]).base
    assert BACKEND.describe(other).buffer_nbytes == 64
    with mmap.mmap(-1, 4096) as memory:
        mapped = np.frombuffer(memory, "u1", 16)
        assert BACKEND.describe(mapped).buffer_nbytes == 4096
        del mapped
    array = np.zeros((1000, 8))
    windows = np.lib.stride_tricks.sliding_window_view(array, 100, 0)
    assert BACKEND.describe(windows).base == BACKEND.describe(array).base
    assert BACKEND.describe(windows).buffer_nbytes == 64_000
    capsule = np.from_dlpack(array)
    assert BACKEND.describe(capsule).buffer_nbytes == 64_000


def test_what_is_an_array_here() -> None:
    assert BACKEND.owns(np.zeros(3))
    assert BACKEND.owns(np.rec.array([(1, 2.0)]))
    assert not BACKEND.owns(np.ma.masked_array([1, 2], [0, 1]))
    assert not BACKEND.owns(np.float64(3))
    assert not BACKEND.owns([1, 2])


def test_objects_are_refused_everywhere() -> None:
    with pytest.raises(EncodeError, match="Python objects"):
        BACKEND.describe(np.array([None]))
    with pytest.raises(EncodeError, match="Python objects"):
        BACKEND.create("full", (2,), None, CPU, object())
    with pytest.raises(DecodeError, match="not a dtype"):
        BACKEND.empty((2,), "|O8", CPU)


@pytest.mark.parametrize(
    ("kind", "args", "dtype", "fill", "expected"),
    [
        ("empty", (2, 3), "<f4", None, np.zeros((2, 3), "f4")),
        ("zeros", (), None, None, np.zeros(())),
        ("ones", (0, 2), ">i2", None, np.ones((0, 2), ">i2")),
        ("full", (2,), None, 7, np.full(2, 7)),
        ("full", [2], "<c8", 1j, np.full(2, 1j, "c8")),
        ("arange", (5,), None, None, np.arange(5)),
        ("arange", (1, 2, 0.25), "<f4", None, np.arange(1, 2, 0.25, "f4")),
    ],
)
def test_arrays_are_made(
    kind: str, args: Any, dtype: str | None, fill: Any, expected: np.ndarray[Any, Any]
) -> None:
    made = BACKEND.create(kind, args, dtype, CPU, fill)
    np.testing.assert_array_equal(made, expected, strict=True)


def test_a_new_array_shows_nothing_of_freed_memory() -> None:
    for _ in range(20):
        secret = np.full(1000, 0xAB, "u1")
        del secret
        assert not BACKEND.empty((1000,), "|u1", CPU).any()


@pytest.mark.parametrize("shape", [(1 << 60,), (1 << 31, 1 << 31), (1 << 45,)])
def test_more_than_there_is_memory_for_is_a_device_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(DeviceError, match="memory for an array"):
        BACKEND.empty(shape, "<f8", CPU)


@pytest.mark.parametrize("shape", [(-1,), (1 << 62, 4), (1,) * 33, (True,), (2.0,)])
def test_shapes_that_cannot_be_are_refused(shape: Any) -> None:
    with pytest.raises(DecodeError):
        BACKEND.empty(shape, "<f8", CPU)


def test_an_unknown_kind_of_array_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'eye' makes no array; use one of empty, zeros"):
        BACKEND.create("eye", (2,), None, CPU, None)


def test_a_view_shares_memory_even_for_one_element() -> None:
    array = counted((3, 4))
    one = BACKEND.view(array, (1, 2))
    assert (one.shape, np.shares_memory(one, array)) == ((), True)
    BACKEND.assign(one, ..., 42.0)
    assert array[1, 2] == 42
    assert BACKEND.view(array, (None, ..., slice(None, None, -1))).shape == (1, 3, 4)
    with pytest.raises(IndexError):
        BACKEND.view(array, 3)


def test_assign_broadcasts_or_says_why_not() -> None:
    array = np.zeros((3, 4))
    BACKEND.assign(array, slice(1, None), np.arange(4))
    assert array.tolist() == [[0] * 4, [0, 1, 2, 3], [0, 1, 2, 3]]
    with pytest.raises(ArrayMismatch, match="could not broadcast"):
        BACKEND.assign(array, 0, np.zeros(3))
    with pytest.raises(ArrayMismatch, match="could not convert"):
        BACKEND.assign(array, 0, "text")


def test_copy_casts_the_same_kind_way_and_minds_overlap() -> None:
    array = np.arange(10.0)
    BACKEND.copy(array[:-1], array[1:])
    assert array.tolist() == [0, *range(9)]
    target = np.zeros(10, "f4")
    BACKEND.copy(array, target)
    assert target.tolist() == array.tolist()
    with pytest.raises(ArrayMismatch, match="cast"):
        BACKEND.copy(array, np.zeros(10, "i4"))
    with pytest.raises(ArrayMismatch, match=r"shape \(10,\)"):
        BACKEND.copy(array, np.zeros((10, 1)))


def test_a_duplicate_is_new_memory_in_c_order() -> None:
    array = np.asfortranarray(counted((3, 4)))
    copy = BACKEND.duplicate(array)
    assert copy.flags.c_contiguous
    assert not np.shares_memory(copy, array)
    np.testing.assert_array_equal(copy, array)


def test_host_arrays_are_its_own_already() -> None:
    array = np.zeros(3)
    assert BACKEND.from_host(array, CPU) is array
    assert BACKEND.to_host(array) is array


def test_the_cpu_is_described() -> None:
    assert BACKEND.devices() == (CPU,)
    assert BACKEND.get_attr(CPU, DeviceAttr.EXIST) is True
    assert BACKEND.get_attr(CPU, DeviceAttr.DEVICE_NAME)
    assert BACKEND.get_attr(CPU, DeviceAttr.MULTI_PROCESSOR_COUNT) >= 1
    assert BACKEND.get_attr(CPU, DeviceAttr.WARP_SIZE) is None
    total = BACKEND.get_attr(CPU, DeviceAttr.TOTAL_GLOBAL_MEMORY)
    assert total is None or total > 1 << 20
    if platform.system() == "Linux":
        assert 0 < BACKEND.get_attr(CPU, DeviceAttr.AVAILABLE_GLOBAL_MEMORY) <= total


def test_no_other_device_is_numpys() -> None:
    for ask in (
        lambda: BACKEND.empty((1,), "<f4", GPU),
        lambda: BACKEND.from_host(np.zeros(1), GPU),
        lambda: BACKEND.get_attr(GPU, DeviceAttr.DEVICE_NAME),
    ):
        with pytest.raises(DeviceError, match="not on cuda:0"):
            ask()
