"""What the connecting side takes, refuses and tells."""

from __future__ import annotations

import pytest

from rpcnb.core.errors import (
    AuthenticationError,
    HandshakeError,
    LocalProtocolError,
    RemoteProtocolError,
)
from rpcnb.wire.client_handshake import ClientHandshake
from rpcnb.wire.handshake import MAGIC
from tests.wire.handshakes import (
    ORIGINAL,
    OTHER,
    SECRET,
    SESSION,
    client,
    client_after,
    exchange,
    recorded,
    server,
)


def test_what_follows_the_last_message_is_kept_for_the_frames():
    one, other = client(), server()
    exchange(one, other, lambda number, data: data + b"frames" if number == 3 else data)
    assert one.rest == b"frames"


def test_a_refusal_reaches_the_client_in_words():
    one, other = client(), server()
    other.receive_data(one.data_to_send())
    one.receive_data(other.data_to_send())
    other.receive_data(one.data_to_send())
    other.refuse("256 sessions are open, the limit \x1b[31m")
    with pytest.raises(HandshakeError, match="'lab' refused: 256 sessions are open, the limit �"):
        one.receive_data(other.data_to_send())
    assert not one.done
    with pytest.raises(LocalProtocolError):
        other.accept(SESSION, 1)


def test_a_client_tells_a_server_that_does_not_know_the_secret_nothing():
    one, other = client(SECRET), server(OTHER)
    other.receive_data(one.data_to_send())
    with pytest.raises(AuthenticationError, match="'lab', does not know this secret: wrong token"):
        one.receive_data(other.data_to_send())
    assert one.data_to_send() == b""


def test_a_recording_proves_nothing_to_a_client_with_a_fresh_nonce():
    _, answer, _, _ = recorded()
    with pytest.raises(AuthenticationError):
        client(nonce=b"x" * 32).receive_data(answer)


def test_nonces_are_random_unless_given():
    hellos = {ClientHandshake(SECRET).data_to_send() for _ in range(5)}
    assert len(hellos) == 5


@pytest.mark.parametrize("sent", range(4))
@pytest.mark.parametrize("received", [0, 2, 4])
def test_a_client_takes_only_the_message_it_waits_for(received, sent):
    one = client_after(received)
    legal = {0: 1, 2: 3}.get(received)
    if sent == legal:
        one.receive_data(ORIGINAL[sent])
        assert one.done == (sent == 3)
    else:
        with pytest.raises((RemoteProtocolError, LocalProtocolError)):
            one.receive_data(ORIGINAL[sent] * 9)
        assert one.done == (received == 4)


def test_there_is_no_result_before_the_end():
    with pytest.raises(LocalProtocolError, match="not done"):
        _ = client_after(2).result


def test_the_end_after_the_agreement_is_no_error():
    one = client_after(4)
    one.receive_eof()
    assert one.done


def test_a_server_that_answers_in_another_version_is_refused():
    with pytest.raises(HandshakeError, match="version 9"):
        client().receive_data(MAGIC + b"\x09\x00")
