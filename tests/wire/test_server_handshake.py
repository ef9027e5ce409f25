"""What the side that is connected to takes, refuses and tells."""

from __future__ import annotations

import pytest

from rpcnb.core.errors import (
    AuthenticationError,
    HandshakeError,
    LimitExceeded,
    LocalProtocolError,
    RemoteProtocolError,
)
from rpcnb.core.limits import Limits
from rpcnb.wire.handshake import Agreement, Intent
from tests.wire.handshakes import (
    ORIGINAL,
    OTHER,
    SECRET,
    SESSION,
    client,
    exchange,
    server,
    server_after,
)


def test_the_server_learns_what_is_asked_for_once_it_is_proved():
    one = client(session_name="mine", session_id=SESSION, epoch=7, intent=Intent.ASK)
    other = server()
    other.receive_data(one.data_to_send())
    with pytest.raises(LocalProtocolError):
        _ = other.request
    one.receive_data(other.data_to_send())
    other.receive_data(one.data_to_send())
    assert other.proved
    assert not other.done
    asked = Agreement(SESSION, 7, "mine", "lab", 1, Intent.ASK, keyid=bytes(8))
    assert other.request == asked


def test_a_secret_is_found_by_its_key_id():
    asked = []

    def find(keyid, caveats):
        asked.append((keyid, caveats))
        return SECRET

    exchange(client(keyid=b"laptop", caveats="role=reader"), server(find))
    assert asked == [(b"laptop\0\0", "role=reader")]


def test_caveats_reach_the_server_and_are_part_of_what_is_proved():
    one, other = client(caveats="role=reader"), server()
    hello = one.data_to_send()
    other.receive_data(hello.replace(b"reader", b"author"))
    with pytest.raises(AuthenticationError):
        one.receive_data(other.data_to_send())
    one, other = client(caveats="role=reader"), server()
    other.receive_data(one.data_to_send())
    one.receive_data(other.data_to_send())
    other.receive_data(one.data_to_send())
    assert other.request.caveats == "role=reader"


def test_caveats_have_a_largest_size_and_are_ascii():
    hello = client(caveats="x" * 512).data_to_send()
    server().receive_data(hello)
    with pytest.raises(LimitExceeded, match="caveats"):
        server().receive_data(hello.replace(b"\0\2xxx", b"\1\2xxx"))
    with pytest.raises(HandshakeError, match="no text"):
        server().receive_data(hello.replace(b"xxx", b"x\xffx"))
    with pytest.raises(ValueError, match="at most"):
        client(caveats="x" * 513)


def test_an_unknown_key_id_looks_like_a_wrong_secret():
    known, unknown = server(OTHER), server(lambda keyid, caveats: None)
    hello = client().data_to_send()
    known.receive_data(hello)
    unknown.receive_data(hello)
    answers = known.data_to_send(), unknown.data_to_send()
    assert len(answers[0]) == len(answers[1])
    assert answers[0][:-32] == answers[1][:-32]
    with pytest.raises(AuthenticationError, match="the client does not know"):
        unknown.receive_data(bytes(32))


def test_nothing_may_follow_a_proof_before_the_answer():
    other = server_after(1)
    with pytest.raises(RemoteProtocolError, match="bytes where none were expected"):
        other.receive_data(ORIGINAL[2] + b"x")


def test_a_client_is_answered_once():
    other = server_after(3)
    other.accept(SESSION, 1)
    for again in (lambda: other.accept(SESSION, 1), lambda: other.refuse("no")):
        with pytest.raises(LocalProtocolError):
            again()
    with pytest.raises(LocalProtocolError, match="over"):
        other.receive_data(b"")


@pytest.mark.parametrize("length_at", [67, 68])
def test_a_name_that_is_too_long_is_refused_at_its_announcement(length_at):
    hello = bytearray(client().data_to_send())
    assert len(hello) == 72
    hello[69] = 65
    with pytest.raises(LimitExceeded, match="name"):
        server().receive_data(hello)


def test_an_unknown_intent_is_refused():
    hello = bytearray(client().data_to_send())
    hello[10] = 9
    with pytest.raises(HandshakeError, match="intent 9"):
        server().receive_data(hello)


def test_bytes_before_the_proof_are_limited():
    other = server(limits=Limits(preauth_bytes=100))
    other.receive_data(client().data_to_send())
    with pytest.raises(LimitExceeded, match="handshake of 104"):
        other.receive_data(bytes(32))
