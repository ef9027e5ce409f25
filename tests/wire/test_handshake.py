"""Both sides of a handshake: what they agree on, and what keeps them from it."""

from __future__ import annotations

import ast
import contextlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.errors import (
    AuthenticationError,
    HandshakeError,
    LocalProtocolError,
    RemoteProtocolError,
)
from rpcnb.wire import client_handshake, handshake, server_handshake
from rpcnb.wire.client_handshake import ClientHandshake
from rpcnb.wire.handshake import MAGIC, Agreement, Intent
from rpcnb.wire.server_handshake import ServerHandshake
from tests.wire.handshakes import (
    ORIGINAL,
    OTHER,
    SECRET,
    SESSION,
    agreed,
    client,
    client_after,
    exchange,
    recorded,
    server,
    server_after,
)

# --- agreement -------------------------------------------------------------------------------------


def test_both_sides_agree_on_everything():
    one, other = client(session_name="mnist é", intent=Intent.ATTACH), server()
    exchange(one, other)
    assert one.done
    assert other.done
    assert one.result == other.result
    assert one.result == Agreement(
        SESSION, 3, "mnist é", "lab", 1, Intent.ATTACH, "welcome", one.result.resume_key
    )
    assert (one.needed, other.needed) == (0, 0)


def test_the_resume_key_is_new_for_each_session():
    keys = set()
    for _ in range(3):
        one, other = ClientHandshake(SECRET), ServerHandshake(SECRET)
        exchange(one, other)
        assert one.result.resume_key == other.result.resume_key
        keys.add(one.result.resume_key)
    assert len(keys) == 3


def test_what_is_special_about_the_channel_is_part_of_what_is_proved():
    one, other = client(channel=b"this"), server(channel=b"that")
    other.receive_data(one.data_to_send())
    with pytest.raises(AuthenticationError):
        one.receive_data(other.data_to_send())
    exchange(client(channel=b"this"), server(channel=b"this"))


@given(cuts=st.lists(st.integers(1, 40), min_size=1))
def test_messages_may_come_in_any_pieces(cuts):
    one, other = client(), server()

    def deliver(data, to):
        sizes = iter(cuts * len(data))
        while data:
            size = next(sizes)
            to.receive_data(data[:size])
            data = data[size:]

    deliver(one.data_to_send(), other)
    deliver(other.data_to_send(), one)
    deliver(one.data_to_send(), other)
    other.accept(SESSION, 1)
    deliver(other.data_to_send(), one)
    assert one.result == other.result


def test_messages_are_as_short_as_documented():
    hello, answer, proof, ready = recorded(session_name="n" * 64)
    assert len(hello) <= 256
    assert len(answer) <= 256
    assert (len(proof), len(ready)) == (32, 21 + len("welcome") + 32)


# --- who does not know the secret ------------------------------------------------------------------


def test_a_proof_cannot_be_reflected():
    one = client()
    hello = one.data_to_send()
    with pytest.raises(RemoteProtocolError):
        one.receive_data(hello + bytes(64))
    other = server()
    other.receive_data(hello)
    proof = other.data_to_send()[-32:]
    with pytest.raises(AuthenticationError):
        other.receive_data(proof)


PLACES = [(number, at) for number, data in enumerate(ORIGINAL) for at in range(len(data))]


@pytest.mark.parametrize("bit", [0, 7])
def test_no_byte_may_change_on_its_way(bit):
    for number, at in PLACES:

        def change(n, data, number=number, at=at):
            damaged = bytearray(data)
            if n == number:
                damaged[at] ^= 1 << bit
            return bytes(damaged)

        one, other = client(session_name="name"), server()
        # A length that grew makes a side wait for more; then there is no agreement either.
        with pytest.raises((RemoteProtocolError, LocalProtocolError)):
            agreed(one, other, change)
        assert not one.done


@pytest.mark.parametrize("number", range(4))
def test_no_message_may_be_cut_short(number):
    for length in range(len(ORIGINAL[number])):
        one, other = client(session_name="name"), server()

        def change(n, data, length=length):
            return data[:length] if n == number else data

        with pytest.raises((RemoteProtocolError, LocalProtocolError)):
            agreed(one, other, change)
        assert not one.done
        with pytest.raises(HandshakeError, match="closed during"):
            one.receive_eof()


# --- every message in every state --------------------------------------------------------------------


# --- strangers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "greeting", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"SSH-2.0-", b"\x89PNG\r\n", b"\0"]
)
@pytest.mark.parametrize("make", [client, server])
def test_a_stranger_is_refused_at_the_first_wrong_byte_and_told_nothing(make, greeting):
    right = next(i for i, byte in enumerate(greeting) if byte != MAGIC[i])
    side = make()
    side.data_to_send()
    side.receive_data(greeting[:right])
    with pytest.raises(RemoteProtocolError, match="does not speak rpcnb"):
        side.receive_data(greeting[right : right + 1])
    assert side.data_to_send() == b""


def test_other_versions_are_named_on_both_sides():
    one, other = client(), server()
    hello = bytearray(one.data_to_send())
    hello[8:10] = b"\x07\x00"
    with pytest.raises(HandshakeError, match=r"speaks version 7 .* speaks version 1"):
        other.receive_data(hello)
    with pytest.raises(HandshakeError, match=r"speaks version 1 to 1 .* speaks version 1"):
        one.receive_data(other.data_to_send())


@given(noise=st.binary(max_size=300), after=st.integers(0, 3))
def test_noise_never_gives_an_agreement(noise, after):
    for side in (server_after(after), client_after(after)):
        with contextlib.suppress(RemoteProtocolError, LocalProtocolError):
            side.receive_data(noise)
        assert not side.done


# --- mistakes of this side, and the secret itself ----------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: client(b"short"), "too short"),
        (lambda: client(session_name="x" * 65), "at most 64"),
        (lambda: client(session_name="a\nb"), "printable"),
        (lambda: client(keyid=b"123456789"), "at most 8"),
        (lambda: client(session_id=b"1"), "has 16"),
        (lambda: client(nonce=b"1"), "32 bytes"),
        (lambda: server(name="é" * 33), "at most 64"),
        (lambda: server_after(3).accept(b"1", 1), "has 16"),
    ],
)
def test_a_mistake_is_an_error_here(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_the_secret_is_in_no_message_and_no_repr():
    assert all(SECRET[:8] not in data for data in recorded())
    one, other = client(), server()
    exchange(one, other)
    assert "resume_key" not in repr(one.result)
    assert SECRET.decode()[:8] not in f"{one!r}{other!r}{one.result!r}"


def test_proofs_are_compared_in_constant_time_only():
    files = (handshake, client_handshake, server_handshake)
    tree = ast.parse("\n".join(Path(one.__file__).read_text("utf-8") for one in files))
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and "_proof" in ast.unparse(node)
    ]
    compared = [
        ast.unparse(node)
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Compare) and "expected" in ast.unparse(node)
    ]
    assert compared == []
    assert ast.unparse(tree).count("hmac.compare_digest(") == 3


def test_a_server_refuses_a_client_that_does_not_know_the_secret():
    one, other = client(), server()
    other.receive_data(one.data_to_send())
    other.data_to_send()
    with pytest.raises(AuthenticationError, match="the client does not know"):
        other.receive_data(hmac.digest(OTHER, b"C" + bytes(32), "sha256"))
    assert not other.proved
    assert other.data_to_send() == b""
    with pytest.raises(LocalProtocolError):
        other.accept(SESSION, 1)


def test_a_recording_proves_nothing_to_a_server_with_a_fresh_nonce():
    hello, _, proof, _ = recorded()
    other = server(nonce=b"x" * 32)
    other.receive_data(hello)
    with pytest.raises(AuthenticationError):
        other.receive_data(proof)


@pytest.mark.parametrize("sent", range(4))
@pytest.mark.parametrize("received", [0, 1, 3])
def test_a_server_takes_only_the_message_it_waits_for(received, sent):
    other = server_after(received)
    legal = {0: 0, 1: 2}.get(received)
    if sent == legal:
        other.receive_data(ORIGINAL[sent])
        assert other.proved == (sent == 2)
    else:
        with pytest.raises(RemoteProtocolError):
            other.receive_data(ORIGINAL[sent] * 9)  # the first alone may only leave it waiting
        assert not other.done
