"""`FaultProxy`: a way between two ends on which things go wrong, when and where a test says.

Real sockets, in this process: the ends notice what they would notice of a network. A fault happens
behind a certain byte of a certain connection (`Fault`), or now (`FaultProxy.cut` and the like).

::

    with FaultProxy(server.url, lambda number: [Fault("cut", 1000)] if number == 0 else []) as way:
        session = open_session(way.url, token=server.token)
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from rpcnb.transport.address import parse_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PIECE = 64 * 1024
"""Bytes moved at once at most."""
PATIENCE = 10.0
"""Seconds for connecting to the target."""
_RESET = struct.pack("ii", 1, 0)

Direction: TypeAlias = Literal["up", "down"]
"""``up``: from who connects to the target."""
Kind: TypeAlias = Literal["cut", "reset", "stall"]
"""An end of the stream at both ends; an abortive end; nothing moves any more, and no end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one connection."""

    kind: Kind
    at: int
    """Bytes that get through before."""
    direction: Direction = "up"


Plan: TypeAlias = "Callable[[int], Sequence[Fault]]"
"""Gives the faults of a connection, by its number from 0 on."""


def no_faults(number: int) -> Sequence[Fault]:
    """Plan nothing."""
    del number
    return ()


def random_cuts(seed: int, nbytes: int, count: int, direction: Direction = "up") -> Plan:
    """Plan to end each of the first `count` connections, behind a random byte of `nbytes`."""
    numbers = random.Random(seed)  # noqa: S311 -- it is to be repeatable
    kinds: tuple[Kind, ...] = ("cut", "reset")
    faults = [
        Fault(numbers.choice(kinds), numbers.randrange(nbytes), direction) for _ in range(count)
    ]
    return lambda number: faults[number : number + 1]


class FaultProxy:
    """Stands between clients and a target.  Thread-safe.

    Parameters
    ----------
    target : str
        ``tcp://host:port`` or ``unix:///path``.
    plan : callable, optional
        What goes wrong with which connection.
    bytes_per_second : float, optional
        How fast each direction of each connection is at most.

    Attributes
    ----------
    url : str
        Where to connect to.
    connections : int
        How many there were.
    faults : int
        How many things went wrong as planned.
    nbytes : dict
        Bytes moved, by direction.
    """

    def __init__(
        self, target: str, plan: Plan = no_faults, *, bytes_per_second: float | None = None
    ) -> None:
        self._target = parse_address(target)
        self._plan = plan
        self._pace = 0.0 if bytes_per_second is None else 1.0 / bytes_per_second
        self.connections = 0
        self.faults = 0
        self.nbytes: dict[Direction, int] = {"up": 0, "down": 0}
        self._lock = threading.Lock()
        self._pairs: set[_Pair] = set()
        self._flowing = threading.Event()
        self._flowing.set()
        self._open = threading.Event()
        self._open.set()
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = "tcp://{}:{}".format(*self._listener.getsockname())
        self._thread = threading.Thread(target=self._accept, name="rpcnb-proxy", daemon=True)
        self._thread.start()

    # --- faults now -----------------------------------------------------------------------------

    def cut(self) -> None:
        """End every connection; both ends see the end of the stream."""
        self._end_all("cut")

    def reset(self) -> None:
        """Break every connection; both ends see that it was reset."""
        self._end_all("reset")

    def stall(self) -> None:
        """Let nothing through any more, on connections there are and on new ones."""
        self._flowing.clear()

    def flow(self) -> None:
        """Undo `stall`."""
        self._flowing.set()

    def shut(self) -> None:
        """End every connection, and turn new ones away."""
        self._open.clear()
        self._end_all("cut")

    def unshut(self) -> None:
        """Undo `shut`."""
        self._open.set()

    # --- moving -----------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # closed
                return
            try:
                far = self._connect()
            except OSError:
                near.close()
                continue
            self._begin(near, far)

    def _connect(self) -> socket.socket:
        if not self._open.is_set():
            raise ConnectionRefusedError
        if self._target.scheme == "unix":
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            far.connect(self._target.path)
            return far
        where = self._target.host, self._target.port or 0
        far = socket.create_connection(where, PATIENCE)
        far.settimeout(None)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return far

    def _begin(self, near: socket.socket, far: socket.socket) -> None:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            pair = _Pair(near, far)
            faults = self._plan(self.connections)
            self.connections += 1
            self._pairs.add(pair)
        ways: tuple[tuple[Direction, socket.socket, socket.socket], ...] = (
            ("up", near, far),
            ("down", far, near),
        )
        for direction, source, sink in ways:
            mine = sorted((f for f in faults if f.direction == direction), key=lambda f: f.at)
            work = partial(self._pump, pair, direction, source, sink, mine)
            threading.Thread(target=work, name="rpcnb-proxy", daemon=True).start()
        if not self._open.is_set():  # looked at after adding, as `shut` closes before it looks
            pair.end("cut")

    def _pump(
        self,
        pair: _Pair,
        direction: Direction,
        source: socket.socket,
        sink: socket.socket,
        faults: list[Fault],
    ) -> None:
        moved = 0
        with suppress(OSError):
            while True:
                room = faults[0].at - moved if faults else PIECE
                if room == 0:
                    self._happen(pair, faults.pop(0))
                    continue
                data = source.recv(min(PIECE, room))
                self._wait_for_flow(pair)
                if not data:
                    break
                with self._lock:
                    self.nbytes[direction] += len(data)
                sink.sendall(data)
                moved += len(data)
                if self._pace:
                    self._closed.wait(self._pace * len(data))
        pair.end("cut")
        with self._lock:
            self._pairs.discard(pair)
        pair.leave()

    def _wait_for_flow(self, pair: _Pair) -> None:
        self._flowing.wait()
        pair.flowing.wait()

    def _happen(self, pair: _Pair, fault: Fault) -> None:
        with self._lock:
            self.faults += 1
        if fault.kind == "stall":
            pair.flowing.clear()
            self._wait_for_flow(pair)
        else:
            pair.end(fault.kind)
            raise ConnectionAbortedError

    def _end_all(self, kind: Kind) -> None:
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.end(kind)

    def close(self) -> None:
        """End everything.  Idempotent."""
        self._closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end_all("cut")
        self._flowing.set()
        self._thread.join(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _Pair:
    """Both sockets of one connection."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self._ends = near, far
        self._lock = threading.Lock()
        self._ended = False
        self._pumps = 2
        self.flowing = threading.Event()
        self.flowing.set()

    def end(self, kind: Kind) -> None:
        """End both halves, once."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            for end in self._ends:
                with suppress(OSError):
                    if kind == "reset":
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        end.shutdown(socket.SHUT_RD)
                    else:
                        end.shutdown(socket.SHUT_RDWR)
        self.flowing.set()

    def leave(self) -> None:
        """Close both when neither direction is moved any more.

        Not before: a thread that is about to receive would take what comes on the next socket that
        gets the same number, which is somebody else's.
        """
        with self._lock:
            self._pumps -= 1
            if not self._pumps:
                for end in self._ends:
                    end.close()
