from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as nps

from rpcnb.core.dtype import Field, RecordDType, itemsize_of
from rpcnb.core.errors import DecodeError, EncodeError
from rpcnb.session.dtypes import raw_bytes, to_dtype, to_numpy_dtype

NUMBERS = [*np.typecodes["AllInteger"], *np.typecodes["AllFloat"], "?"]
TIMES = ["M8", "m8", "M8[ns]", "m8[25s]", "M8[Y]", "M8[7D]", "m8[as]"]
TEXTS = ["S0", "S1", "S10", "U0", "U1", "U5"]
RECORDS = [
    np.dtype([]),
    np.dtype([("x", "f4"), ("y", "i8")]),
    np.dtype([("x", "i1"), ("y", "f8")], align=True),
    np.dtype({"names": ["a"], "formats": [">i2"], "offsets": [6], "itemsize": 32}),
    np.dtype({"names": ["a", "b"], "formats": ["<i4", "<i2"], "offsets": [0, 2]}),
    np.dtype([("m", "f4", (2, 3)), ("s", "S3"), ("t", "M8[ms]")]),
    np.dtype([("deep", [("é", [("U", "U2", 4)])]), ("c", "c16")]),
]


def with_orders(dtype: Any) -> list[np.dtype[Any]]:
    return [np.dtype(dtype).newbyteorder(order) for order in "<>"]


def same(left: np.dtype[Any], right: np.dtype[Any]) -> bool:
    """Compare with everything that describes the memory; byte order and padding included."""
    return left == right and left.descr == right.descr and left.itemsize == right.itemsize


def has_titles(dtype: np.dtype[Any]) -> bool:
    fields = (dtype.fields or {}).values()
    return any(len(field) == 3 or has_titles(field[0].base) for field in fields)


EVERY = [d for base in NUMBERS + TIMES + TEXTS for d in with_orders(base)]


@pytest.mark.parametrize("dtype", EVERY, ids=str)
def test_every_simple_dtype_comes_back_exactly(dtype: np.dtype[Any]) -> None:
    spelling = to_dtype(dtype)
    assert isinstance(spelling, str)
    assert itemsize_of(spelling) == dtype.itemsize
    assert same(to_numpy_dtype(spelling), dtype)


@pytest.mark.parametrize("dtype", RECORDS, ids=str)
def test_records_come_back_with_offsets_and_itemsize(dtype: np.dtype[Any]) -> None:
    spelling = to_dtype(dtype)
    assert itemsize_of(spelling) == dtype.itemsize
    back = to_numpy_dtype(spelling)
    assert back == dtype
    assert back.itemsize == dtype.itemsize
    assert back.fields == dtype.fields


def test_a_record_is_spelled_by_field() -> None:
    dtype = np.dtype({"names": ["a"], "formats": [(">i2", (3,))], "offsets": [6], "itemsize": 32})
    assert to_dtype(dtype) == RecordDType(32, (Field("a", ">i2", 6, (3,)),))


@given(nps.array_dtypes(max_size=4) | nps.scalar_dtypes() | nps.nested_dtypes(max_itemsize=200))
def test_whatever_numpy_can_describe_comes_back(dtype: np.dtype[Any]) -> None:
    if dtype.subdtype is not None or has_titles(dtype):
        with pytest.raises(EncodeError, match=r"sub-array|has a title"):
            to_dtype(dtype)
        return
    assert to_numpy_dtype(to_dtype(dtype)) == dtype


@pytest.mark.parametrize(
    ("dtype", "why"),
    [
        (np.dtype(object), "Python objects"),
        (np.dtype([("x", "f4"), ("o", object)]), "Python objects"),
        (np.dtype("V8"), "raw bytes"),
        (np.dtypes.StringDType(), "strings lie elsewhere"),
        (np.dtype(("f4", (2,))), "sub-array"),
        (np.dtype("S5000"), "limit of 4096"),
        (np.dtype({"names": ["a"], "formats": ["f4"], "titles": ["T"]}), "field 'a' has a title"),
        (np.dtype([(f"f{i}", "i1") for i in range(65)]), "too many fields"),
    ],
    ids=str,
)
def test_what_cannot_cross_says_why(dtype: np.dtype[Any], why: str) -> None:
    with pytest.raises(EncodeError, match=why):
        to_dtype(dtype)


@pytest.mark.parametrize(
    "dtype",
    [
        "O",
        "|O8",
        "f4",
        "<f3",
        "<V8",
        "<c8[ns]",
        "",
        "<c64",
        RecordDType(8, (Field("a", "<f8", 4),)),
        RecordDType(8, (Field("a", "<f4", 0), Field("a", "<f4", 4))),
        RecordDType(8, (Field("a", "|O8", 0),)),
    ],
    ids=str,
)
def test_a_wrong_spelling_is_refused(dtype: Any) -> None:
    with pytest.raises(DecodeError):
        to_numpy_dtype(dtype)


@given(st.text(st.sampled_from("<>|biufcSUVmMO0123456789[]nsY/"), max_size=12))
def test_any_text_is_a_dtype_or_refused(text: str) -> None:
    try:
        dtype = to_numpy_dtype(text)
    except DecodeError:
        return
    assert to_numpy_dtype(to_dtype(dtype)) == dtype


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i2").reshape(2, 3),
        np.array(2.5),
        np.array(["2026-11-22", "NaT"], "M8[D]"),
        np.array([(1, 2.5)], [("a", "i1"), ("b", "<f8")]),
        np.array([(1, "2026-11-22")], [("a", "i1"), ("when", "M8[s]")]),
        np.array([1 + 2j]),
        np.array(["text", ""]),
        np.zeros((3, 0)),
        np.zeros(3, "V0"),
        np.zeros(4).view(np.recarray),
    ],
    ids=lambda array: str(array.dtype),
)
def test_the_bytes_of_an_array_are_its_memory(array) -> None:
    memory = raw_bytes(array)
    assert memory.format == "B"
    assert memory.ndim == 1
    assert bytes(memory) == array.tobytes()
    memory[:] = bytes(len(memory))
    assert array.tobytes() == bytes(array.nbytes)


@pytest.mark.parametrize("dtype", ["f8", "M8[s]"])
def test_the_bytes_of_a_read_only_array_are_read_only(dtype) -> None:
    array = np.zeros(3, dtype)
    array.flags.writeable = False
    assert raw_bytes(array).readonly
