from __future__ import annotations

import ast
import contextlib
import hmac
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.errors import (
    AuthenticationError,
    HandshakeError,
    LimitExceeded,
    LocalProtocolError,
    RemoteProtocolError,
)
from rpcnb.core.limits import Limits
from rpcnb.wire import handshake
from rpcnb.wire.handshake import MAGIC, Agreement, ClientHandshake, Intent, ServerHandshake

SECRET, OTHER = b"7" * 32, b"o" * 32
SESSION = bytes(range(16))


def client(secret=SECRET, *, nonce=b"c" * 32, **options) -> ClientHandshake:
    return ClientHandshake(secret, nonce=nonce, **options)


def server(secret=SECRET, name="lab", *, nonce=b"s" * 32, **options) -> ServerHandshake:
    return ServerHandshake(secret, name, nonce=nonce, **options)


def exchange(one: ClientHandshake, other: ServerHandshake, change=lambda _number, data: data):
    """Run a handshake; `change` sees and may replace each of the four messages on its way."""
    numbers = count()
    other.receive_data(change(next(numbers), one.data_to_send()))
    one.receive_data(change(next(numbers), other.data_to_send()))
    other.receive_data(change(next(numbers), one.data_to_send()))
    other.accept(SESSION, 3, "welcome")
    one.receive_data(change(next(numbers), other.data_to_send()))


def agreed(one: ClientHandshake, other: ServerHandshake, change) -> Agreement:
    """Return what the client agreed to; a message it still waits for is no agreement."""
    exchange(one, other, change)
    return one.result


def recorded(**options) -> list[bytes]:
    """Return the four messages of a handshake that succeeds."""
    messages = []
    exchange(client(**options), server(), lambda _number, data: messages.append(data) or data)
    return messages


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


def test_the_resume_key_is_new_for_each_session():
    keys = set()
    for _ in range(3):
        one, other = ClientHandshake(SECRET), ServerHandshake(SECRET)
        exchange(one, other)
        assert one.result.resume_key == other.result.resume_key
        keys.add(one.result.resume_key)
    assert len(keys) == 3


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


def test_what_follows_the_last_message_is_kept_for_the_frames():
    one, other = client(), server()
    exchange(one, other, lambda number, data: data + b"frames" if number == 3 else data)
    assert one.rest == b"frames"


def test_messages_are_as_short_as_documented():
    hello, answer, proof, ready = recorded(session_name="n" * 64)
    assert len(hello) <= 256
    assert len(answer) <= 256
    assert (len(proof), len(ready)) == (32, 21 + len("welcome") + 32)


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


# --- who does not know the secret ------------------------------------------------------------------


def test_a_client_tells_a_server_that_does_not_know_the_secret_nothing():
    one, other = client(SECRET), server(OTHER)
    other.receive_data(one.data_to_send())
    with pytest.raises(AuthenticationError, match="'lab', does not know this secret: wrong token"):
        one.receive_data(other.data_to_send())
    assert one.data_to_send() == b""


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


def test_a_recording_proves_nothing_to_a_server_with_a_fresh_nonce():
    hello, _, proof, _ = recorded()
    other = server(nonce=b"x" * 32)
    other.receive_data(hello)
    with pytest.raises(AuthenticationError):
        other.receive_data(proof)


def test_a_recording_proves_nothing_to_a_client_with_a_fresh_nonce():
    _, answer, _, _ = recorded()
    with pytest.raises(AuthenticationError):
        client(nonce=b"x" * 32).receive_data(answer)


def test_nonces_are_random_unless_given():
    hellos = {ClientHandshake(SECRET).data_to_send() for _ in range(5)}
    assert len(hellos) == 5


ORIGINAL = recorded(session_name="name")
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


def server_after(number: int) -> ServerHandshake:
    other = server()
    for data in ORIGINAL[0:number:2]:
        other.receive_data(data)
    return other


def client_after(number: int) -> ClientHandshake:
    one = client(session_name="name")
    for data in ORIGINAL[1:number:2]:
        one.receive_data(data)
    return one


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


def test_there_is_no_result_before_the_end():
    with pytest.raises(LocalProtocolError, match="not done"):
        _ = client_after(2).result


def test_the_end_after_the_agreement_is_no_error():
    one = client_after(4)
    one.receive_eof()
    assert one.done


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


def test_a_server_that_answers_in_another_version_is_refused():
    with pytest.raises(HandshakeError, match="version 9"):
        client().receive_data(MAGIC + b"\x09\x00")


@given(noise=st.binary(max_size=300), after=st.integers(0, 3))
def test_noise_never_gives_an_agreement(noise, after):
    for side in (server_after(after), client_after(after)):
        with contextlib.suppress(RemoteProtocolError, LocalProtocolError):
            side.receive_data(noise)
        assert not side.done


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
    tree = ast.parse(Path(handshake.__file__).read_text("utf-8"))
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
