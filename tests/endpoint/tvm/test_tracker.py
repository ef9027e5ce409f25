"""Tests of `rpcnb.endpoint.tvm.tracker` against a tracker that says what it should not."""

from __future__ import annotations

import json
import threading

import pytest

from rpcnb.core.errors import (
    ConnectionClosed,
    HandshakeError,
    RemoteProtocolError,
    SessionError,
    TransportTimeout,
)
from rpcnb.endpoint.tvm.tracker import MAGIC, Tracker
from rpcnb.transport import registry as transports

HELLO = MAGIC.to_bytes(4, "little")


@pytest.fixture
def tracker_saying():
    """Give a function: answers to send, one for each message -> the port they are sent from."""
    threads, listeners = [], []

    def start(*answers: bytes) -> int:
        listener = transports.listen("tcp://127.0.0.1:0")
        listeners.append(listener)

        def serve() -> None:
            with listener.accept(10) as transport:
                for answer in answers:
                    transport.receive_into(memoryview(bytearray(1000)))
                    transport.send([answer])
                if len(answers) > 1:
                    transport.receive_into(memoryview(bytearray(1000)))

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return int(listener.url.rpartition(":")[2])

    yield start
    for thread, listener in zip(threads, listeners, strict=True):
        thread.join(10)
        listener.close()


def framed(value: object) -> bytes:
    data = json.dumps(value).encode()
    return len(data).to_bytes(4, "little") + data


def test_a_free_server_is_named(tracker_saying) -> None:
    port = tracker_saying(HELLO, framed([0, ["h", 9091, "k:0.5"]]))
    with Tracker("127.0.0.1", port) as tracker:
        assert tracker.request("k") == ("h", 9091, "k:0.5")
        assert repr(tracker) == f"<rpcnb.tvm.Tracker tcp://127.0.0.1:{port}>"


def test_a_summary_is_a_dict(tracker_saying) -> None:
    summary = {"queue_info": {"k": {"free": 1, "pending": 0}}, "server_info": []}
    with Tracker("127.0.0.1", tracker_saying(HELLO, framed([0, summary]))) as tracker:
        assert tracker.summary() == summary


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (framed([0, "no dict"]), RemoteProtocolError),
        (framed([1, "no"]), SessionError),
        (framed(-1), SessionError),
        (b"\x03\0\0\0{x}", RemoteProtocolError),
        (b"\xff\xff\xff\x7f", RemoteProtocolError),
        (b"\0\0\0\0", RemoteProtocolError),
    ],
)
def test_an_answer_that_is_none_is_an_error(tracker_saying, answer, error) -> None:
    with Tracker("127.0.0.1", tracker_saying(HELLO, answer)) as tracker, pytest.raises(error):
        tracker.summary()


def test_an_offer_without_an_address_is_an_error(tracker_saying) -> None:
    with (
        Tracker("127.0.0.1", tracker_saying(HELLO, framed([0, ["h"]]))) as tracker,
        pytest.raises(RemoteProtocolError, match="without an address"),
    ):
        tracker.request("k")


def test_a_silent_tracker_is_given_up(tracker_saying) -> None:
    with Tracker("127.0.0.1", tracker_saying(HELLO, b"")) as tracker:
        with pytest.raises(TransportTimeout, match="no server with the key 'k'"):
            tracker.request("k", timeout=0.05)
        with pytest.raises(ConnectionClosed):
            tracker.summary()


def test_what_is_no_tracker_is_told(tracker_saying) -> None:
    with pytest.raises(HandshakeError, match="no TVM tracker"):
        Tracker("127.0.0.1", tracker_saying(b"HTTP/1.1"))


def test_a_tracker_that_hangs_up_is_told(tracker_saying) -> None:
    with (
        Tracker("127.0.0.1", tracker_saying(HELLO)) as tracker,
        pytest.raises((ConnectionClosed, BrokenPipeError)),
    ):
        tracker.summary()
