"""What fuzzers feed: each target takes any bytes, and lets only errors out that nobody documents.

Bytes reach the deep parts only when the shallow ones are right. So each target makes whatever a
fuzzer could hardly guess (lengths, sequence numbers) from the bytes that it was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.dtype import element_count, itemsize_of
from rpcnb.core.errors import CodecError, LimitExceeded, ProtocolError
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.core.values import DenseArray
from rpcnb.wire.client_handshake import ClientHandshake
from rpcnb.wire.decoder import Decoder
from rpcnb.wire.frames import FIXED
from rpcnb.wire.handshake import MAGIC
from rpcnb.wire.messages import KIND_OF, Side
from rpcnb.wire.server_handshake import ServerHandshake
from rpcnb.wire.v1 import WireV1

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET, NONCE = b"7" * 32, b"n" * 32
KINDS = sorted(set(map(int, KIND_OF.values())))
MOST_NBYTES = 64 * 1024


def handshake(data: bytes) -> None:
    """Be a server, or a client, to whom a stranger says this in two parts."""
    if not data:
        return
    side, cut, said = data[0] & 1, data[0] >> 1, data[1:]
    if side and cut & 1:
        said = MAGIC + said
    one = (
        ServerHandshake(SECRET, "fuzz", nonce=NONCE)
        if side
        else ClientHandshake(SECRET, nonce=NONCE)
    )
    try:
        one.data_to_send()
        for part in (said[:cut], said[cut:]):
            one.receive_data(part)
            one.data_to_send()
    except ProtocolError:
        return
    proved = one.proved if side else one.done
    if proved:
        message = "a proof without the secret"
        raise AssertionError(message)


def frames(data: bytes) -> None:
    """Be one end of a session to which frames come that are right but for their content."""
    if len(data) < 3:
        return
    side = Side.SERVER if data[0] & 1 else Side.CLIENT
    protocol = WireV1(side)
    payload_nbytes = min(data[2], max(0, len(data) - 3))
    header, payload = data[3 : len(data) - payload_nbytes], data[len(data) - payload_nbytes :]
    payload = payload[:payload_nbytes]
    kind = KINDS[data[1] % len(KINDS)]
    fixed = FIXED.pack(kind, 0, 1, len(header), data[0] >> 1, 1, 0, len(payload))
    frame = memoryview(fixed + header + payload)
    try:
        while frame:
            room = protocol.receive_buffer()
            count = min(len(room), len(frame))
            room[:count] = frame[:count]
            frame = frame[count:]
            protocol.received(count)
    except (ProtocolError, CodecError):
        return


def values(data: bytes) -> None:
    """Decode a header with something beside it, and look at the arrays in it."""
    cut = min(data[0] if data else 0, len(data))
    try:
        found = Decoder(DEFAULT_LIMITS).fields(data[1 + cut :], data[1 : 1 + cut])
        for value in found:
            if type(value) is DenseArray:
                element_count(value.shape)
                itemsize_of(value.dtype)
    except (ProtocolError, CodecError, LimitExceeded):
        return


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (handshake, frames, values)
}
