"""``rpcnb.array.digest``: what shows that a copy whose connection was lost arrived whole."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from rpcnb.core.errors import ArrayMismatch
from rpcnb.core.limits import MIB
from rpcnb.core.values import ArrayRef, Handle

if TYPE_CHECKING:
    from rpcnb.session.base import HostBuffer, RPCSession

NBYTES = 16


def digest_of(data: HostBuffer) -> bytes:
    """Return the BLAKE2b of some bytes."""
    return blake2b(data, digest_size=NBYTES).digest()


def digest(session: RPCSession, handle: int, offset: int, nbytes: int) -> bytes:
    """Return the BLAKE2b of a part of an array's C-order content.

    Raises
    ------
    ArrayMismatch
        The part does not lie in the array.
    """
    memory = session.host_memory(Handle(handle))
    if memory is not None:
        if not 0 <= offset <= len(memory) - nbytes:
            raise ArrayMismatch(f"{nbytes:,} bytes at {offset:,} of {len(memory):,} bytes")
        return digest_of(memory[offset : offset + nbytes])
    running, piece = blake2b(digest_size=NBYTES), bytearray(MIB)
    for position in range(offset, offset + nbytes, MIB):
        part = memoryview(piece)[: min(MIB, offset + nbytes - position)]
        session.copy_from_remote(ArrayRef(Handle(handle), byte_offset=position), part, len(part))
        running.update(part)
    return running.digest()
