"""What brokers, the zygote and workers tell each other: tickets and single words.

Rules for this file: it imports nothing that serves, as all that serves imports it.
"""

from __future__ import annotations

from typing import NamedTuple

from rpcnb.wire.codec import pack, unpack_scalars

STOP = b"stop"
"""What a broker says that ends, so that the zygote ends, too."""
KILL = b"kill "
"""What a broker says, before a session's id, whose worker is to be killed."""
AWAY, BACK = b"a", b"b"
"""What a worker says through its door: nobody is connected, somebody is."""


class Ticket(NamedTuple):
    """What a worker is told about the session it is to run."""

    session_id: str
    """32 hexadecimal digits."""
    session_name: str
    epoch: int
    """Which connection of the session this is."""
    caveats: str = ""
    """What the client may not do; see `rpcnb.core.roles`."""
    protocol: str = ""
    """What the client speaks, where that is not our own; see `rpcnb.endpoint.tvm.worker`."""
    seconds: float | None = None
    """How long the session may last, where its client said so."""
    resumed: bool = False
    """It takes the place of one that was lost; else another client takes the session up."""
    pipes: bool = False
    """Whether the client was told that it may propose pipes; see `rpcnb.transport.pipes`."""

    def to_note(self) -> bytes:
        """Return it as it travels."""
        return pack(list(self))

    @classmethod
    def from_note(cls, note: bytes) -> Ticket:
        """Read what `to_note` wrote: as a message is read, by what a worker needs in any case."""
        return cls(*unpack_scalars(note))
