"""What a broker knows about each of its sessions, and tells the clients they belong to."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rpcnb.endpoint.greeting import RESUME, claim
from rpcnb.wire.resumable import NEWEST_EPOCH

if TYPE_CHECKING:
    from rpcnb.wire.handshake import Agreement


@dataclass(slots=True)
class SessionRecord:
    """What the broker knows about a session."""

    session_id: str
    name: str
    caveats: str = ""
    """What its clients may not do; nobody with other rights comes in."""
    pid: int = 0
    began: float = field(default_factory=time.time)
    code: int | None = None
    """How its worker ended: exit status or the negative of a signal; None while it runs."""
    epoch: int = 1
    """How many connections it has had."""
    away_since: float | None = None
    """When it lost its client, in monotonic seconds; None while that is connected."""
    killed: bool = False
    """Its client had it killed."""
    leaving: bool = False
    """It was told to end, to make room."""
    resume_key: bytes = field(default=b"", repr=False)
    """Shared with the client that it belongs to."""

    def as_left(self) -> dict[str, Any]:
        """Return what the next broker would have to know of it; `from_left` reads it."""
        # `asdict` copies in depth, which takes 50 µs.
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {**fields, "away_since": None, "resume_key": self.resume_key.hex()}

    @classmethod
    def from_left(cls, left: dict[str, Any]) -> SessionRecord:
        """Make the record that another broker left."""
        return cls(**{**left, "resume_key": bytes.fromhex(left["resume_key"])})

    def fate(self) -> dict[str, Any]:
        """Return what a client is told of how its session ended."""
        return {"known": True, "code": self.code, "pid": self.pid, "killed": self.killed}

    def belongs_to(self, request: Agreement, purpose: bytes) -> bool:
        """Tell whether it is its client that asks, with the rights it was opened with."""
        claimed = claim(self.resume_key, request.session_id, purpose)
        is_theirs = hmac.compare_digest(claimed.encode(), request.session_name.encode())
        return bool(self.resume_key) and is_theirs and request.caveats == self.caveats


def obstacle_for(
    record: SessionRecord | None, request: Agreement, purpose: bytes
) -> dict[str, Any] | None:
    """Say why a client cannot do with a session what it claims to be its own to do; None if it can."""
    if record is None or (purpose == RESUME and record.epoch >= NEWEST_EPOCH):
        return {"known": False}
    if record.code is not None:
        return record.fate()
    return None if record.belongs_to(request, purpose) else {"known": True, "taken": True}
