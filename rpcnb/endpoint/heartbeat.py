"""Heartbeats: a peer that is gone without a word is noticed, also when nothing is under way.

One thread in each process looks at all its connections every `BEAT` seconds. It costs a call
nothing: what it looks at are the counters that are there anyway. A client that has said or heard
nothing since the last look sends a PING; a worker only listens. Bytes are counted, not messages:
over a slow line one piece of bulk data may take long, and a peer that takes or gives bytes is alive.

Whoever is silent for `SUSPECT_AFTER` is suspect; after `DEAD_AFTER` its connection is given up,
which is not the end of the session: see `rpcnb.endpoint.recovery`.
"""

from __future__ import annotations

import os
import threading
import weakref
from time import monotonic
from typing import TYPE_CHECKING

from rpcnb.core.events import SessionState
from rpcnb.wire.messages import Ping

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.endpoint.connection import Connection

BEAT = 4.0
"""Seconds between looks: that much later than silence began it may be noticed."""
SUSPECT_AFTER = 8.0
DEAD_AFTER = 16.0
"""Seconds of silence that are seen; a dead peer is noticed within this and one `BEAT`: 20 s."""
LIVELY = 64 * 1024
"""Bytes sent between two looks that show a peer taking them."""


def is_worthwhile(address: str) -> bool:
    """Tell whether an end there can vanish without a word.

    On this machine it cannot: the system tells of the end of every process.
    """
    return not address.startswith(("unix:", "memory:"))


class Pulse:
    """What is known about the liveliness of one peer.

    Parameters
    ----------
    connection : Connection
        Not kept alive.
    tell : bound method, optional
        Its object is not kept alive either.
        Told `SessionState.SUSPECT`, and `LIVE` when that was wrong.
    asks : bool
        Send a PING where nothing else is sent: a client's part.
    """

    def __init__(
        self,
        connection: Connection,
        tell: Callable[[SessionState, str], object] | None = None,
        *,
        asks: bool,
    ) -> None:
        self._connection = weakref.ref(connection)
        self._tell = None if tell is None else weakref.WeakMethod(tell)
        self._asks = asks
        self._received = connection.bytes_received
        self._sent = connection.outbox.nbytes
        self._alive_at = monotonic()
        self._suspect = False

    def look(self, now: float) -> bool:
        """Look once; False when there is nothing to look at any more."""
        connection = self._connection()
        if connection is None or connection.reason is not None:
            return False
        heard, said = self._news(connection)
        if heard or connection.is_cut:
            self._be_alive(now)
        silence = now - self._alive_at
        if silence >= DEAD_AFTER:
            connection.give_up(f"the other side has been silent for {silence:.0f} s")
            self._be_alive(now)
        elif silence >= SUSPECT_AFTER and not self._suspect:
            self._suspect = True
            self._say(SessionState.SUSPECT, f"silent for {silence:.0f} s")
        if self._asks and not (heard and said) and connection.can_send_at_once():
            connection.post(Ping(0))
            self._sent = connection.outbox.nbytes
        return True

    def _news(self, connection: Connection) -> tuple[bool, bool]:
        """Return whether the peer showed itself, and whether anything was sent, since the last time."""
        received, sent = connection.bytes_received, connection.outbox.nbytes
        heard = received != self._received or sent - self._sent > LIVELY
        said = sent != self._sent
        self._received, self._sent = received, sent
        return heard, said

    def _be_alive(self, now: float) -> None:
        self._alive_at = now
        if self._suspect:
            self._suspect = False
            self._say(SessionState.LIVE, "")

    def _say(self, state: SessionState, why: str) -> None:
        tell = None if self._tell is None else self._tell()
        if tell is not None:
            tell(state, why)


class Heartbeats:
    """The thread that looks.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pulses: list[Pulse] = []
        self._pid = 0

    def watch(self, pulse: Pulse) -> None:
        """Look at a connection until it ends; starts the thread."""
        if self._pid != os.getpid():  # never started, or started before a fork
            self._pid = os.getpid()
            self._lock = threading.Lock()
            self._pulses = []
            threading.Thread(target=self._run, name="rpcnb-heartbeat", daemon=True).start()
        with self._lock:
            self._pulses.append(pulse)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(BEAT)
            self.look(monotonic())

    def look(self, now: float) -> None:
        """Look at all connections once."""
        with self._lock:
            pulses = list(self._pulses)
        ended = {pulse for pulse in pulses if not pulse.look(now)}
        if ended:
            with self._lock:
                self._pulses = [pulse for pulse in self._pulses if pulse not in ended]


HEARTBEATS = Heartbeats()
"""The process's."""
