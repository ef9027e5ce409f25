"""`trace`: what a session and its TVM server say to each other, as lines, while somebody looks."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from rpcnb.core.errors import SessionError
from rpcnb.endpoint.tvm.session import TVMSession
from rpcnb.wire.tvm.trace import describe

if TYPE_CHECKING:
    from rpcnb.session.base import RPCSession
    from rpcnb.wire.tvm.packets import Packet

KEPT = 10_000
"""Lines; older ones go."""
_SHOWN = 40


class HasSession(Protocol):
    """A `Remote`."""

    session: RPCSession


class TraceLine(NamedTuple):
    """One packet."""

    seconds: float
    """Since the trace began."""
    outgoing: bool
    """Whether it went to the server."""
    text: str

    def __str__(self) -> str:
        return f"{self.seconds * 1e3:9.3f} ms  {'→' if self.outgoing else '←'} {self.text}"


class Trace:
    """Keeps a line for each packet that goes either way, from `start` or ``with`` to `stop`.

    Parameters
    ----------
    session : RPCSession
        On a TVM server.

    Raises
    ------
    SessionError
        It is of another kind.
    """

    def __init__(self, session: RPCSession) -> None:
        if not isinstance(session, TVMSession):
            message = f"{session.name or 'this session'} does not speak TVM's protocol"
            raise SessionError(message)
        self._link = session.link
        self._began = monotonic()
        self.lines: deque[TraceLine] = deque(maxlen=KEPT)

    def start(self) -> Self:
        """Begin, or go on."""
        self._link.watchers = (*self._link.watchers, self._note)
        return self

    def stop(self) -> None:
        """Keep no more.  Idempotent."""
        self._link.watchers = tuple(w for w in self._link.watchers if w != self._note)

    def _note(self, packet: Packet, *, outgoing: bool) -> None:
        self.lines.append(TraceLine(monotonic() - self._began, outgoing, describe(packet)))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def __len__(self) -> int:
        return len(self.lines)

    def __repr__(self) -> str:
        lines = list(self.lines)
        more = [f"… {len(lines) - _SHOWN:,} lines before"] if len(lines) > _SHOWN else []
        return "\n".join([*more, *map(str, lines[-_SHOWN:])]) or "<no packets yet>"


def trace(remote: HasSession) -> Trace:
    """Return what keeps a line for each packet to and from a TVM server, within a ``with`` block.

    Raises
    ------
    SessionError
        The remote is no TVM server.
    """
    return Trace(remote.session)
