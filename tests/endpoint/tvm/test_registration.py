"""Tests of `rpcnb.endpoint.tvm.registration` with a tracker of a few lines."""

from __future__ import annotations

import json
import threading
from collections import deque

import pytest

from rpcnb.core.errors import RpcnbError
from rpcnb.endpoint.tvm.registration import PATIENCE, Registration
from rpcnb.endpoint.tvm.tracker import MAGIC, PENDING_KEYS, PUT, UPDATE_INFO
from rpcnb.transport import registry as transports

QUICK = 0.01


class SmallTracker:
    """Knows which keys were offered to it; `give` hands one out."""

    def __init__(self) -> None:
        self._listener = transports.listen("tcp://127.0.0.1:0")
        self.address = ("127.0.0.1", int(self._listener.url.rpartition(":")[2]))
        self.offers: deque[list] = deque()
        self.infos: list[dict] = []
        self.transport = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                transport = self._listener.accept()
            except RpcnbError:
                return
            with transport:
                self.transport = transport
                try:
                    transport.send([self._read(4)])
                    while True:
                        length = int.from_bytes(self._read(4), "little")
                        self._answer(*json.loads(self._read(length)))
                except (RpcnbError, EOFError):
                    self.offers.clear()

    def _read(self, nbytes: int) -> bytes:
        data = b""
        while len(data) < nbytes:
            piece = memoryview(bytearray(nbytes - len(data)))
            count = self.transport.receive_into(piece)
            if not count:
                raise EOFError
            data += piece[:count]
        return data

    def _answer(self, code: int, *args: object) -> None:
        answer: object = 0
        if code == PUT:
            self.offers.append([args[0], *args[1], args[2]])
        elif code == UPDATE_INFO:
            self.infos.append(args[0])
        elif code == PENDING_KEYS:
            answer = [match_key for _, _, match_key, _ in self.offers]
        data = json.dumps(answer).encode()
        self.transport.send([len(data).to_bytes(4, "little") + data])

    def give(self) -> str:
        return self.offers.popleft()[2]

    def close(self) -> None:
        self._listener.close()
        if self.transport is not None:
            self.transport.close()
        self._thread.join(10)


@pytest.fixture
def tracker():
    tracker = SmallTracker()
    yield tracker
    tracker.close()


@pytest.fixture
def registration(tracker):
    registration = Registration(tracker.address, "board:1", 9190, period=QUICK)
    yield registration
    registration.close()


def test_a_free_server_is_offered_once(tracker, registration, eventually) -> None:
    assert eventually(lambda: tracker.offers)
    key, port, match_key, host = tracker.offers[0]
    assert (key, port, host) == ("board:1", 9190, "127.0.0.1")
    assert match_key.startswith("board:1:")
    assert tracker.infos == [{"key": "server:board:1", "addr": ["127.0.0.1", 9190]}]
    assert MAGIC == 0x0002F271


def test_who_has_the_key_is_let_in_once_and_the_next_gets_another(
    tracker, registration, eventually
) -> None:
    assert eventually(lambda: tracker.offers)
    first = tracker.give()
    assert not registration.admit("board:1")
    assert not registration.admit("ключ")
    assert registration.admit(first)
    assert not registration.admit(first)
    assert not tracker.offers
    registration.release()
    assert eventually(lambda: tracker.offers)
    assert tracker.give() != first


def test_a_key_that_nobody_comes_with_is_replaced(tracker, registration, eventually) -> None:
    assert eventually(lambda: tracker.offers)
    lost = tracker.give()
    assert PATIENCE > 1
    assert eventually(lambda: tracker.offers)
    assert not registration.admit(lost)
    assert registration.admit(tracker.give())


def test_a_tracker_that_comes_back_is_told_again(tracker, registration, eventually) -> None:
    assert eventually(lambda: tracker.offers)
    old = tracker.offers[0][2]
    tracker.transport.abort()
    assert eventually(lambda: len(tracker.infos) == 2 and tracker.offers)
    assert tracker.offers[0][2] != old
    assert not registration.admit(old)


def test_a_tracker_that_is_not_there_is_waited_for(caplog, eventually) -> None:
    registration = Registration(("127.0.0.1", 1), "k", 9190, period=QUICK)
    assert eventually(lambda: "trying on" in caplog.text)
    registration.close()
    registration.close()
    assert caplog.text.count("trying on") == 1
