"""The servers between a client and where its functions run."""

from __future__ import annotations

from typing import Any, NamedTuple

MOST = 32
"""Hops of one chain that are told."""


class Hop(NamedTuple):
    """One server on the way."""

    name: str
    address: str
    """As whoever connects to it writes it, without a secret."""
    seconds: float
    """Of a round trip to it from the hop before."""


def read_hops(told: Any) -> tuple[Hop, ...]:
    """Read what another server says of the way behind it; nothing where that makes no sense."""
    try:
        rows = [(str(name), str(address), float(seconds)) for name, address, seconds in told]
    except (TypeError, ValueError):
        return ()
    return tuple(Hop(*row) for row in rows[:MOST])
