"""Tests of `rpcnb.endpoint.recovery`: what is tried, for how long, and what is told."""

from __future__ import annotations

import threading

import pytest

from rpcnb.core.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionClosed,
    HandshakeError,
    OutcomeUnknown,
    SessionTaken,
    WorkerDied,
)
from rpcnb.core.events import SessionState
from rpcnb.endpoint import recovery
from rpcnb.endpoint.recovery import Comeback, Grace

SOON = 5.0


class Ended:
    """A connection that takes note of how it is ended, and where it went on."""

    def __init__(self) -> None:
        self.reasons: list[Exception] = []
        self.went_on: list[tuple[object, int]] = []
        self.settled = threading.Event()

    def end(self, error: Exception) -> None:
        self.reasons.append(error)
        self.settled.set()

    def go_on(self, transport, epoch, deadline) -> None:
        self.went_on.append((transport, epoch))
        self.settled.set()


@pytest.fixture
def states() -> list[tuple[SessionState, str]]:
    return []


@pytest.fixture
def come_back(states):
    """Give a function that loses a connection whose attempts end as listed, and waits."""

    def come_back(*outcomes) -> Ended:
        connection, left = Ended(), list(outcomes)

        def reach():
            outcome = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        back = Comeback(connection, reach, lambda *what: states.append(what))
        back.begin(ConnectionClosed("cut"))
        assert connection.settled.wait(SOON)
        return connection

    return come_back


def test_it_tries_until_the_session_is_reached(come_back, states) -> None:
    failures = ConnectionClosed("no"), HandshakeError("busy"), OSError("no descriptors")
    connection = come_back(*failures, ("transport", 4))
    assert connection.went_on == [("transport", 4)]
    assert connection.reasons == []
    assert states == [(SessionState.DETACHED, "cut")]


@pytest.mark.parametrize(
    "fate", [WorkerDied("x", signal=9), SessionTaken("x"), OutcomeUnknown("x")]
)
def test_it_stops_when_there_is_nothing_to_come_back_to(come_back, fate) -> None:
    assert come_back(ConnectionClosed("no"), fate).reasons == [fate]


def test_a_server_that_knows_the_secret_no_more_is_not_asked_again(come_back) -> None:
    (reason,) = come_back(AuthenticationError("wrong token")).reasons
    assert isinstance(reason, OutcomeUnknown)
    assert "cut" in str(reason)
    assert "wrong token" in str(reason)


@pytest.mark.parametrize(
    ("limit", "failure"),
    [("RESTART_PATIENCE", ConnectError("nobody")), ("PATIENCE", ConnectionClosed("no network"))],
)
def test_patience_ends(come_back, monkeypatch, limit, failure) -> None:
    monkeypatch.setattr(recovery, limit, 0.1)
    (reason,) = come_back(failure).reasons
    assert isinstance(reason, OutcomeUnknown)
    assert str(failure) in str(reason)


def test_it_can_be_stopped_and_told_that_all_is_well(states) -> None:
    connection, tried = Ended(), threading.Event()

    def reach():
        tried.set()
        raise ConnectionClosed("no")

    back = Comeback(connection, reach, lambda *what: states.append(what))
    back.begin(ConnectionClosed("cut"))
    assert tried.wait(SOON)
    back.over()
    assert states[-1] == (SessionState.LIVE, "")
    back.stop()
    assert connection.reasons == []


def test_a_session_is_kept_for_its_grace_and_no_longer() -> None:
    connection, away = Ended(), []
    grace = Grace(connection, 0.05, away.append)
    grace.begin(ConnectionClosed("cut"))
    assert connection.settled.wait(SOON)
    assert "gone for 0.05 s" in str(connection.reasons[0])


def test_a_peer_that_is_back_stops_the_clock() -> None:
    connection, away = Ended(), []
    grace = Grace(connection, 0.1, away.append)
    grace.begin(ConnectionClosed("cut"))
    grace.over()
    assert not connection.settled.wait(0.2)
    assert away == [True, False]
    grace.stop()
