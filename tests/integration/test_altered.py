"""Somebody on the network changes, leaves out or repeats one byte: no session has altered data.

6 places in the encrypted handshake and what follows by default; every night 1,560.
"""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress
from itertools import product
from typing import Self

import pytest

from rpcnb.core.errors import RpcnbError
from rpcnb.endpoint.client.connect import open_session
from rpcnb.transport.address import parse_address

REACH = 1300
"""Bytes of each direction that are tried: a handshake and the first calls."""
KINDS = ("flip", "drop", "repeat")
TIMEOUT = 1.0


class Meddler:
    """Passes bytes on, but for one, of its first connection."""

    def __init__(self, url: str) -> None:
        address = parse_address(url)
        self.target = "127.0.0.1", address.port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{address.port}", f":{self.listener.getsockname()[1]}")
        self.url = self.url.replace(address.host, "127.0.0.1")
        self.kind, self.at, self.direction = "", -1, 0
        self.done = threading.Event()
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
        self.kind, self.at, self.direction = kind, at, direction

    def _accept(self) -> None:
        with self.listener, suppress(OSError):
            while True:
                here, _ = self.listener.accept()
                there = socket.create_connection(self.target)
                plan, self.kind = (self.kind, self.at, self.direction), ""
                ways = (here, there), (there, here)
                carrying = [
                    threading.Thread(target=self._carry, args=(*way, number, plan))
                    for number, way in enumerate(ways)
                ]
                for thread in carrying:
                    thread.start()
                closing = threading.Thread(target=close_after, args=(carrying, here, there))
                closing.start()
                self.threads = [t for t in self.threads if t.is_alive()] + [closing]

    def _carry(self, source, target, number: int, plan: tuple[str, int, int]) -> None:
        kind, at, direction = plan
        passed = 0
        with suppress(OSError):
            while data := source.recv(65536):
                if kind and number == direction and passed <= at < passed + len(data):
                    data = meddled(data, kind, at - passed)
                passed += len(data)
                target.sendall(data)
        for sock in (source, target):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def close_after(threads, *socks) -> None:
    for thread in threads:
        thread.join()
    for sock in socks:
        sock.close()


def meddled(data: bytes, kind: str, at: int) -> bytes:
    byte = {"flip": bytes([data[at] ^ 0x10]), "drop": b"", "repeat": data[at : at + 1] * 2}[kind]
    return data[:at] + byte + data[at + 1 :]


def run(server, places) -> tuple[int, int]:
    """Try all of these; return how many clients were refused, and how many had a session."""
    refused = served = 0
    with Meddler(server.url) as meddler:
        for kind, at, direction in places:
            meddler.plan(kind, at, direction)
            try:
                with open_session(meddler.url, token=server.token, timeout=TIMEOUT) as session:
                    echo = session.get_function("t.echo")
                    for number in range(3):
                        text = f"{kind} {at} {direction} {number}"
                        assert session.call_func(echo, (text,)) == text
                    served += 1
            except RpcnbError:
                refused += 1
    return refused, served


def test_an_altered_byte_ends_a_connection_and_never_changes_data(start_server, eventually) -> None:
    numbers = random.Random(6)
    places = [(kind, numbers.randrange(REACH), d) for kind, d in product(KINDS, (0, 1))]
    with start_server(host="0.0.0.0") as server:
        refused, served = run(server, places)
        assert refused + served == 6
        assert refused > 0
        assert eventually(lambda: server.workers() == [], timeout=10.0)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_no_altered_byte_of_1560_changes_data(start_server, eventually) -> None:
    with start_server(host="0.0.0.0") as server:
        print(run(server, product(KINDS, range(0, REACH, 5), (0, 1))))
        assert eventually(lambda: server.workers() == [], timeout=10.0)
