"""The fixed part of a frame: 36 bytes, little-endian, each field on its natural boundary.

====== ===== ==================================================================================
offset bytes field
====== ===== ==================================================================================
0      1     kind: which message (`rpcnb.wire.messages.Kind`)
1      1     flags: none is defined yet, so zero
2      2     epoch: which connection of its session this is, 1 for the first
4      4     bytes of the header that follows
8      8     request id; 0 where the message has none
16     8     sequence: this frame's number in its direction, 1 for the first
24     8     ack: sequence of the last frame received in the other direction
32     4     bytes of the payload that follows the header
36     …     header: one msgpack list of fields, or nothing
…      …     payload: raw bytes
====== ===== ==================================================================================

The first frame of a session, ``CallFunc(id=7, function=5, args=(1,))``, byte by byte::

    02 00 01 00                 kind 2, no flags, epoch 1
    04 00 00 00                 4 bytes of header
    07 00 00 00 00 00 00 00     request 7
    01 00 00 00 00 00 00 00     frame 1
    00 00 00 00 00 00 00 00     nothing received yet
    00 00 00 00                 no payload
    92 05 91 01                 [5, [1]]

Sequence and ack are there from the first day, because resuming a session needs them: nothing has
to be guessed about which frame arrived.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from rpcnb.core.errors import LimitExceeded

if TYPE_CHECKING:
    from rpcnb.core.limits import Limits

FIXED = Struct("<BBHIQQQI")
FIXED_NBYTES = FIXED.size


class Fixed(NamedTuple):
    """The fields of the fixed part, in wire order."""

    kind: int
    flags: int
    epoch: int
    header_nbytes: int
    id: int
    sequence: int
    ack: int
    payload_nbytes: int


def check_sizes(header_nbytes: int, payload_nbytes: int, limits: Limits) -> None:
    """Refuse a frame that is too large: on receipt, before anything is allocated for it.

    Raises
    ------
    LimitExceeded
        Says which part, its size and the limit.
    """
    if header_nbytes > limits.frame_header:
        raise LimitExceeded("frame header", header_nbytes, limits.frame_header)
    if payload_nbytes > limits.frame_payload:
        raise LimitExceeded("frame payload", payload_nbytes, limits.frame_payload)
