"""``rpcnb.array.read`` and ``write``: a few bytes of an array as a call's result or argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcnb.core.errors import ArrayMismatch
from rpcnb.core.values import ArrayRef, Handle

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.session.base import RPCSession

MOST = 4096
"""Bytes of one of them: what a message of the express lane carries in its header."""


def small_copies(session: RPCSession) -> dict[str, Callable[..., Any]]:
    """Return both functions, by name.

    They name an array by the number of its handle, a plain value, and bytes of its C-order content.
    """

    def read(handle: int, offset: int, nbytes: int) -> bytes:
        memory = _memory(session, handle, offset, nbytes)
        if memory is not None:
            return bytes(memory)
        data = bytearray(nbytes)
        session.copy_from_remote(ArrayRef(Handle(handle), byte_offset=offset), data, nbytes)
        return bytes(data)

    def write(handle: int, offset: int, data: bytes) -> None:
        memory = _memory(session, handle, offset, len(data))
        if memory is not None and not memory.readonly:
            memory[:] = data
        else:
            array = ArrayRef(Handle(handle), byte_offset=offset)
            session.copy_to_remote(data, array, len(data))

    return {"rpcnb.array.read": read, "rpcnb.array.write": write}


def _memory(session: RPCSession, handle: int, offset: int, nbytes: int) -> memoryview | None:
    """Return the bytes themselves, where they can be addressed."""
    if not 0 <= nbytes <= MOST:
        raise ArrayMismatch(f"{nbytes:,} bytes are no small copy; {MOST:,} at most")
    memory = session.host_memory(Handle(handle))
    if memory is None:
        return None
    if not 0 <= offset <= len(memory) - nbytes:
        raise ArrayMismatch(
            f"{nbytes:,} bytes at offset {offset:,} do not lie in {len(memory):,} bytes"
        )
    return memory[offset : offset + nbytes]
