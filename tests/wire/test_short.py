"""The express lane: what it sends and reads means the same as the general way's, or it is not taken."""

from __future__ import annotations

from dataclasses import replace

import msgpack
import pytest
from hypothesis import assume, given, strategies as st

from rpcnb.core.device import Device, DeviceType
from rpcnb.core.errors import ProtocolError
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.core.values import (
    ArrayRef,
    CallbackRef,
    FunctionInfo,
    FunctionRef,
    IteratorRef,
    ModuleRef,
    ObjectRef,
)
from rpcnb.testing.strategies import messages, same
from rpcnb.testing.wire_suite import to_bytes
from rpcnb.wire.messages import CallFunc, FreeHandles, Kind, Message, Return, Side
from rpcnb.wire.v1 import WireV1

ARRAY = ArrayRef(7, (2, 3), "<f4", Device(DeviceType.CUDA, 1), 0, 9)
REFS = [
    ARRAY,
    replace(ARRAY, strides=(4, 8), writeable=False),
    ArrayRef(5),
    ObjectRef(8, "work.Thing", "<a thing>"),
    IteratorRef(9, "numbers"),
]
HELD = [*REFS, FunctionRef(3, FunctionInfo("f", doc="What it does.")), ModuleRef(4, "m", ("f",))]


def general_wire(side: Side) -> WireV1:
    """Return what reads everything in the general way."""
    wire = WireV1(side)
    wire._short = {}
    wire._unpack_frame = None
    return wire


def read(wire: WireV1, data: bytes) -> list[Message] | None:
    """Return the messages in some bytes, or None when they are refused."""
    try:
        return wire.receive_data(data)
    except ProtocolError:
        return None


def short(sender: Side, kind: Kind, header: bytes | None) -> object:
    """Return what the peer makes of a header, which it must take as a short message."""
    assert header is not None
    data = WireV1(sender).quick_frame(kind, 0 if kind is Kind.FREE_HANDLES else 1, header)
    assert data is not None
    receiver = WireV1(Side(1 - sender))
    receiver.receive_buffer()[: len(data)] = data
    (message,) = receiver.received_short(len(data))
    assert type(message) in {tuple, FreeHandles}
    return message


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary()
)


@given(st.lists(SCALARS), st.dictionaries(st.text(), SCALARS))
def test_a_quick_call_arrives_as_the_call_it_is(args, kwargs):
    wire = WireV1(Side.CLIENT)
    header = wire.quick_call(2, tuple(args), kwargs)
    assume(header is not None)
    data = wire.quick_frame(Kind.CALL_FUNC, 1, header)
    assert WireV1(Side.SERVER).receive_data(data) == [CallFunc(1, 2, tuple(args), kwargs)]


@given(SCALARS)
def test_a_quick_result_arrives_as_the_result_it_is(value):
    wire = WireV1(Side.SERVER)
    header = wire.quick_return(value)
    assume(header is not None)
    data = wire.quick_frame(Kind.RETURN, 1, header)
    assert WireV1(Side.CLIENT).receive_data(data) == [Return(1, value)]


@pytest.mark.parametrize("value", [1 << 64, 1j, "\ud800", "x" * 5000, [1], ..., CallbackRef(1)])
def test_what_is_not_plain_and_short_takes_the_general_way(value):
    wire = WireV1(Side.CLIENT)
    assert wire.quick_call(2, (value,), {}) is None
    assert wire.quick_call(2, (), {"name": value}) is None
    assert wire.quick_return(value) is None
    assert wire.quick_call(2, (1,), {}) is not None, "and does no harm to the next"


@pytest.mark.parametrize("ref", HELD)
def test_what_the_receiver_holds_goes_as_its_handle(ref) -> None:
    header = WireV1(Side.CLIENT).quick_call(2, (1, ref), {"name": ref})
    alone = type(ref)(ref.handle)
    assert short(Side.CLIENT, Kind.CALL_FUNC, header) == (1, 2, (1, alone), {"name": alone})


def test_a_call_with_an_array_is_small() -> None:
    header = WireV1(Side.CLIENT).quick_call(2, (ARRAY,), {})
    assert len(header) <= 8


@pytest.mark.parametrize("ref", REFS)
def test_a_new_ref_comes_with_all_that_describes_it(ref) -> None:
    header = WireV1(Side.SERVER).quick_return(ref)
    assert same(short(Side.SERVER, Kind.RETURN, header), (1, ref))


@pytest.mark.parametrize(
    "ref",
    [
        FunctionRef(3, FunctionInfo("f")),
        ObjectRef(1, "T", "x" * 5000),
        ObjectRef(1, "T", "\ud800"),
        ObjectRef(1 << 64),
        [ARRAY],
    ],
)
def test_a_result_that_is_long_or_rare_takes_the_general_way(ref) -> None:
    wire = WireV1(Side.SERVER)
    assert wire.quick_return(ref) is None
    assert wire.quick_return(1) is not None, "and does no harm to the next"


def test_a_handle_that_cannot_be_takes_the_general_way() -> None:
    wire = WireV1(Side.CLIENT)
    assert wire.quick_call(2, (ObjectRef(1 << 64),), {}) is None
    assert wire.quick_call(2, (1,), {}) is not None


@pytest.mark.parametrize(
    "fields", [(), (5, 1), (5, {}), ("5", []), (5, [], 1), (5, [], "x"), (5, [], [])]
)
def test_a_call_of_another_shape_is_refused(fields) -> None:
    data = WireV1(Side.CLIENT).quick_frame(Kind.CALL_FUNC, 1, msgpack.packb(fields))
    assert read(WireV1(Side.SERVER), data) is None


def test_handles_that_are_given_up_go_together() -> None:
    header = WireV1(Side.CLIENT).quick_free([(7, 2, 1), (8, 4, 2)])
    message = short(Side.CLIENT, Kind.FREE_HANDLES, header)
    assert message == FreeHandles(((7, 2, 1), (8, 4, 2)))
    assert WireV1(Side.CLIENT).quick_free([(number, 2, 1) for number in range(1000)]) is None


def test_a_server_gives_no_handles_up() -> None:
    header = WireV1(Side.CLIENT).quick_free([(7, 2, 1)])
    data = WireV1(Side.SERVER).quick_frame(Kind.FREE_HANDLES, 0, header)
    assert read(WireV1(Side.CLIENT), data) is None


@pytest.mark.parametrize("shape", [(1,) * 5, (-1,), (2.0,), ("a",), ([1],), (1 << 60, 1 << 60)])
def test_an_array_beyond_the_limits_is_refused(shape) -> None:
    header = WireV1(Side.SERVER).quick_return(replace(ARRAY, shape=shape))
    data = WireV1(Side.SERVER).quick_frame(Kind.RETURN, 1, header)
    assert read(WireV1(Side.CLIENT, limits=replace(DEFAULT_LIMITS, ndim=4)), data) is None


@given(st.lists(messages(Side.CLIENT), max_size=6), st.randoms())
def test_a_server_reads_the_same_either_way(sent, random) -> None:
    reads_the_same(Side.CLIENT, sent, random)


@given(st.lists(messages(Side.SERVER), max_size=6), st.randoms())
def test_a_client_reads_the_same_either_way(sent, random) -> None:
    reads_the_same(Side.SERVER, sent, random)


def reads_the_same(sender: Side, sent: list[Message], random) -> None:
    """Compare both ways on a stream of messages, as it is and with one bit changed."""
    data = bytearray(b"".join(to_bytes(WireV1(sender), sent)))
    receiver = Side(1 - sender)
    assert same(read(WireV1(receiver), data), read(general_wire(receiver), data))
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        assert same(read(WireV1(receiver), data), read(general_wire(receiver), data))
