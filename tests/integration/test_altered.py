"""Somebody on the network changes, leaves out or repeats one byte: no session has altered data.

150 places in the encrypted handshake and what follows by default; every night each byte of the greeting
and of the first 4 KiB behind it. Where a byte is missing, both ends wait for it, rightly; so that a
night is long enough, whoever meddles then hangs up once nothing moves any more. Some places, 3 with each
commit, are waited for.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from typing import Self

import pytest

from rpcnb.core.errors import RpcnbError
from rpcnb.endpoint.client.connect import open_session
from rpcnb.transport.address import parse_address

KINDS = ("flip", "drop", "repeat")
GREETING = 460, 840
"""Bytes of each direction, of TLS and of ours: 453 and 836, or a few more (signatures vary)."""
BEHIND = 2048
"""Bytes of each direction after that: 4 KiB of both."""
TEXT = "x" * 900
TIMEOUT = 1.0
LULL = 0.15
"""Seconds without a byte after which whoever meddles hangs up."""
AT_ONCE, PARTS = 24, 12
"""Clients at once; and tests that share a night's places, so that none takes a minute."""


@dataclass
class Way:
    """Two sockets, and what passed between them."""

    here: socket.socket
    there: socket.socket
    plan: tuple[str, int, int]
    meddled: bool = False
    last: float = field(default_factory=time.monotonic)
    passed: list[int] = field(default_factory=lambda: [0, 0])

    def carry(self, direction: int) -> None:
        """Pass bytes on one way, and meddle with the one of the plan."""
        source, target = (self.here, self.there)[:: -1 if direction else 1]
        kind, at, where = self.plan
        with suppress(OSError):
            while data := source.recv(65536):
                passed = self.passed[direction]
                self.passed[direction] += len(data)
                if kind and direction == where and passed <= at < passed + len(data):
                    data = meddled(data, kind, at - passed)
                    self.meddled = True
                self.last = time.monotonic()
                target.sendall(data)
        self.hang_up()

    def hang_up(self) -> None:
        for sock in (self.here, self.there):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def run(self, patient: bool) -> None:
        """Carry both ways until the end, or until nothing moves any more."""
        carrying = [threading.Thread(target=self.carry, args=(way,)) for way in (0, 1)]
        for thread in carrying:
            thread.start()
        for thread in carrying:
            while not patient and thread.is_alive():
                thread.join(LULL / 3)
                if self.meddled and time.monotonic() - self.last > LULL:
                    self.hang_up()
            thread.join()
        self.here.close()
        self.there.close()


class Meddler:
    """Passes bytes on, but for one, of its first connection."""

    def __init__(self, url: str, *, patient: bool) -> None:
        address = parse_address(url)
        self.target = "127.0.0.1", address.port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{address.port}", f":{self.listener.getsockname()[1]}")
        self.url = self.url.replace(address.host, "127.0.0.1")
        self.planned = "", -1, 0
        self.patient = patient
        self.first = None
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()

    def plan(self, kind: str, at: int, direction: int) -> None:
        """Meddle with the next connection; none after that one."""
        self.planned, self.first = (kind, at, direction), None

    def _accept(self) -> None:
        with self.listener, suppress(OSError):
            while True:
                here, _ = self.listener.accept()
                there = socket.create_connection(self.target)
                for sock in (here, there):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                way = Way(here, there, self.planned)
                self.first, self.planned = self.first or way, ("", -1, 0)
                thread = threading.Thread(target=way.run, args=(self.patient,))
                thread.start()
                self.threads = [t for t in self.threads if t.is_alive()] + [thread]


def meddled(data: bytes, kind: str, at: int) -> bytes:
    byte = {"flip": bytes([data[at] ^ 0x10]), "drop": b"", "repeat": data[at : at + 1] * 2}[kind]
    return data[:at] + byte + data[at + 1 :]


def attempt(meddler: Meddler, token: str, place) -> str:
    """Try one place; return what became of the client."""
    meddler.plan(*place)
    try:
        with open_session(meddler.url, token=token, timeout=TIMEOUT) as session:
            echo = session.get_function("t.echo")
            for number in range(3):
                text = f"{place} {number} {TEXT}"
                assert session.call_func(echo, (text,)) == text
    except RpcnbError as error:
        return type(error).__name__
    return "served" if meddler.first.meddled else "not reached"


def run(server, places, *, patient: bool) -> Counter[str]:
    """Try all of these; return how often what became of a client."""
    with Meddler(server.url, patient=patient) as meddler:
        return Counter(attempt(meddler, server.token, place) for place in places)


def run_many(server, places) -> Counter[str]:
    """Try many at once, and hang up where a byte is waited for."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        shares = [places[start::AT_ONCE] for start in range(AT_ONCE)]
        running = [pool.submit(run, server, share, patient=False) for share in shares]
        return sum((future.result() for future in running), Counter())


def places() -> list[tuple[str, int, int]]:
    """Return each byte of both directions, in three ways, in random order."""
    found = [
        (kind, at, direction)
        for kind, (direction, nbytes) in product(KINDS, enumerate(GREETING))
        for at in range(nbytes + BEHIND)
    ]
    random.Random(6).shuffle(found)
    return found


def test_an_altered_byte_that_is_waited_for_never_changes_data(start_server, eventually) -> None:
    numbers = random.Random(6)
    few = [(kind, numbers.randrange(1300), numbers.randrange(2)) for kind in KINDS]
    with start_server(host="0.0.0.0") as server:
        ends = run(server, few, patient=True)
        assert ends.total() == 3
        assert ends["served"] < 3
        assert eventually(lambda: server.workers() == [], timeout=10.0)


def test_an_altered_byte_of_150_ends_a_connection_and_never_changes_data(
    start_server, eventually
) -> None:
    with start_server(host="0.0.0.0") as server:
        ends = run_many(server, places()[:150])
        assert ends.total() == 150
        assert ends["not reached"] == 0
        assert eventually(lambda: server.workers() == [], timeout=10.0)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_altered_byte_of_16_000_changes_data(start_server, eventually, part) -> None:
    mine = places()[part::PARTS]
    assert len(mine) * PARTS == 16_188
    with start_server(host="0.0.0.0") as server:
        waited = run(server, mine[:2], patient=True)
        ends = run_many(server, mine)
        print(ends.most_common(), waited.most_common())
        assert ends.total() == len(mine)
        assert ends["not reached"] == 0
        assert eventually(lambda: server.workers() == [], timeout=20.0)
