"""Values that cross a real socket come back as what they were."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from rpcnb.core.values import DenseArray, DTypeValue
from rpcnb.remote.client import Remote
from rpcnb.testing.strategies import FLOATS, INTS, TEXT, same

BATCH = 50
"""Values in one call."""

SCALARS = st.none() | st.booleans() | INTS | FLOATS | TEXT | st.binary(max_size=40)
KEYS = st.recursive(SCALARS, lambda keys: st.lists(keys, max_size=2).map(tuple), max_leaves=3)
LEAVES = (
    SCALARS
    | st.builds(complex, FLOATS, FLOATS)
    | st.just(...)
    | st.builds(slice, st.none() | INTS, st.none() | INTS, st.none() | INTS)
    | st.sampled_from(["\0", "a\0b", "\U0001f600\U00010000", "", b"", b"\0", [], (), {}, -0.0])
    | st.sampled_from(["<i8", ">f4", "|b1", "<c16", "<M8[ns]"]).map(DTypeValue)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def session(server):
    with server.connect() as session:
        yield session


@pytest.fixture(scope="module")
def echo(session):
    ref = session.get_function("t.echo")
    return lambda value: session.call_func(ref, (value,))


BATCHES = st.lists(VALUES, min_size=BATCH, max_size=BATCH)


def compare(echo, values) -> None:
    answer = echo(values)
    for sent, received in zip(values, answer, strict=True):
        assert same(sent, received), (sent, received)


@settings(max_examples=4_000 // BATCH, suppress_health_check=list(HealthCheck))
@given(values=BATCHES)
def test_4_000_random_values_come_back_unchanged(echo, values) -> None:
    compare(echo, values)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@settings(max_examples=100_000 // BATCH, suppress_health_check=list(HealthCheck))
@given(values=BATCHES)
def test_100_000_random_values_come_back_unchanged(echo, values) -> None:
    compare(echo, values)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


@pytest.mark.parametrize(
    "value",
    [
        2**64,
        -(2**64),
        10**400,
        -(10**400),
        2**63,
        -(2**63) - 1,
        "\0",
        "é\U0001f9ff" * 10_000,
        b"\xff" * 100_000,
        [],
        (),
        {},
        [()],
        ([],),
        {(): []},
        {1: "int", 1.5: "float", None: "none", (1, "a"): "tuple", b"k": "bytes"},
        ((1, 2), [3, (4,)]),
        list(range(5000)),
        True,
        [1, True, 1.0],
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:12]!r}",
)
def test_a_value_keeps_its_type(echo, value) -> None:
    assert same(echo(value), value)


@pytest.mark.parametrize("pattern", [0x7FF8000000000000, 0x7FF0000000000001, 0xFFF8DEADBEEF0001])
def test_a_nan_keeps_its_payload(echo, pattern) -> None:
    (nan,) = struct.unpack("<d", struct.pack("<Q", pattern))
    assert bits(echo(nan)) == bits(nan)
    assert bits(echo(-0.0)) == bits(-0.0)


ARRAYS = {
    "empty": np.empty((0, 3), "f8"),
    "scalar-shaped": np.array(5, "i4"),
    "transposed": np.arange(12.0).reshape(3, 4).T,
    "every second, backwards": np.arange(20, dtype="i2")[::-2],
    "big-endian": np.arange(7, dtype=">f8"),
    "big-endian ints": np.arange(7, dtype=">i4")[::2],
    "booleans": np.array([True, False, True]),
    "complex": np.array([1 + 2j, complex(np.nan, -0.0)], "c16"),
    "dates": np.array(["2026-11-22", "NaT"], "M8[s]"),
    "text": np.array(["a", "é\U0001f600"], "U3"),
    "record": np.array([(1, 2.5)], [("x", "<i4"), ("y", ">f8")]),
    "broadcast": np.broadcast_to(np.arange(3.0), (4, 3)),
    "half": np.array([np.inf, -0.0, 1.5], "f2"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_keeps_dtype_shape_and_bytes(session, name) -> None:
    array = ARRAYS[name]
    client = Remote(session)
    there = client.array(array)
    back = there.numpy()
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == np.ascontiguousarray(array).tobytes()
    echoed = client.get_function("t.echo")(array).numpy()
    assert (echoed.dtype, echoed.shape) == (array.dtype, array.shape)
    assert echoed.tobytes() == np.ascontiguousarray(array).tobytes()


def test_a_numpy_scalar_stays_one(echo) -> None:
    value = DenseArray(">f4", (), np.array(1.5, ">f4").tobytes(), is_scalar=True)
    answer = echo(value)
    assert isinstance(answer, DenseArray)
    assert (answer.is_scalar, answer.shape) == (True, ())
    assert np.frombuffer(answer.data, answer.dtype)[0] == 1.5
