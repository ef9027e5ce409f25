from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as nps

from rpcnb.core.device import CPU
from rpcnb.core.values import ArrayRef, TypeCode
from rpcnb.session.backend import (
    ArrayDescription,
    backend_module,
    backend_of,
    c_order_blocks,
    held_nbytes,
    make_backends,
)
from rpcnb.session.cpu import NumPyBackend
from rpcnb.session.handles import HandleTable

SHAPES = nps.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@given(SHAPES, st.data())
def test_blocks_cover_a_range_in_order(shape: tuple[int, ...], data: st.DataObject) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    start = data.draw(st.integers(0, array.size))
    stop = data.draw(st.integers(start, array.size))
    found, position, blocks = [], start, 0
    for index, begin, end in c_order_blocks(shape, start, stop):
        assert begin == position < end
        part = array[(*index, ...)]
        assert part.size == end - begin
        found += part.ravel().tolist()
        position, blocks = end, blocks + 1
    assert found == list(range(start, stop))
    assert blocks <= max(1, 2 * len(shape))


def test_a_description_makes_the_ref() -> None:
    description = ArrayDescription((2, 3), "<f4", CPU, (24, 8), 17, 96, writeable=False)
    expected = ArrayRef(5, (2, 3), "<f4", CPU, 0, 17, (24, 8), writeable=False)
    assert description.ref(5) == expected


def test_the_owner_of_an_array_is_found() -> None:
    backend = NumPyBackend()
    assert backend_of((backend,), np.zeros(3)) is backend
    assert backend_of((backend,), [1, 2]) is None
    assert backend_of((), np.zeros(3)) is None


def test_a_buffer_counts_once_and_whole_however_many_views() -> None:
    handles, backends = HandleTable(), (NumPyBackend(),)
    array = np.zeros((100, 10))
    for view in (array[::2], array[3], array.T, array[5:7, ::3][0]):
        handles.issue(view, TypeCode.ARRAY)
    assert held_nbytes(handles, backends) == 8000
    handles.issue(array, TypeCode.ARRAY)
    handles.issue(array, TypeCode.ARRAY)
    handles.issue([array], TypeCode.OBJECT)
    assert held_nbytes(handles, backends) == 8000
    handles.issue(array.copy(), TypeCode.ARRAY)
    assert held_nbytes(handles, backends) == 16000
    handles.clear()
    assert held_nbytes(handles, backends) == 0


def test_a_library_without_streams_needs_no_code_for_them() -> None:
    backend = NumPyBackend()
    stream = backend.make_stream(CPU)
    assert stream is None
    with backend.stream_context(stream) as current:
        assert current is None
    backend.synchronize(CPU, stream)


def test_backends_are_made_by_name_with_numpys_last() -> None:
    made = make_backends(["numpy", "rpcnb.session.cpu:NumPyBackend"])
    assert [type(one) for one in made] == [NumPyBackend, NumPyBackend]
    assert [type(one) for one in make_backends([])] == [NumPyBackend]
    with pytest.raises(ImportError):
        make_backends(["rpcnb_has_no_such_library:Backend"])


def test_the_module_of_a_backend_can_be_loaded_beforehand() -> None:
    assert backend_module("torch") == "rpcnb.session.pytorch"
    assert backend_module("mine.arrays:Backend") == "mine.arrays"
