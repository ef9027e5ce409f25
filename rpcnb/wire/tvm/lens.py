"""`TVMLens`: reads along with a TVM connection, both ways, from its first byte.

For recordings and relays, between whichever two programs: it takes bytes and gives lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.errors import ProtocolError
from rpcnb.wire.tvm.greeting import DUPLICATE_KEY, LONGEST_KEY, MAGIC, NO_MATCH
from rpcnb.wire.tvm.parser import TVMWire
from rpcnb.wire.tvm.trace import describe
from rpcnb.wire.tvm.values import I32, TVMTensor

if TYPE_CHECKING:
    from rpcnb.wire.messages import Buffer

_HEAD = 8
"""Bytes of the greeting before the key, either way."""
_REFUSALS = {NO_MATCH: "no such key", DUPLICATE_KEY: "the key is taken"}


class TVMLens:
    """Two readers: what the client sends, and what the server does.  Not thread-safe.

    Payloads of copies are counted, not kept.
    """

    def __init__(self) -> None:
        self._client = _Reader()
        self._server = _Reader()

    def from_client(self, data: Buffer) -> list[str]:
        """Return a line for each packet that is complete with these bytes."""
        return [f"> {line}" for line in self._client.read(data)]

    def from_server(self, data: Buffer) -> list[str]:
        """Return a line for each packet that is complete with these bytes."""
        lines = self._server.read(data)
        self._client.wire.dialect = self._server.wire.dialect  # known by the first answer
        return [f"< {line}" for line in lines]


class _Reader:
    """One direction."""

    def __init__(self) -> None:
        self._greeting: bytes | None = b""
        self.wire = TVMWire(_skip)
        self._over = False

    def read(self, data: Buffer) -> list[str]:
        if self._over:
            return []
        lines: list[str] = []
        if self._greeting is not None:
            data, lines = self._greet(self._greeting + bytes(data))
        try:
            lines += [describe(packet) for packet in self.wire.receive_data(data)]
        except ProtocolError as error:
            self._over = True
            lines.append(f"(what follows cannot be read: {error})")
        return lines

    def _greet(self, data: bytes) -> tuple[bytes, list[str]]:
        """Return what comes after the greeting, and its line."""
        self._greeting = data
        (magic,) = I32.unpack_from(data) if len(data) >= I32.size else (MAGIC,)
        if magic != MAGIC:
            self._over, self._greeting = True, None
            return b"", [f"(refused: {_REFUSALS.get(magic, 'this is not TVM')})"]
        if len(data) < _HEAD:
            return b"", []
        (nbytes,) = I32.unpack_from(data, I32.size)
        end = _HEAD + nbytes
        if not 0 <= nbytes <= LONGEST_KEY:
            self._over, self._greeting = True, None
            return b"", [f"(a key of {nbytes:,} bytes: this is not TVM)"]
        if len(data) < end:
            return b"", []
        self._greeting = None
        return data[end:], [f"Greeting key={data[_HEAD:end].decode('utf-8', 'replace')!a}"]


def _skip(_tensor: TVMTensor | None, _nbytes: int) -> None:
    """Be the sink that wants no payload."""
