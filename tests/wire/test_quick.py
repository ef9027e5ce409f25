"""The compiled half of the express lane: what it takes comes out as in Python, byte for byte."""

from __future__ import annotations

import struct
import sys
from random import Random

import msgpack
import pytest
from hypothesis import assume, given, strategies as st

from rpcnb.core.device import Device
from rpcnb.core.dtype import Field, RecordDType
from rpcnb.core.errors import ProtocolError
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.core.values import ArrayRef, FunctionRef, IteratorRef, ModuleRef, ObjectRef
from rpcnb.testing.strategies import same
from rpcnb.wire import quick
from rpcnb.wire.frames import FIXED
from rpcnb.wire.messages import FreeHandles, Kind, Side
from rpcnb.wire.v1 import WINDOW, WireV1

EDGES = sorted(
    sign * (1 << bits) + off for bits in range(65) for off in (-1, 0, 1) for sign in (1, -1)
)
LENGTHS = [0, 1, 31, 32, 255, 256, 4000, 4200]
REFS = [cls(handle) for cls in (ArrayRef, ObjectRef, IteratorRef, FunctionRef, ModuleRef) for handle in (0, 127, 128, 1 << 16, 1 << 40)]  # fmt: skip
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(EDGES),
    st.floats(),
    st.text(),
    st.binary(),
    st.complex_numbers(),
    st.sampled_from(LENGTHS).map("é".__mul__),
    st.sampled_from(LENGTHS).map("x".__mul__),
    st.sampled_from(LENGTHS).map(b"x".__mul__),
)
VALUES = st.one_of(PLAIN, st.sampled_from(REFS))
DOCUMENTS = st.recursive(
    PLAIN.filter(lambda value: type(value) is not complex),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)  # fmt: skip
SENDER_OF = {
    Kind.CALL_FUNC: Side.CLIENT,
    Kind.RETURN: Side.SERVER,
    Kind.FREE_HANDLES: Side.CLIENT,
}
HANDLES = st.integers(0, (1 << 63) - 1)
STRUCTURED = RecordDType(8, (Field("x", "<f8", 0, ()),))
DESCRIBED = st.one_of(
    st.builds(
        ArrayRef,
        HANDLES,
        st.lists(HANDLES, max_size=17).map(tuple),
        st.sampled_from(["<f8", "|u1", STRUCTURED]),
        st.sampled_from([Device.parse("cpu"), Device.parse("cuda:300")]),
        HANDLES,
        HANDLES,
        st.none() | st.tuples(st.integers(-9, 9), st.integers(-(1 << 40), 1 << 40)),
        st.booleans(),
    ),
    st.builds(ObjectRef, HANDLES, st.text(max_size=300), st.sampled_from(LENGTHS).map("é".__mul__)),
    st.builds(IteratorRef, HANDLES, st.text(max_size=20)),
)


def python_wire(side: Side, limits: Limits = DEFAULT_LIMITS) -> WireV1:
    """Return what uses nothing of the compiled half."""
    wire = WireV1(side, limits=limits)
    wire._pack_call = wire._pack_return = wire._pack_ref = None
    wire._pack_frame = wire._unpack_frame = None
    return wire


def read(wire: WireV1, data: bytes) -> list[object] | None:
    """Return the short messages in some bytes; None when they are refused, or are anything else."""
    wire.receive_buffer()[: len(data)] = data
    try:
        return list(wire.received_short(len(data)))
    except ProtocolError as error:
        return [type(error), str(error)]


def frame_of(kind: Kind, header: bytes, **other: int) -> bytes:
    fixed = {"flags": 0, "epoch": 1, "nbytes": len(header), "id": 1, "sequence": 1, "ack": 0}
    return FIXED.pack(kind, *(fixed | other).values(), 0) + header


def reads_the_same(kind: Kind, data: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
    receiver = Side(1 - SENDER_OF[kind])
    found = read(WireV1(receiver, limits=limits), data)
    assert same(found, read(python_wire(receiver, limits), data))


def test_it_is_compiled() -> None:
    encoders = {quick.pack_call, quick.pack_return, quick.pack_ref, quick.pack_frame}
    assert None not in {*encoders, quick.unpack_frame}


@given(
    st.integers(), st.lists(VALUES, max_size=17), st.dictionaries(st.text(), VALUES, max_size=17)
)
def test_a_call_is_encoded_as_in_python(function, args, kwargs) -> None:
    compiled = WireV1(Side.CLIENT).quick_call(function, tuple(args), kwargs)
    assert compiled == python_wire(Side.CLIENT).quick_call(function, tuple(args), kwargs)


@given(st.one_of(VALUES, DESCRIBED))
def test_a_result_is_encoded_as_in_python(value) -> None:
    assert WireV1(Side.SERVER).quick_return(value) == python_wire(Side.SERVER).quick_return(value)


@pytest.mark.parametrize(
    "value", [*EDGES, 0.5, True, None, "x" * 4000, b"x" * 4000, "é", *REFS[:15]]
)
def test_what_is_usual_is_taken(value) -> None:
    wire, codes = WireV1(Side.CLIENT), {ArrayRef: 25, ObjectRef: 27, IteratorRef: 28}
    header = quick.pack_call(5, (value,), {"name": value}, 9000, codes)
    if type(value) is int and not -(1 << 63) <= value < 1 << 63:
        assert header is None
        return
    if type(value) in {str, bytes} and len(value) > 2000:  # twice is more than the longest header
        assert header is None
        header = quick.pack_call(5, (value,), {}, 9000, codes)
    assert header is not None
    data = frame_of(Kind.CALL_FUNC, header)
    server = WireV1(Side.SERVER)
    buffer = memoryview(bytearray(data))
    found = quick.unpack_frame(
        buffer, 0, len(data), 1, 1, 0, 0, 9000, server._call_ref, server._return_ref, None
    )
    assert found is not None
    assert found[2][2] == (value,)
    assert wire.quick_call(5, (value,), {}) is not None


@given(st.lists(st.integers(0, 9) | st.integers() | st.booleans(), max_size=18), st.integers(0, 1))
def test_handles_that_are_given_up_are_read_as_in_python(flat, request_id) -> None:
    try:
        header = msgpack.packb([flat])
    except OverflowError:
        return
    reads_the_same(Kind.FREE_HANDLES, frame_of(Kind.FREE_HANDLES, header, id=request_id))


@given(st.lists(st.tuples(HANDLES, st.integers(1, 7), st.integers(1, 9)), max_size=7))
def test_handles_that_are_given_up_are_taken(handles) -> None:
    header = WireV1(Side.CLIENT).quick_free(handles)
    data = frame_of(Kind.FREE_HANDLES, header, id=0)
    found = quick.unpack_frame(data, 0, len(data), 1, 1, 0, 0, 9000, None, None, FreeHandles)
    if len(handles) <= 5:
        assert found == (len(data), 0, FreeHandles(tuple(handles)))
        assert type(found[2]) is FreeHandles
    else:
        assert found is None


@pytest.mark.parametrize("nbytes", [*range(1, 40), 250, 251, 252, 253, 254, 255, 256, 900, 1100])
def test_a_ref_of_any_length_is_encoded_as_in_python(nbytes) -> None:
    ref = ObjectRef(1, "x" * (nbytes // 2), "y" * (nbytes - nbytes // 2))
    assert WireV1(Side.SERVER).quick_return(ref) == python_wire(Side.SERVER).quick_return(ref)


@pytest.mark.parametrize("most", range(40))
def test_no_header_is_longer_than_allowed(most) -> None:
    args, kwargs = (1, "text", 0.5, 1 << 40, b"12"), {"a": "b", "cd": 1 << 20}
    whole = quick.pack_call(300, args, kwargs, 1000, {})
    assert quick.pack_call(300, args, kwargs, most, {}) == (whole if most >= len(whole) else None)
    whole = quick.pack_return("x" * 30, 1000)
    assert quick.pack_return("x" * 30, most) == (whole if most >= len(whole) else None)
    whole = quick.pack_ref(27, (5, "name"), 1000)
    assert quick.pack_ref(27, (5, "name"), most) == (whole if most >= len(whole) else None)


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [(True, (), {}), (-1, (), {}), (1.0, (), {}), (1, [], {}), (1, (), []), (1, (), {1: 2})],
)
def test_what_is_no_call_is_not_taken(function, args, kwargs) -> None:
    assert quick.pack_call(function, args, kwargs, 1000, {}) is None


@given(
    st.sampled_from(Kind),
    st.integers(0, (1 << 16) - 1),
    st.tuples(*[st.integers(0, (1 << 64) - 1)] * 3),
    st.binary(max_size=99),
)
def test_a_frame_is_laid_out_as_in_python(kind, epoch, numbers, header) -> None:
    expected = FIXED.pack(kind, 0, epoch, len(header), *numbers, 0) + header
    assert quick.pack_frame(kind, epoch, *numbers, header) == expected


@pytest.mark.parametrize("request_id", [-1, 1 << 64])
def test_a_frame_with_an_impossible_number_is_refused(request_id) -> None:
    with pytest.raises(OverflowError):
        quick.pack_frame(Kind.RETURN, 1, request_id, 1, 0, b"")


@given(st.sampled_from(list(SENDER_OF)), DOCUMENTS)
def test_any_document_is_read_as_in_python(kind, document) -> None:
    try:
        header = msgpack.packb(document)
    except (OverflowError, UnicodeEncodeError):
        return
    assume(len(header) < WINDOW - FIXED.size)  # it is put there in one piece
    reads_the_same(kind, frame_of(kind, header))


@given(st.sampled_from(list(SENDER_OF)), st.binary(max_size=60))
def test_any_header_is_read_as_in_python(kind, header) -> None:
    reads_the_same(kind, frame_of(kind, header))
    reads_the_same(kind, frame_of(kind, b"\x91" + header))
    reads_the_same(kind, frame_of(kind, b"\x92\x05" + header))
    reads_the_same(kind, frame_of(kind, b"\x93\x05\x90" + header))


@given(st.integers(0, 255), st.binary(max_size=30))
def test_a_value_of_any_kind_is_read_as_in_python(tag, content) -> None:
    """Long enough for what the tag promises, or not."""
    reads_the_same(Kind.RETURN, frame_of(Kind.RETURN, bytes([0x91, tag]) + content))
    reads_the_same(Kind.CALL_FUNC, frame_of(Kind.CALL_FUNC, bytes([0x92, 5, 0x91, tag]) + content))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "flags": st.integers(0, 2),
            "epoch": st.integers(0, 3),
            "nbytes": st.integers(0, 8) | st.just((1 << 32) - 1),
            "sequence": st.integers(0, 2) | st.just((1 << 64) - 1),
            "ack": st.integers(0, 2) | st.just((1 << 64) - 1),
        },
    )
)
def test_a_frame_that_says_something_else_is_treated_as_in_python(other) -> None:
    reads_the_same(Kind.RETURN, frame_of(Kind.RETURN, b"\x91\x01", **other))


def test_frames_changed_by_chance_are_read_as_in_python() -> None:
    random = Random(0)
    args = (1, -70000, 0.5, "text", b"data", None, True, ArrayRef(300), ObjectRef(5), "é" * 40)
    calls = WireV1(Side.CLIENT).quick_call(7, args, {"name": 1 << 40, "other": IteratorRef(9)})
    results = [WireV1(Side.SERVER).quick_return(value) for value in (*args[:7], args[9])]
    results += [WireV1(Side.SERVER).quick_return(ref) for ref in (ArrayRef(5, (3, 4)), ObjectRef(300, "Thing", "<Thing>"))]  # fmt: skip
    freed = WireV1(Side.CLIENT).quick_free([(5, 2, 1), (1 << 33, 4, 300)])
    whole = [
        frame_of(Kind.CALL_FUNC, calls),
        frame_of(Kind.FREE_HANDLES, freed, id=0),
        *(frame_of(Kind.RETURN, result) for result in results),
    ]
    for number in range(4000):
        data = bytearray(whole[number % 2 and random.randrange(len(whole))])
        kind = Kind(data[0])
        for _ in range(random.randrange(1, 4)):
            data[random.randrange(len(data))] = random.randrange(256)
        reads_the_same(kind, bytes(data[: random.choice((len(data), random.randrange(len(data))))]))


@pytest.mark.parametrize("items", [1, 14, 15])
def test_narrow_limits_are_kept(items) -> None:
    limits = Limits(items=items)
    for count in range(18):
        header = WireV1(Side.CLIENT).quick_call(5, tuple(range(count)), {})
        reads_the_same(Kind.CALL_FUNC, frame_of(Kind.CALL_FUNC, header), limits)
        args = (5, tuple(range(count)), {})
        narrow = WireV1(Side.CLIENT, limits=limits).quick_call(*args)
        assert narrow == python_wire(Side.CLIENT, limits).quick_call(*args)


@pytest.mark.parametrize(
    ("start", "end"), [(-1, 39), (0, 1000), (39, 0), (10, 39), (0, 35), (0, 37)]
)
def test_nothing_is_read_beyond_what_has_arrived(start, end) -> None:
    data = memoryview(bytearray(frame_of(Kind.RETURN, b"\x91\x01")))
    assert quick.unpack_frame(data, 0, len(data), 1, 1, 0, 0, 99, len, len, None) is not None
    assert quick.unpack_frame(data, start, end, 1, 1, 0, 0, 99, len, len, None) is None


def test_an_error_of_a_hook_that_is_none_of_the_formats_passes_through() -> None:
    def hook(code: int, content: bytes) -> object:
        raise KeyboardInterrupt

    data = memoryview(bytearray(frame_of(Kind.RETURN, b"\x91\xd5\x19\x91\x05")))
    with pytest.raises(KeyboardInterrupt):
        quick.unpack_frame(data, 0, len(data), 1, 1, 0, 0, 99, None, hook, None)
    data.release()  # which raises while somebody still looks into it


def test_no_memory_is_kept() -> None:
    args = (1 << 40, "text" * 20, b"data", 0.5, ArrayRef(5), 1j)
    headers = [msgpack.packb(d) for d in ([[1 << 50, "x" * 50]], ["y" * 40], [1 << 60], [5, ["z"], {"k": 0.5}], [[1 << 50, 2, 1, 7, 4, 200]])]  # fmt: skip
    frames = [frame_of(kind, header) for kind in SENDER_OF for header in headers]
    codes = {ArrayRef: 25}

    def work() -> None:
        for values in (args, args[:-1], args[:3]):
            quick.pack_call(1 << 33, values, {"name": values[0]}, 4000, codes)
        quick.pack_return("x" * 99, 4000)
        quick.pack_ref(27, (1 << 40, "name", (1, 2), None), 4000)
        quick.pack_ref(27, (1, 1 << 80), 4000)
        for data in frames:
            quick.unpack_frame(
                memoryview(data), 0, len(data), 1, 1, 0, 0, 4000, struct.pack, None, FreeHandles
            )
            quick.unpack_frame(
                memoryview(data), 0, len(data), 1, 1, 0, 0, 4000, None, struct.pack, None
            )

    for _ in range(50):
        work()
    before = sys.getallocatedblocks()
    for _ in range(500):
        work()
    assert sys.getallocatedblocks() - before < 50
