from __future__ import annotations

from dataclasses import replace

import pytest

from rpcnb.core.device import Device
from rpcnb.core.errors import EncodeError, LimitExceeded
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.core.values import ArrayRef, DenseArray, DTypeValue, Handle, ObjectRef
from rpcnb.wire.codec import INLINE_NBYTES
from rpcnb.wire.decoder import Decoder
from rpcnb.wire.encoder import Encoder


def round_trip(value):
    encoder = Encoder(DEFAULT_LIMITS)
    header = encoder.header([value])
    assert len(header) <= DEFAULT_LIMITS.frame_header
    (back,) = Decoder(DEFAULT_LIMITS).fields(header, b"".join(encoder.payload))
    return back, encoder.nbytes


def nested(depth, make=lambda inner: [inner]):
    value = None
    for _ in range(depth):
        value = make(value)
    return value


def test_scalars_travel_in_the_header():
    assert round_trip([1, "x", b"y", None, 2.5])[1] == 0


@pytest.mark.parametrize("make", [str, lambda n: b"x" * len(n)])
def test_what_is_small_is_inline_and_what_is_large_beside_it(make):
    small, large = make("x" * INLINE_NBYTES), make("x" * (INLINE_NBYTES + 1))
    assert round_trip(small) == (small, 0)
    assert round_trip(large) == (large, INLINE_NBYTES + 1)


def test_array_data_is_not_copied():
    data = bytearray(10_000)
    encoder = Encoder(DEFAULT_LIMITS)
    encoder.header([DenseArray("|u1", (10_000,), data)])
    assert encoder.payload[0].obj is data


def test_many_middling_strings_make_a_header_that_travels_beside_itself():
    value = ["x" * 3000 for _ in range(100)]
    back, nbytes = round_trip(value)
    assert back == value
    assert nbytes > 300_000


@pytest.mark.parametrize(
    "value",
    [
        list(range(1024)),
        list(range(1025)),
        tuple(range(5000)),
        dict.fromkeys(range(1025)),
        [["a", (1, 2)]] * 1500,
        {},
        [],
        (),
    ],
)
def test_containers_of_any_length_come_back(value):
    assert round_trip(value)[0] == value


def test_keys_of_every_hashable_kind_come_back():
    keys = [None, 2, 2.5, "s", b"s", 1 << 70, 1j, (1, ("x",)), ..., "k" * 5000, b"k" * 5000]
    value = {key: i for i, key in enumerate(keys)}
    assert round_trip(value)[0] == value


def test_two_keys_with_equal_encodings_stay_two():
    value = dict(zip([(float("nan"),), (float("nan"),)], [1, 2], strict=True))
    assert len(value) == 2
    assert list(round_trip(value)[0].values()) == [1, 2]


def test_containers_nest_to_the_limit_and_no_deeper():
    makers = (lambda v: [v], lambda v: (v,), lambda v: {"k": v})
    for make in makers:
        assert round_trip(nested(16, make))[0] == nested(16, make)
        with pytest.raises(EncodeError, match="nested more than 16"):
            round_trip(nested(17, make))


def test_a_list_inside_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(EncodeError, match="nested"):
        round_trip(endless)


def test_a_list_too_long_for_any_frame_names_the_way_out():
    with pytest.raises(EncodeError, match="an array can hold them"):
        round_trip([None] * (1024 * 1024 + 1))


def test_the_payload_is_limited():
    encoder = Encoder(replace(DEFAULT_LIMITS, frame_payload=9000))
    with pytest.raises(LimitExceeded):
        encoder.header([["x" * 5000, "y" * 5000]])


class Named(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (object(), "object cannot be sent"),
        (Named("x"), "Named cannot be sent"),
        (bytearray(b"x"), "bytearray cannot be sent"),
        (memoryview(b"x"), "memoryview cannot be sent"),
        (slice("a", "b"), "slice of anything but ints"),
        ("\ud800" * 5000, "surrogates"),
        ({"\ud800": 1}, "surrogates"),
        (DTypeValue("|O"), "not a dtype"),
        (DTypeValue(3), "3 is not a dtype"),
        (DenseArray("<f8", (2,), bytes(15)), "15 bytes of data for an array of 16"),
        (ArrayRef(Handle(-1)), "count or handle"),
        (ArrayRef(Handle(1), (2, 3), strides=(1,)), "1 strides for 2"),
        (ArrayRef(Handle(1), device="cpu"), "this ArrayRef cannot be sent"),
        (ObjectRef(Handle(1), None), "NoneType where text"),
        (Device(1, -1), "count or handle"),
    ],
)
def test_what_is_not_a_value_is_refused_with_a_reason(bad, says):
    with pytest.raises(EncodeError, match=says):
        round_trip([bad])


def test_no_more_items_are_sent_than_a_receiver_takes():
    encoder = Encoder(replace(DEFAULT_LIMITS, objects=1000))
    with pytest.raises(EncodeError, match="more than 1,000 items cannot be sent at once; an array"):
        encoder.header([[[0] * 9] * 200])
    Encoder(replace(DEFAULT_LIMITS, objects=2300)).header([[[0] * 9] * 200])
