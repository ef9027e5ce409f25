"""What is said about a result that was promised: its metadata as bytes, which cross fastest.

``dtype|shape|base``, then ``|strides|writeable|device`` where these are not the usual, then a NUL
and the content of a small result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rpcnb.core.device import CPU, Device

if TYPE_CHECKING:
    from rpcnb.core.dtype import DType
    from rpcnb.session.backend import ArrayDescription


class Reply(NamedTuple):
    """What was read."""

    base: int
    strides: tuple[int, ...] | None = None
    writeable: bool = True
    device: Device = CPU
    content: bytes | None = None


def promise_text(dtype: DType, shape: tuple[int, ...]) -> str:
    """Return what a reply begins with, of an array of that dtype and shape."""
    return f"{dtype}|{shape}|"


def write_reply(array: ArrayDescription, content: bytes | None) -> bytes:
    """Write metadata, and the content of a small array."""
    text = f"{promise_text(array.dtype, array.shape)}{array.base}"
    if array.strides is not None or not array.writeable or array.device != CPU:
        strides = "" if array.strides is None else ",".join(map(str, array.strides))
        text += f"|{strides}|{array.writeable:d}|{array.device}"
    return text.encode() if content is None else b"%b\0%b" % (text.encode(), content)


def read_reply(reply: bytes, promised: str) -> Reply | None:
    """Read what came; None where it is not of the dtype and shape that were promised."""
    head, has_content, content = reply.partition(b"\0")
    text = head.decode()
    if not text.startswith(promised):
        return None
    parts = text[len(promised) :].split("|")
    kept = content if has_content else None
    if len(parts) == 1:
        return Reply(int(parts[0]), content=kept)
    base, strides, writeable, device = parts
    steps = tuple(map(int, strides.split(","))) if strides else None
    return Reply(int(base), steps, writeable == "1", Device.parse(device), kept)
