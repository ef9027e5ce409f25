from __future__ import annotations

import ast
import struct
from pathlib import Path

import msgpack
import pytest

import rpcnb.wire
from rpcnb.core.errors import EncodeError
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.wire import codec
from rpcnb.wire.codec import Code, extension, pack, require_msgpack, unpacker


def test_msgpack_is_imported_in_one_file():
    importers = [
        path.name
        for path in Path(rpcnb.wire.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import) and any(alias.name == "msgpack" for alias in node.names)
    ]
    assert importers == ["codec.py"]


@pytest.mark.parametrize("version", [(1, 2, 3), (0, 6), (1, 1, 9)])
def test_an_old_msgpack_is_refused(version):
    with pytest.raises(ImportError, match=r"needs msgpack 1\.2\.4 or newer, not"):
        require_msgpack(version)


def test_what_is_packed_is_msgpack():
    assert pack([None, True, 1, -1, "é", b"\0", {"k": 1.5}]) == msgpack.packb(
        [None, True, 1, -1, "é", b"\0", {"k": 1.5}]
    )


@pytest.mark.parametrize(
    "number", [2**64, -(2**63) - 1, 2**64 + 255, -(2**200), 2**262143 - 1], ids=int.bit_length
)
def test_an_int_beyond_64_bits_is_an_extension(number):
    packed = msgpack.unpackb(pack(number), max_ext_len=1 << 20)
    assert packed.code == Code.INT
    assert int.from_bytes(packed.data, "little", signed=True) == number


def test_an_int_beyond_the_limit_is_refused():
    with pytest.raises(EncodeError, match="an int of 262,144 bits"):
        pack(2**262143)


def test_a_complex_number_keeps_every_bit():
    packed = msgpack.unpackb(pack(complex(-0.0, 2.0)))
    assert packed == extension(Code.COMPLEX, struct.pack("<dd", -0.0, 2.0))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("\ud800", "lone surrogates"),
        ({1, 2}, "set cannot be sent"),
        ((1,), "tuple cannot be sent"),
        (codec, "module cannot be sent"),
        (Code.INT, r"rpcnb\.wire\.codec\.Code cannot be sent"),
    ],
)
def test_what_cannot_be_packed_is_named(bad, says):
    with pytest.raises(EncodeError, match=says):
        pack(["text before it", bad])


def test_an_error_leaves_nothing_behind():
    expected = pack([1, 2])
    for _ in range(3):
        with pytest.raises(EncodeError):
            pack(["half a document", object()])
        assert pack([1, 2]) == expected


def test_a_list_inside_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(EncodeError):
        pack(endless)


@pytest.mark.parametrize(
    "document",
    [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x05",
        b"\xdc\x04\x01" + b"\xc0" * 1025,
    ],
)
def test_lengths_are_checked_before_they_are_believed(document):
    with pytest.raises(ValueError, match=r".+"):
        unpacker(msgpack.ExtType, DEFAULT_LIMITS)(document)
