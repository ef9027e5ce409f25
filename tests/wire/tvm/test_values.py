"""Tests of `rpcnb.wire.tvm.values`: values to bytes and back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.errors import EncodeError, RemoteProtocolError
from rpcnb.wire.tvm.values import (
    Reader,
    TVMDevice,
    TVMDType,
    TVMHandle,
    TVMObject,
    TVMPointer,
    TVMTensor,
    TypeIndex,
    encode_tensor,
    encode_values,
    read_result,
)

U64S = st.integers(0, 2**64 - 1)
I32S = st.integers(-(2**31), 2**31 - 1)
DEVICES = st.builds(TVMDevice, I32S, I32S)
BYTE = st.integers(0, 255)
DTYPES = st.builds(TVMDType, BYTE, BYTE, st.integers(0, 2**16 - 1))
SHAPES = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6).map(tuple)
TENSORS = st.builds(TVMTensor, U64S, DEVICES, DTYPES, SHAPES, U64S)
HANDLES = st.builds(
    TVMHandle,
    st.sampled_from([TypeIndex.FUNCTION, TypeIndex.MODULE, TypeIndex.REMOTE_OBJECT]),
    U64S,
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.builds(TVMPointer, U64S),
    DTYPES,
    DEVICES,
    TENSORS,
    HANDLES,
)


@given(st.lists(VALUES, max_size=8))
def test_every_list_of_values_survives(values) -> None:
    reader = Reader(encode_values(values))
    read = reader.values()
    reader.end()
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


@given(st.binary(max_size=80))
def test_other_bytes_are_refused_as_the_peers_fault(data) -> None:
    try:
        Reader(data).values()
    except RemoteProtocolError:
        return
    assert len(data) >= 4


@given(st.lists(VALUES, min_size=1, max_size=4), st.data())
def test_a_list_that_was_cut_is_refused(values, data) -> None:
    encoded = encode_values(values)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(RemoteProtocolError):
        Reader(encoded[:cut]).values()


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 1j, [1], {}, object()])
def test_what_tvm_has_no_form_for_is_refused_here(value) -> None:
    with pytest.raises(EncodeError, match=r"64 bits|no form"):
        encode_values([value])


def test_not_a_number_keeps_being_none() -> None:
    (value,) = Reader(encode_values([math.nan])).values()
    assert math.isnan(value)


def test_a_string_with_nul_goes_in_the_counted_form() -> None:
    assert encode_values(["ab"])[4:8] == bytes([TypeIndex.RAW_STR, 0, 0, 0])
    assert encode_values(["a\0b"])[4:12] == bytes([65, 0, 0, 0, 65, 0, 0, 0])


@pytest.mark.parametrize(("index", "text"), [(11, b"short"), (65, b"a longer one")])
def test_both_forms_of_string_objects_are_read(index, text) -> None:
    head = (1).to_bytes(4, "little") + bytes([index, 0, 0, 0, 65, 0, 0, 0])
    assert Reader(head + len(text).to_bytes(8, "little") + text).values() == [text.decode()]


def test_a_tensor_is_written_as_the_protocol_says() -> None:
    tensor = TVMTensor(0x10, TVMDevice(1, 0), TVMDType(2, 32), (2, 3), 4)
    assert encode_tensor(tensor).hex() == (
        "100000000000000001000000000000000200000002200100"
        "020000000000000003000000000000000400000000000000"
    )  # fmt: skip


def test_a_result_is_read_by_its_first_item() -> None:
    tensor = TVMTensor(1, TVMDevice(1, 0), TVMDType(2, 32), (2,))
    assert read_result([0, None]) is None
    assert read_result([TypeIndex.SMALL_STR, "abc"]) == "abc"
    assert read_result([68, TVMPointer(7)]) == TVMObject(68, 7)
    assert read_result([70, tensor, TVMPointer(9)]) == TVMObject(70, 9, tensor)
    assert read_result([TypeIndex.POINTER, TVMPointer(5)]) == TVMPointer(5)


@pytest.mark.parametrize("values", [[], [1], [70, TVMPointer(1), TVMPointer(2)], ["x", "y", "z"]])
def test_a_result_that_means_nothing_is_refused(values) -> None:
    with pytest.raises(RemoteProtocolError, match="means nothing"):
        read_result(values)


def test_a_form_that_does_not_repeat_its_type_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="65 was expected again; 66 came"):
        Reader((1).to_bytes(4, "little") + bytes([65, 0, 0, 0, 66, 0, 0, 0])).values()


@pytest.mark.parametrize("index", [10, 13, 64, 69, 70, 200, -1])
def test_a_type_without_a_form_is_refused(index) -> None:
    data = (1).to_bytes(4, "little") + index.to_bytes(4, "little", signed=True) + bytes(16)
    with pytest.raises(RemoteProtocolError, match=f"type index {index}"):
        Reader(data).values()
