from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from rpcnb.core.errors import LimitExceeded
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.wire import frames
from rpcnb.wire.frames import FIXED, FIXED_NBYTES, Fixed, check_sizes
from rpcnb.wire.messages import CallFunc, Side
from rpcnb.wire.v1 import WireV1

# Read, not asked for: compiled modules have no text.
PAGE = ast.get_docstring(
    ast.parse(Path(frames.__file__).with_name("frames.py").read_text("utf-8")), clean=False
)


def documented_frame() -> bytes:
    lines = re.findall(r"^    ((?:[0-9a-f]{2} )+) ", PAGE, re.MULTILINE)
    return bytes.fromhex("".join(lines))


def documented_offsets() -> list[int]:
    return [int(offset) for offset in re.findall(r"^(\d+) +\d", PAGE, re.MULTILINE)]


def test_the_documented_frame_is_what_is_sent():
    client = WireV1(Side.CLIENT)
    assert client.frame(client.prepare(CallFunc(7, 5, (1,)))) == (documented_frame(),)


def test_the_documented_frame_is_what_is_received():
    assert WireV1(Side.SERVER).receive_data(documented_frame()) == [CallFunc(7, 5, (1,))]


def test_the_fixed_part_has_no_padding_and_every_field_its_natural_boundary():
    sizes = [1, 1, 2, 4, 8, 8, 8, 4]
    assert FIXED_NBYTES == sum(sizes) == 36
    assert documented_offsets() == [sum(sizes[:i]) for i in range(len(sizes))]
    assert all(offset % size == 0 for offset, size in zip(documented_offsets(), sizes, strict=True))
    assert len(Fixed._fields) == len(sizes)


def test_each_field_stands_at_its_documented_offset():
    for index, offset in enumerate(documented_offsets()):
        values = [0] * 8
        values[index] = 0x5A
        packed = FIXED.pack(*values)
        assert packed.index(0x5A) == offset


@pytest.mark.parametrize(
    ("sizes", "what"), [((101, 0), "frame header"), ((0, 201), "frame payload")]
)
def test_a_size_over_its_limit_is_refused(sizes, what):
    limits = replace(DEFAULT_LIMITS, frame_header=100, frame_payload=200)
    check_sizes(100, 200, limits)
    with pytest.raises(LimitExceeded) as caught:
        check_sizes(*sizes, limits)
    assert (caught.value.what, caught.value.size) == (what, max(sizes))
