"""One line for a person about one packet of TVM's, for logs and for the protocol lens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcnb.wire.tvm.packets import Skipped, SystemCall
from rpcnb.wire.tvm.values import TVMPointer, TVMTensor

if TYPE_CHECKING:
    from rpcnb.wire.tvm.packets import Packet


def describe(packet: Packet) -> str:
    """Return one line about a packet, for traces: bounded, without control characters."""
    name = packet.code.name if isinstance(packet, SystemCall) else type(packet).__name__
    fields: list[str] = []
    for field, value in zip(packet._fields, packet, strict=True):
        if field != "code":
            fields.append(f"{field}={_short(value)}")
    return " ".join([name, *fields])


def _short(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value):,} bytes>"
    if isinstance(value, Skipped):
        return f"<{value.nbytes:,} bytes>"
    if isinstance(value, TVMPointer):
        return f"{value.value:#x}"
    if isinstance(value, TVMTensor):
        return f"<tensor {value.shape} at {value.data:#x}+{value.byte_offset}>"
    if type(value) is tuple:
        shown = ", ".join(map(_short, value[:4]))
        return f"({shown}{', …' if len(value) > 4 else ''})"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
