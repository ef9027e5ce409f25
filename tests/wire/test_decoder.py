from __future__ import annotations

import contextlib
import time
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import event, given, settings, strategies as st

from rpcnb.core.dtype import element_count, itemsize_of
from rpcnb.core.errors import DecodeError
from rpcnb.core.limits import DEFAULT_LIMITS, MIB
from rpcnb.wire.codec import PLACE, Code, extension, pack
from rpcnb.wire.decoder import Decoder


def decode(header: bytes, payload: bytes = b""):
    return Decoder(DEFAULT_LIMITS).fields(header, payload)


def content(code: int, document: object) -> bytes:
    return pack([extension(code, pack(document))])


def beside(code: int, offset: int, nbytes: int) -> object:
    return extension(Code.OUT_OF_LINE, PLACE.pack(code, offset, nbytes))


def tuples(depth: int) -> bytes:
    inner = pack(None)
    for _ in range(depth):
        inner = pack(extension(Code.TUPLE, b"\x91" + inner))
    return b"\x91" + inner


MANY = [x for k in range(1, 100_001) for x in (k * (2**61 - 1) % 2**64, 0)]
"""What a map of so many keys is made of, that differ but have few hashes."""
COLLIDING = [k * (2**61 - 1) for k in range(1, 4097)]

BOMBS = {
    "lists in lists": b"\x91" * 10_000,
    "lists of 1,024 in lists": b"\xdc\x04\x00" * 1000,
    "maps in maps": b"\x81\x01" * 10_000,
    "long list": b"\xdd\xff\xff\xff\xff",
    "long map": b"\xdf\xff\xff\xff\xff",
    "long text": b"\xdb\xff\xff\xff\xff",
    "long bytes": b"\xc6\xff\xff\xff\xff",
    "long extension": b"\xc9\xff\xff\xff\xff\x05",
    "tuples in tuples": tuples(500),
    "map of 100,000 colliding keys": b"\x91\xdf\x00\x01\x86\xa0" + b"".join(map(pack, MANY)),
    "colliding keys": content(
        Code.PAIRS, [[x for k in COLLIDING[i::8] for x in (k, 0)] for i in range(8)]
    ),
}

WRONG = {
    "nothing": (b"", b"payload"),
    "no list": (pack(5), b""),
    "rest": (b"\x90\x90", b""),
    "cut": (b"\x92\x01", b""),
    "reserved byte": (b"\x91\xc1", b""),
    "not UTF-8": (b"\x91\xa1\xff", b""),
    "list as key": (b"\x91\x81\x90\x01", b""),
    "unknown extension": (pack([extension(99, b"")]), b""),
    "place too short": (pack([extension(Code.OUT_OF_LINE, b"123")]), b""),
    "place of a place": (pack([beside(Code.OUT_OF_LINE, 0, 9)]), bytes(9)),
    "beyond the payload": (pack([beside(Code.BYTES, 5, 6)]), bytes(10)),
    "payload twice": (pack([beside(Code.BYTES, 0, 10)] * 2), bytes(10)),
    "payload left over": (pack([beside(Code.BYTES, 0, 9)]), bytes(10)),
    "tuple of no list": (content(Code.TUPLE, 5), b""),
    "pieces of no list": (content(Code.LONG_LIST, [5]), b""),
    "pair without value": (content(Code.PAIRS, [[1]]), b""),
    "pair with list as key": (content(Code.PAIRS, [[[], 1]]), b""),
    "slice of two": (content(Code.SLICE, [1, 2]), b""),
    "slice of text": (content(Code.SLICE, ["a", 1, 2]), b""),
    "ellipsis with content": (pack([extension(Code.ELLIPSIS, b"x")]), b""),
    "complex too short": (pack([extension(Code.COMPLEX, b"x")]), b""),
    "handle negative": (content(Code.OBJECT_REF, [-1]), b""),
    "handle as text": (content(Code.FUNCTION_REF, ["1"]), b""),
    "handle as truth": (content(Code.MODULE_REF, [True]), b""),
    "no handle": (content(Code.ITERATOR_REF, []), b""),
    "too many fields": (content(Code.ITERATOR_REF, [1, "x", 2]), b""),
    "names are numbers": (content(Code.MODULE_REF, [1, "m", [1]]), b""),
    "object dtype": (content(Code.DTYPE, ["|O"]), b""),
    "endless dtype": (content(Code.DTYPE, [[4, [["a", [4, [["a", 5, 0, []]]], 0, []]]]]), b""),
    "field outside": (content(Code.DTYPE, [[4, [["a", "<f8", 0, []]]]]), b""),
    "field of three": (content(Code.DTYPE, [[4, [["a", "<f4", 0]]]]), b""),
    "giant elements": (content(Code.DTYPE, ["|S999999"]), b""),
    "unknown device": (content(Code.DEVICE, [999, 0]), b""),
    "negative dimension": (content(Code.ARRAY, ["<f8", [-1], b""]), b""),
    "overflowing shape": (content(Code.ARRAY, ["|u1", [2**40, 2**40], b""]), b""),
    "65 dimensions": (content(Code.ARRAY, ["|u1", [1] * 65, b"x"]), b""),
    "array data missing": (content(Code.ARRAY, ["<f8", [2], b"1234567"]), b""),
    "array data as text": (content(Code.ARRAY, ["|u1", [1], "x"]), b""),
    "strides missing": (content(Code.ARRAY_REF, [1, [2, 2], "|u1", [1, 0], 0, 0, [1]]), b""),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_at_once_and_costs_no_memory(name):
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(DecodeError):
            decode(BOMBS[name])
        seconds = time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 9 * MIB  # nested lists of 1,024 reserve, but never touch, 8 KiB each
    assert seconds < 1


@pytest.mark.parametrize("name", WRONG)
def test_what_no_encoder_makes_is_refused(name):
    with pytest.raises(DecodeError):
        decode(*WRONG[name])


@pytest.mark.parametrize("code", range(-128, 128))
@pytest.mark.parametrize("size", [0, 1, 8, 9, 16, 200])
def test_every_extension_number_with_nonsense_in_it_is_a_value_or_refused(code, size):
    body = bytes([code & 0xFF]) + b"\xd5" * size
    header = b"\x91\xc7" + bytes([size]) + body
    with contextlib.suppress(DecodeError):
        assert len(decode(header)) == 1


@given(header=st.binary(max_size=60), payload=st.binary(max_size=20))
def test_noise_is_fields_or_refused(header, payload):
    with contextlib.suppress(DecodeError):
        assert type(decode(header, payload)) is list


def test_a_decoder_goes_on_after_an_error():
    decoder = Decoder(DEFAULT_LIMITS)
    for _ in range(30):
        with pytest.raises(DecodeError):
            decoder.fields(tuples(30))
    assert decoder.fields(tuples(3)) == [(((None,),),)]


def test_array_data_is_a_view_of_the_payload():
    payload = bytearray(5000)
    data = extension(Code.ARRAY, pack(["|u1", [5000], beside(Code.DATA, 0, 5000)]))
    (array,) = decode(pack([data]), payload)
    assert array.data.obj is payload


def nested(levels: int, leaf: bytes, width: int = 100) -> bytes:
    data = leaf
    for _ in range(levels):
        data = b"\xdc" + width.to_bytes(2, "big") + data * width
    return data


@pytest.mark.parametrize("leaf", [b"\x90", b"\x80", b"\xc0", b"\xd4\x05\x90"])
def test_a_payload_of_tiny_objects_is_refused_before_it_becomes_large(leaf):
    bomb = nested(2, leaf)  # of 10,101 containers or items, in 10 KB
    header = pack([beside(Code.DOCUMENT, 0, len(bomb))])
    limits = replace(DEFAULT_LIMITS, objects=1000)
    tracemalloc.start()
    with pytest.raises(DecodeError, match="more than 1,000 items in one message"):
        Decoder(limits).fields(header, bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 * MIB
    assert Decoder(DEFAULT_LIMITS).fields(header, bomb)


def test_sixteen_megabytes_of_empty_lists_do_not_become_a_gigabyte():
    bomb = nested(2, b"\xdc\x00\x0f" + b"\x90" * 15, width=920)
    header = pack([beside(Code.DOCUMENT, 0, len(bomb))])
    assert len(bomb) > 14 * MIB
    with pytest.raises(DecodeError, match="more than 2,097,152 items"):
        decode(header, bomb)


def test_a_million_items_are_still_a_message():
    items = nested(2, b"\xc0", width=1000)
    (decoded,) = decode(pack([beside(Code.LONG_LIST, 0, len(items))]), items)
    assert len(decoded) == 1_000_000


SPELLINGS = ["<f8", "|u1", "|b1", ">i2", "<c16", "|S3", "<U2", "<M8[ns]", "|V0", "|O", "O", "<f3"]
SPELLINGS += ["", "f8", "|S4097", "<U99999", "<f8\n", "__class__", "\u202e<f8"]
EXTENTS = st.integers(-2, 5) | st.sampled_from(
    [2**31, 2**40, 2**62, 2**63 - 1, -(2**63), True, 0.5]
)
SMALL = st.integers(0, 3)
DTYPES = st.recursive(
    st.sampled_from(SPELLINGS) | st.none() | st.integers(-1, 9),
    lambda inner: st.tuples(
        st.integers(-1, 40) | st.just(2**62),
        st.lists(
            st.tuples(
                st.sampled_from(["a", "b", "", 5]),
                inner,
                st.integers(-1, 40),
                st.lists(EXTENTS, max_size=2),
            ).map(list),
            max_size=3,
        ),
    ).map(list),
    max_leaves=6,
)
WILD = st.tuples(
    DTYPES,
    st.lists(EXTENTS, max_size=40),
    st.binary(max_size=40) | st.none() | st.text(max_size=9),
)


@st.composite
def nearly_right(draw):
    """Return the parts of an array whose bytes are as many as they should be, or nearly."""
    dtype, shape = draw(st.sampled_from(["<f8", "|u1", "<U2"])), draw(st.lists(SMALL, max_size=3))
    nbytes = element_count(tuple(shape)) * itemsize_of(dtype)
    return dtype, shape, bytes(max(0, nbytes + draw(st.sampled_from([0, 0, 1, -1, 8]))))


@settings(max_examples=5000)
@given(parts=nearly_right() | WILD, length=st.sampled_from([3, 3, 3, 2, 1]), rest=st.booleans())
def test_an_array_is_what_its_header_says_or_refused(parts, length, rest):
    document = [*parts[:length], *[0] * rest]
    with contextlib.suppress(DecodeError):
        (array,) = decode(content(Code.ARRAY, document))
        assert document == list(parts)
        event("an array")
        nbytes = element_count(array.shape) * itemsize_of(array.dtype)
        assert nbytes == len(array.data)
