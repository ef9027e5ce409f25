"""Connections that have proved nothing yet: how many there may be, and who has to wait.

Who means it is done in a few round trips. So a crowd that says nothing cannot keep others out,
however long it waits: of too many, the one that has dawdled longest goes. An address that fails to
prove the secret again and again has to wait before it is listened to again; others do not.

This machine is one address to all its users, so that none of them may be made to wait for what
another did: here only the total counts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from rpcnb.transport.address import parse_address
from rpcnb.transport.sockets import is_loopback_host

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.limits import Limits
    from rpcnb.transport.base import Transport

FAILURES = 5
"""Proofs that an address may get wrong before it has to wait."""
FIRST_WAIT, LONGEST_WAIT = 5.0, 60.0
"""Seconds to wait; doubled with each failure after that."""
FORGET_AFTER = 600.0
"""Seconds without a failure after which an address is like any other again."""
REMEMBERED = 4096
"""Addresses that are remembered for their failures; of more, the oldest is forgotten."""


@dataclass(slots=True)
class Record:
    """The failures of one address."""

    count: int = 0
    last: float = 0.0
    until: float = 0.0
    """When it is listened to again."""


class Strangers:
    """Who is at the door.  Thread-safe.

    Parameters
    ----------
    limits : Limits
        `preauth_connections` and `preauth_per_address` apply.
    clock : callable
        Gives the time [s].
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: OrderedDict[int, Transport] = OrderedDict()
        self._failures: OrderedDict[str, Record] = OrderedDict()

    def admit(self, transport: Transport) -> list[Transport]:
        """Count a stranger in; return who has to go for it, perhaps itself."""
        place = _place(transport)
        with self._lock:
            record = self._failures.get(place)
            if record is not None and self._clock() < record.until:
                return [transport]
            self._waiting[id(transport)] = transport
            same = [t for t in self._waiting.values() if place and _place(t) == place]
            gone = same[:1] if len(same) > self._limits.preauth_per_address else []
            if not gone and len(self._waiting) > self._limits.preauth_connections:
                gone = [next(iter(self._waiting.values()))]
            for one in gone:
                del self._waiting[id(one)]
            return gone

    def leave(self, transport: Transport) -> None:
        """Count a stranger out: it is one no more, or gone."""
        with self._lock:
            self._waiting.pop(id(transport), None)

    def failed(self, transport: Transport) -> None:
        """Take note that somebody did not know the secret."""
        place = _place(transport)
        if not place:
            return
        now = self._clock()
        with self._lock:
            record = self._failures.pop(place, None)
            if record is None or now - record.last > FORGET_AFTER:
                record = Record()
            self._failures[place] = record
            record.count, record.last = record.count + 1, now
            beyond = record.count - FAILURES
            if beyond >= 0:
                record.until = now + min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(beyond, 10))
            if len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def all(self) -> list[Transport]:
        """Return those who are at the door now."""
        with self._lock:
            return list(self._waiting.values())


def _place(transport: Transport) -> str:
    """Return the other machine, or nothing where it is this one.

    A network of the sixth version is given out in blocks of 2⁶⁴ addresses: such a block is one.
    """
    address = transport.peer_address
    if not address.startswith(("tcp://", "tls://")):
        return ""
    host = parse_address(address).host
    if is_loopback_host(host):
        return ""
    return ":".join(host.split(":")[:4]) if ":" in host else host
