from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as nps

from rpcnb.core.device import CPU, Device, DeviceType
from rpcnb.core.errors import ArrayMismatch, DecodeError, DeviceError, EncodeError
from rpcnb.session.array_functions import array_functions, check_index
from rpcnb.session.cpu import NumPyBackend

if TYPE_CHECKING:
    from rpcnb.session.backend import ArrayBackend

GPU = Device(DeviceType.CUDA, 0)


class Elsewhere(np.ndarray[Any, Any]):
    """An array of a library with memory of its own."""


class ElsewhereBackend(NumPyBackend):
    def owns(self, obj: object) -> bool:
        return isinstance(obj, Elsewhere)

    def devices(self) -> tuple[Device, ...]:
        return (GPU,)

    def create(self, *args: Any) -> Any:
        return NumPyBackend().create(*args[:3], CPU, args[4]).view(Elsewhere)


class Strict(NumPyBackend):
    def owns(self, obj: object) -> bool:
        return type(obj) is np.ndarray


BACKENDS: tuple[ArrayBackend, ...] = (Strict(), ElsewhereBackend())
FUNCTIONS = array_functions(BACKENDS)
view, assign, create, copy = (
    FUNCTIONS[f"rpcnb.array.{name}"] for name in ("view", "assign", "create", "copy")
)


def test_there_are_these_and_no_others() -> None:
    names = ["assign", "copy", "create", "from_bytes", "view"]
    assert sorted(FUNCTIONS) == [f"rpcnb.array.{name}" for name in names]


@given(nps.basic_indices((4, 5, 6), allow_newaxis=True))
def test_a_view_by_any_basic_index_is_numpys_and_shares_memory(index: Any) -> None:
    array = np.arange(120).reshape(4, 5, 6)
    part = view(array, index)
    np.testing.assert_array_equal(part, array[index])
    assert isinstance(part, np.ndarray)
    assert part.size == 0 or np.shares_memory(part, array)


@pytest.mark.parametrize(
    "index",
    [
        [0, 1],
        np.array([0]),
        True,
        np.int64(1),
        1.5,
        "a",
        (0, [1]),
        (slice("a"),),
        slice(True),
        b"x",
    ],
    ids=repr,
)
def test_no_other_index_is_taken(index: Any) -> None:
    array = np.zeros((3, 3))
    with pytest.raises(TypeError, match="arrays are indexed with int, slice"):
        view(array, index)
    with pytest.raises(TypeError, match="arrays are indexed with int, slice"):
        assign(array, index, 1)
    assert not array.any()


def test_the_empty_tuple_is_an_index() -> None:
    check_index(())
    assert view(np.zeros(3), ()).shape == (3,)


def test_a_part_is_assigned_a_scalar_or_an_array() -> None:
    array = np.zeros((3, 4))
    assert assign(array, (0, 1), 5) is None
    assign(array, 1, np.arange(4))
    assign(array, (..., 3), array[:, 1])  # its own memory
    assert array.tolist() == [[0, 5, 0, 5], [0, 1, 2, 1], [0, 0, 0, 0]]
    with pytest.raises(ArrayMismatch):
        assign(array, 0, np.zeros(9))
    with pytest.raises(IndexError):
        assign(array, 9, 1)


def test_an_array_of_another_library_is_brought_over() -> None:
    array = np.zeros(3)
    assign(array, slice(1, 3), np.array([7.0, 8.0]).view(Elsewhere))
    assert array.tolist() == [0, 7, 8]


def test_arrays_are_created_where_they_are_wanted() -> None:
    assert create("zeros", (2, 3)).shape == (2, 3)
    np.testing.assert_array_equal(
        create("full", [2], np.dtype(">i2"), CPU, 5), np.full(2, 5, ">i2"), strict=True
    )
    assert create("ones", 3, "float32").dtype == np.float32
    assert create("arange", 4).tolist() == [0, 1, 2, 3]
    assert create("arange", (1, 4, 2)).tolist() == [1, 3]
    assert type(create("zeros", (2,), None, "cuda:0")) is Elsewhere
    with pytest.raises(DeviceError, match="no device vulkan:0"):
        create("zeros", (2,), None, "vulkan")
    with pytest.raises(EncodeError, match="Python objects"):
        create("zeros", (2,), object)


def test_a_copy_is_new_memory() -> None:
    array = np.arange(6).reshape(2, 3).T
    made = copy(array)
    np.testing.assert_array_equal(made, array)
    assert not np.shares_memory(made, array)
    assert made.flags.c_contiguous


def test_what_is_no_array_is_refused() -> None:
    with pytest.raises(EncodeError, match="a list is no array"):
        view([1, 2], 0)


def test_an_array_of_bytes_is_writable_and_its_own() -> None:
    data = np.arange(6.0).tobytes()
    array = FUNCTIONS["rpcnb.array.from_bytes"](data, "<f8", 2, 3)
    array += 1
    assert array.tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(DecodeError, match="8 bytes for an array of 16"):
        FUNCTIONS["rpcnb.array.from_bytes"](bytes(8), "<f8", 2)
