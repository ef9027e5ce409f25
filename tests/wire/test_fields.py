from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.device import Device, DeviceType
from rpcnb.core.dtype import Field, RecordDType
from rpcnb.core.errors import DecodeError
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.core.values import FunctionInfo, Parameter
from rpcnb.testing.strategies import DTYPES, values
from rpcnb.wire import fields as f

RECORD = RecordDType(8, (Field("x", "<f4", 0), Field("y", "<i2", 4, (2,))))
INFO = FunctionInfo("f", (Parameter("a", 1, "2", "int"), Parameter("b")), "str", "doc")

GOOD = [
    (f.NATURAL, 2**63 - 1),
    (f.NUMBER, -(2**63)),
    (f.NUMBER, 0.5),
    (f.OPTIONAL_NUMBER, None),
    (f.TEXT, "é"),
    (f.optional(f.TEXT), None),
    (f.BOOL, False),
    (f.SCALAR, b"x"),
    (f.OUTPUT, "stderr"),
    (f.REASON, 1),
    (f.ARGS, (1, [2, (3,)])),
    (f.KWARGS, {"a": 1}),
    (f.SHAPE, (2, 0)),
    (f.STRIDES, (-8, 8)),
    (f.STRIDES, None),
    (f.DTYPE, RECORD),
    (f.DEVICE, Device(DeviceType.CUDA, 3)),
    (f.DEVICE_TYPE, DeviceType.METAL),
    (f.HANDLES, ((1, 2, 3), (4, 5, 6))),
    (f.FUNCTION_INFO, INFO),
    (f.FUNCTION_INFO, FunctionInfo("no signature", None)),
]

BAD = [
    (f.NATURAL, -1),
    (f.NATURAL, 2**63),
    (f.NATURAL, True),
    (f.NATURAL, 1.0),
    (f.NUMBER, 2**63),
    (f.NUMBER, "1"),
    (f.OPTIONAL_NUMBER, False),
    (f.TEXT, b"x"),
    (f.BOOL, 1),
    (f.SCALAR, []),
    (f.OUTPUT, "console"),
    (f.OUTPUT, 1),
    (f.ARGS, {}),
    (f.ARGS, [object()]),
    (f.KWARGS, []),
    (f.KWARGS, {1: 2}),
    (f.KWARGS, {"a": memoryview(b"")}),
    (f.SHAPE, [1] * 33),
    (f.SHAPE, [True]),
    (f.SHAPE, None),
    (f.STRIDES, [0] * 33),
    (f.STRIDES, [2**63]),
    (f.STRIDES, ["8"]),
    (f.DTYPE, 5),
    (f.DTYPE, "O"),
    (f.DTYPE, [8]),
    (f.DTYPE, [-1, []]),
    (f.DTYPE, [8, [[1, "<f4", 0, []]]]),
    (f.DTYPE, [8, [["a", "<f4", 0, [3]]]]),
    (f.DTYPE, [8, [["a", "<f4", -1, []]]]),
    (f.DTYPE, [999, [["a", "|u1", 0, []]] * 65]),
    (f.DEVICE, [1]),
    (f.DEVICE, [True, 0]),
    (f.DEVICE, [1, -1]),
    (f.DEVICE_TYPE, 3.0),
    (f.HANDLES, [1, 2]),
    (f.HANDLES, [1, 99, 1]),
    (f.HANDLES, [1, 2, 0]),
    (f.HANDLES, [1, [], 1]),
    (f.FUNCTION_INFO, ["f"]),
    (f.FUNCTION_INFO, ["f", [["a", 1, None]], "", "", False, False]),
    (f.FUNCTION_INFO, ["f", None, "", "", 0, False]),
]


@pytest.mark.parametrize(("kind", "value"), GOOD)
def test_a_field_comes_back_as_it_was(kind, value):
    back = kind.check(kind.plain(value), DEFAULT_LIMITS)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_dtype_comes_back_as_it_was(dtype):
    assert f.DTYPE.check(f.DTYPE.plain(dtype), DEFAULT_LIMITS) == dtype


@pytest.mark.parametrize(("kind", "wire"), BAD)
def test_a_field_of_another_type_or_range_is_refused(kind, wire):
    with pytest.raises(DecodeError):
        kind.check(wire, DEFAULT_LIMITS)


def test_a_dtype_nested_without_end_is_refused():
    wire = "<f4"
    for _ in range(500):
        wire = [4, [["a", wire, 0, []]]]
    with pytest.raises(DecodeError):
        f.DTYPE.check(wire, DEFAULT_LIMITS)


@given(value=values())
def test_every_value_is_one(value):
    assert f.check_value(value, DEFAULT_LIMITS) is value


@given(
    bad=st.sampled_from([object(), bytearray(), memoryview(b""), {1}, int]), depth=st.integers(0, 9)
)
def test_what_is_no_value_is_found_at_any_depth(bad, depth):
    for _ in range(depth):
        bad = {"k": [1, bad]} if depth % 2 else (bad, "x")
    with pytest.raises(DecodeError):
        f.check_value(bad, DEFAULT_LIMITS)


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {0: v}])
def test_values_nest_to_the_limit_and_no_deeper(wrap):
    value = None
    for _ in range(DEFAULT_LIMITS.depth):
        value = wrap(value)
    f.check_value(value, DEFAULT_LIMITS)
    with pytest.raises(DecodeError, match="nested too deep"):
        f.check_value(wrap(value), DEFAULT_LIMITS)


def test_keys_count_as_nested_too():
    key = ()
    for _ in range(DEFAULT_LIMITS.depth - 1):
        key = (key,)
    f.check_value(key, DEFAULT_LIMITS)
    with pytest.raises(DecodeError, match="nested too deep"):
        f.check_value({key: 0}, DEFAULT_LIMITS)
