from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.dtype import Field, RecordDType, element_count, itemsize_of, short_spelling
from rpcnb.core.errors import DecodeError
from rpcnb.core.limits import DEFAULT_LIMITS


@pytest.mark.parametrize(
    ("dtype", "itemsize"),
    [
        ("|b1", 1),
        ("<i8", 8),
        (">u2", 2),
        ("<f2", 2),
        ("<f16", 16),
        ("<c8", 8),
        ("|S10", 10),
        ("|S0", 0),
        (">U5", 20),
        ("<M8[ns]", 8),
        ("<m8[25s]", 8),
        ("<M8", 8),
        (RecordDType(0, ()), 0),
        (RecordDType(16, (Field("x", "|i1", 0), Field("y", "<f8", 8))), 16),
        (RecordDType(24, (Field("m", "<f4", 0, (2, 3)),)), 24),
        (RecordDType(4, (Field("a", "<i4", 0), Field("low", "<i2", 0))), 4),
    ],
    ids=str,
)
def test_an_element_takes_so_many_bytes(dtype: Any, itemsize: int) -> None:
    assert itemsize_of(dtype) == itemsize


@pytest.mark.parametrize(
    "dtype",
    [
        "|O8",
        "O",
        "f8",
        "<f3",
        "<i16",
        "=i4",
        "<i8[ns]",
        "<M8[fortnight]",
        "<M4[s]",
        "<f8 ",
        "<f8\n",
        "",
        "|S4097",
        "<U1025",
        "|S9999999",
        None,
        8,
        b"<f8",
        ["<f8"],
    ],
)
def test_what_is_no_dtype_or_too_large_is_refused(dtype: Any) -> None:
    with pytest.raises(DecodeError):
        itemsize_of(dtype)


@pytest.mark.parametrize(
    "record",
    [
        RecordDType(7, (Field("x", "<f8", 0),)),
        RecordDType(8, (Field("x", "<f8", 1),)),
        RecordDType(8, (Field("x", "<i4", -4),)),
        RecordDType(8, (Field("x", "<f4", 0, (3,)),)),
        RecordDType(8, (Field("x", "<f4", 0, (-1,)),)),
        RecordDType(8, (Field("x", "|O8", 0),)),
        RecordDType(65, tuple(Field(f"f{i}", "|i1", i) for i in range(65))),
        RecordDType(5000, ()),
    ],
    ids=lambda record: str(record)[:60],
)
def test_records_that_do_not_hold_their_fields_are_refused(record: RecordDType) -> None:
    with pytest.raises(DecodeError):
        itemsize_of(record)


def test_records_may_be_nested_so_deep_and_no_deeper() -> None:
    inner: str | RecordDType = "<i4"
    for _ in range(17):
        inner = RecordDType(4, (Field("x", inner, 0),))
    assert itemsize_of(inner) == 4
    with pytest.raises(DecodeError, match="nested too deep"):
        itemsize_of(RecordDType(4, (Field("x", inner, 0),)))


def test_limits_can_be_lowered() -> None:
    limits = replace(DEFAULT_LIMITS, dtype_itemsize=4, ndim=1)
    assert itemsize_of("<i4", limits) == 4
    with pytest.raises(DecodeError, match="limit of 4"):
        itemsize_of("<i8", limits)
    with pytest.raises(DecodeError, match="limit of 1"):
        element_count((1, 1), limits)


@given(st.lists(st.integers(0, 100), max_size=8))
def test_elements_are_the_product_of_the_shape(shape: list[int]) -> None:
    expected = 1
    for dimension in shape:
        expected *= dimension
    assert element_count(tuple(shape)) == expected


@pytest.mark.parametrize(
    "shape", [(-1,), (True,), (2.0,), ("2",), (None,), (1 << 63,), (1 << 32, 1 << 31), (1,) * 33]
)
def test_shapes_that_cannot_be_are_refused(shape: Any) -> None:
    with pytest.raises(DecodeError):
        element_count(shape)


def test_the_largest_shape_is_allowed() -> None:
    assert element_count(((1 << 63) - 1,)) == (1 << 63) - 1
    assert element_count((1,) * 32) == 1


def test_dtypes_are_written_for_people() -> None:
    spellings = ["<f4", "|b1", "|u1", ">i2", "<c16", "<M8[ns]", "|S10", RecordDType(4, ())]
    written = ["f32", "bool", "u8", ">i16", "c128", "M8[ns]", "S10", "record"]
    assert [short_spelling(dtype) for dtype in spellings] == written
