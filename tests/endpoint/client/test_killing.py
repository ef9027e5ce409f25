"""Tests of `rpcnb.endpoint.client.killing`: what a server's answer means to the session's calls."""

from __future__ import annotations

import threading

import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import OutcomeUnknown, SessionError, WorkerDied
from rpcnb.endpoint.client.connect import kill_worker
from rpcnb.endpoint.credentials import new_token, secret_of
from rpcnb.endpoint.greeting import KILL, claim, exchange, send_due
from rpcnb.transport import registry as transports
from rpcnb.wire.handshake import Agreement, Intent
from rpcnb.wire.server_handshake import ServerHandshake

TOKEN = new_token()
OURS = Agreement(bytes(16), 1, "", "lab", 1, Intent.NEW, resume_key=bytes(32))


@pytest.fixture
def answering():
    """Give a function that makes a server with one answer; returns how it is reached."""
    threads: list[threading.Thread] = []
    requests: list[Agreement] = []

    def answer(listener, text: str) -> None:
        with listener, listener.accept(5.0) as transport:
            handshake = ServerHandshake(secret_of(TOKEN))
            exchange(transport, handshake, "proved", Deadline.after(5.0))
            requests.append(handshake.request)
            handshake.accept(bytes(16), 0, text)
            send_due(transport, handshake)

    def start(text: str) -> str:
        listener = transports.listen("tcp://127.0.0.1:0")
        threads.append(threading.Thread(target=answer, args=(listener, text)))
        threads[-1].start()
        return listener.url

    start.requests = requests
    yield start
    for thread in threads:
        thread.join(5.0)


def test_the_client_says_whose_session_it_is_and_what_for(answering) -> None:
    url = answering('{"known": true, "code": -9, "killed": true}')
    told = kill_worker([url], secret_of(TOKEN), OURS)
    assert isinstance(told, WorkerDied)
    assert "on lab was killed, as its client asked for" in str(told)
    assert told.signal == 9
    (request,) = answering.requests
    assert request.intent is Intent.KILL
    assert request.session_name == claim(bytes(32), bytes(16), KILL)


def test_another_way_is_taken_where_the_first_is_gone(answering) -> None:
    ways = ["tcp://127.0.0.1:9", answering('{"known": true, "gateway": true}')]
    assert kill_worker(ways, secret_of(TOKEN), OURS) is None


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ('{"known": true, "obstacle": "a thread \\u001b[1m"}', SessionError, "lab: a thread"),
        ('{"known": true, "code": null}', SessionError, "has not ended yet; ask again"),
        ('{"known": true, "taken": true}', SessionError, "another client"),
        ("[]", OutcomeUnknown, "cannot be understood"),
        ("{", OutcomeUnknown, "cannot be understood"),
    ],
)
def test_what_did_not_happen_is_raised(answering, text, error, said) -> None:
    with pytest.raises(error, match=said) as caught:
        kill_worker([answering(text)], secret_of(TOKEN), OURS)
    assert "\x1b" not in str(caught.value)


def test_a_session_that_is_known_no_more_leaves_the_outcome_open(answering) -> None:
    told = kill_worker([answering('{"known": false}')], secret_of(TOKEN), OURS)
    assert isinstance(told, OutcomeUnknown)


def test_a_session_without_a_server_to_ask_says_so(served) -> None:
    with pytest.raises(SessionError, match="cannot be killed"):
        served.client.kill()
