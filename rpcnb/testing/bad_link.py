"""`BadLink`: two hosts on this machine, and between them a network as bad as a test says.

Each host is a network namespace with a TUN device; what one sends is read here as packets of IP and
written to the other later, twice, or not at all. So the system's own TCP has to cope with it, which
it has not with `FaultProxy`. It takes Linux and the right to make namespaces (root).

::

    with BadLink(Quality(delay=0.02, loss=0.01)) as link:
        subprocess.run([*link.near, "ping", "-c1", link.far_address])
        link.quality = Quality(blocked="both")
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Literal, Self

TUN = Path("/dev/net/tun")
MOST_NBYTES = 65535
_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_ADDRESSES = "10.231.7.1", "10.231.7.2"


@dataclass(frozen=True, slots=True)
class Quality:
    """How a link is at the moment."""

    delay: float = 0.0
    """Seconds for one way."""
    jitter: float = 0.0
    """Most seconds more, by chance: packets overtake each other."""
    loss: float = 0.0
    """Share of packets that get lost."""
    twice: float = 0.0
    """Share of packets that arrive twice."""
    blocked: Literal["", "up", "down", "both"] = ""
    """Directions in which nothing arrives; ``up`` is from near to far."""


def obstacle() -> str:
    """Say why there can be no `BadLink` here; empty when there can be."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return "network namespaces take Linux and the program `ip` (iproute2)"
    if os.geteuid() != 0:
        return "network namespaces take root"
    if not TUN.exists():
        return f"{TUN} is missing"
    try:
        _ip("netns", "add", _name("try"))
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {error.stderr.decode().strip()}"
    _ip("netns", "delete", _name("try"))
    return ""


class BadLink:
    """The two hosts and the link, from the ``with`` block's begin to its end.

    Parameters
    ----------
    quality : Quality
        May be replaced at any time.
    mtu : int [bytes]
        Of both devices.
    seed : int
        Of what happens by chance.
    """

    def __init__(self, quality: Quality | None = None, *, mtu: int = 1500, seed: int = 0) -> None:
        self.quality = quality or Quality()
        self.near_address, self.far_address = _ADDRESSES
        self.packets = [0, 0]
        """Sent by near, sent by far."""
        self.lost = 0
        self._mtu = mtu
        self._numbers = random.Random(seed)  # noqa: S311 -- to be repeated, not to be secret
        self._names = _name("near"), _name("far")
        self._devices: list[int] = []
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="bad-link", daemon=True)
        self._due: list[tuple[float, int, int, bytes]] = []
        """When, which packet, where to, and the packet."""

    @property
    def near(self) -> list[str]:
        """What to put before a command that is to run on the near host."""
        return ["ip", "netns", "exec", self._names[0]]

    @property
    def far(self) -> list[str]:
        """The same for the far host."""
        return ["ip", "netns", "exec", self._names[1]]

    def __enter__(self) -> Self:
        try:
            for name, own, peer in zip(self._names, _ADDRESSES, reversed(_ADDRESSES), strict=True):
                _ip("netns", "add", name)
                self._devices.append(_open_device(name))
                _ip("-n", name, "addr", "add", own, "peer", peer, "dev", "tun0")
                _ip("-n", name, "link", "set", "tun0", "up", "mtu", str(self._mtu))
                _ip("-n", name, "link", "set", "lo", "up")
        except BaseException:
            self._remove()
            raise
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._waker.close()
        self._thread.join()
        self._remove()

    def _remove(self) -> None:
        for device in self._devices:
            os.close(device)
        for end in (self._wake, self._waker):
            end.close()
        for name in self._names:
            with suppress(subprocess.CalledProcessError):  # it was not made yet
                _ip("netns", "delete", name)

    def _run(self) -> None:
        sources: list[Any] = [*self._devices, self._wake]
        while True:
            patience = max(0.0, self._due[0][0] - monotonic()) if self._due else None
            ready, _, _ = select.select(sources, [], [], patience)
            if self._wake in ready:
                return
            for side, device in enumerate(self._devices):
                if device in ready:
                    self._take(side, os.read(device, MOST_NBYTES))
            self._deliver()

    def _take(self, side: int, packet: bytes) -> None:
        """Decide about a packet from the host `side`."""
        quality, chance = self.quality, self._numbers.random
        self.packets[side] += 1
        if quality.blocked in {"both", ("up", "down")[side]} or chance() < quality.loss:
            self.lost += 1
            return
        for _ in range(2 if chance() < quality.twice else 1):
            due = monotonic() + quality.delay + quality.jitter * chance()
            item = due, sum(self.packets) + len(self._due), self._devices[1 - side], packet
            heapq.heappush(self._due, item)

    def _deliver(self) -> None:
        now = monotonic()
        while self._due and self._due[0][0] <= now:
            _, _, device, packet = heapq.heappop(self._due)
            with suppress(OSError):  # the host's own queue is full: lost, as in any network
                os.write(device, packet)


def _name(host: str) -> str:
    return f"rpcnb-{os.getpid()}-{host}"


def _ip(*arguments: str) -> None:
    program = shutil.which("ip") or "/sbin/ip"
    subprocess.run([program, *arguments], check=True, capture_output=True)  # noqa: S603 -- a test's


def _open_device(namespace: str) -> int:
    """Make a TUN device in a namespace; return what its packets are read from and written to."""
    made: list[int | OSError] = []

    def make() -> None:  # on a thread of its own: a namespace is entered by threads
        try:
            with Path("/run/netns", namespace).open("rb") as place:
                if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "cannot enter the namespace")  # noqa: TRY301
            device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", b"tun0", _IFF_TUN_NO_PI))
            made.append(device)
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]
