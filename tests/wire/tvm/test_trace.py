"""Tests of `rpcnb.wire.tvm.trace`: one line for a person."""

from __future__ import annotations

from hypothesis import given

from rpcnb.testing.tvm_packets import PACKETS, TENSOR
from rpcnb.wire.tvm.packets import (
    Call,
    CopyTo,
)
from rpcnb.wire.tvm.trace import describe
from rpcnb.wire.tvm.values import (
    TVMPointer,
)


@given(PACKETS)
def test_a_description_is_one_bounded_line(packet) -> None:
    line = describe(packet)
    assert line.isprintable()
    assert len(line) < 600


def test_a_description_names_what_matters() -> None:
    assert describe(Call(3, (1, TVMPointer(16)))) == "Call function=3 args=(1, 0x10)"
    assert describe(CopyTo(TENSOR, b"abc")).endswith("payload=<3 bytes>")
