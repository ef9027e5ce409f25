"""Everything that can be done with recorded and altered greetings, case by case: nobody gets in.

Each case is one attempt against the parser of one side; the numbers of cases are asserted. And from
how long an answer takes nobody learns what was wrong: Welch's t of two classes of attempts in random
order, less the slowest tenth, which is where the machine's own business lies (Reparaz and others,
"Dude, is my code constant time?", 2017).
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import struct
import time
from contextlib import suppress
from itertools import permutations, product

import pytest

from rpcnb.core.errors import AuthenticationError, LocalProtocolError, RemoteProtocolError
from rpcnb.endpoint.credentials import keyid_of
from rpcnb.endpoint.serving.keyring import Keyring
from rpcnb.endpoint.share_links import derived
from rpcnb.testing.strategies import EXAMPLES
from rpcnb.wire import messages as m
from rpcnb.wire.client_handshake import ClientHandshake
from rpcnb.wire.handshake import Intent
from rpcnb.wire.server_handshake import ServerHandshake
from rpcnb.wire.v1 import WireV1

SECRET, OTHER = bytes(range(32)), bytes(range(32, 64))
KEYID = keyid_of(SECRET).encode()
RING = Keyring(SECRET, OTHER)
REFUSED = (RemoteProtocolError, LocalProtocolError)

CLIENTS = {
    "usual": {},
    "named": {"session_name": "mine"},
    "key": {"keyid": KEYID},
    "link": {"keyid": KEYID, "caveats": "role=reader", "secret": derived(SECRET, "role=reader")},
    "back": {"intent": Intent.ATTACH, "session_id": b"s" * 16, "epoch": 3},
    "asking": {"intent": Intent.ASK, "session_id": b"s" * 16},
    "control": {"intent": Intent.CONTROL, "session_name": "rotate"},
    "admin": {"keyid": keyid_of(OTHER).encode(), "secret": OTHER, "intent": Intent.CONTROL},
    "encrypted": {"channel": b"a certificate"},
    "stranger": {"secret": b"x" * 32},
}


def client(*, secret=SECRET, **options) -> ClientHandshake:
    return ClientHandshake(secret, **options)


def server(**options) -> ServerHandshake:
    return ServerHandshake(RING.find, "lab", **options)


def recorded(options) -> list[bytes]:
    """Return what both sides said; of who is not let in, what there is."""
    one, other = client(**options), server(channel=options.get("channel", b""))
    said = [one.data_to_send()]
    other.receive_data(said[0])
    said.append(other.data_to_send())
    with suppress(AuthenticationError):
        one.receive_data(said[1])
        said.append(one.data_to_send())
        other.receive_data(said[2])
        other.accept(b"s" * 16, 3)
        said.append(other.data_to_send())
    return said


RECORDINGS = {name: recorded(options) for name, options in CLIENTS.items()}
MESSAGES = [message for said in RECORDINGS.values() for message in said]


def test_there_are_38_recorded_messages() -> None:
    assert len(MESSAGES) == len(set(MESSAGES)) == 9 * 4 + 2


def hears(side, *messages) -> bool:
    """Tell whether a side is satisfied with what it hears."""
    with suppress(*REFUSED):
        for message in messages:
            side.receive_data(message)
    return side.proved if isinstance(side, ServerHandshake) else side.done


def test_no_two_recorded_messages_let_anybody_in() -> None:
    attempts = [hears(server(), *pair) for pair in product(MESSAGES, repeat=2)]
    assert (len(attempts), sum(attempts)) == (1444, 0)


def test_no_two_recorded_messages_are_taken_for_the_server() -> None:
    attempts = [hears(client(), *pair) for pair in product(MESSAGES, repeat=2)]
    assert (len(attempts), sum(attempts)) == (1444, 0)


def test_no_order_of_a_whole_recording_does() -> None:
    orders = [order for said in RECORDINGS.values() for order in permutations(said)]
    attempts = [hears(side(), *order) for side in (server, client) for order in orders]
    assert (len(attempts), sum(attempts)) == (2 * (9 * 24 + 2), 0)


def states() -> list[ServerHandshake | ClientHandshake]:
    """Return each side in each state of a greeting, and what it said itself last."""
    one, other = client(), server()
    found = [(client(), b""), (server(), b"")]
    hello = one.data_to_send()
    other.receive_data(hello)
    found += [(one, hello), (other, other.data_to_send())]
    third, fourth = client(), server()
    fourth.receive_data(third.data_to_send())
    third.receive_data(fourth.data_to_send())
    found.append((third, third.data_to_send()))
    return found


def test_nothing_is_taken_back_by_who_said_it() -> None:
    attempts = [
        hears(side, said[cut:])
        for at in range(5)
        for side, said in [states()[at]]
        for cut in (0, 42)
    ]
    assert (len(attempts), sum(attempts)) == (10, 0)


def test_no_frame_is_taken_before_the_proof() -> None:
    attempts = []
    for kind, at in product(m.Kind, range(5)):
        side, _ = states()[at]
        sends = m.Side.SERVER if isinstance(side, ClientHandshake) else m.Side.CLIENT
        protocol = WireV1(sends)
        with suppress(LocalProtocolError, KeyError):  # one that only the other side sends
            parts = protocol.frame(protocol.prepare(EXAMPLES[kind]))
            attempts.append(hears(side, b"".join(map(bytes, parts)) * 9))
    assert (len(attempts), sum(attempts)) == (64, 0)


def meets(one: ClientHandshake, other: ServerHandshake, change=lambda data: data) -> bool:
    """Tell whether both are satisfied, where `change` sees the client's hello on its way."""
    with suppress(*REFUSED):
        other.receive_data(change(one.data_to_send()))
        one.receive_data(other.data_to_send())
        other.receive_data(one.data_to_send())
    return other.proved


def test_who_meets_no_obstacle_gets_in() -> None:
    assert all(
        meets(client(**options), server(channel=options.get("channel", b"")))
        == (name != "stranger")
        for name, options in CLIENTS.items()
    )


CAVEATS = [
    *(f"role={role}" for role in ("inspector", "reader", "executor", "exec")),
    *("functions=stats.*", "expires=1", "role=reader;expires=99", "role=inspector;role=executor"),
]


def saying(own: str, said: str):
    """Return what puts other caveats into a hello on its way; they stand at its end."""
    return lambda data: data[: -2 - len(own)] + struct.pack("<H", len(said)) + said.encode()


def test_no_link_is_worth_more_than_it_says() -> None:
    """For each pair of links: the holder of one says the other, or somebody on the way does."""
    attempts = []
    for own, said in product(CAVEATS, ["", *CAVEATS]):
        if own != said:
            one = client(secret=derived(SECRET, own), keyid=KEYID, caveats=said)
            attempts.append(meets(one, server()))
    for own, said in permutations(CAVEATS, 2):
        one = client(secret=derived(SECRET, own), keyid=KEYID, caveats=own)
        attempts.append(meets(one, server(), saying(own, said)))
    assert (len(attempts), sum(attempts)) == (64 + 56, 0)


def test_no_other_key_is_as_good() -> None:
    keys = [*(bytes([n]) * 8 for n in range(1, 60)), keyid_of(OTHER).encode(), KEYID[::-1]]
    attempts = [meets(client(keyid=keyid), server()) for keyid in keys]
    attempts += [meets(client(secret=OTHER, keyid=k), server()) for k in (KEYID, bytes(8), b"a")]
    assert (len(attempts), sum(attempts)) == (64, 0)


def test_no_other_certificate_is_as_good() -> None:
    channels = [bytes([n]) * 32 for n in range(8)]
    attempts = [
        meets(client(channel=here), server(channel=there))
        for here, there in permutations([b"", *channels], 2)
    ]
    assert (len(attempts), sum(attempts)) == (72, 0)


def test_a_proof_for_one_exchange_is_none_for_another_at_the_same_time() -> None:
    attempts = []
    for _ in range(32):
        one, first, second = client(), server(), server()
        hello = one.data_to_send()
        first.receive_data(hello)
        second.receive_data(hello)  # the client's nonce twice
        one.receive_data(first.data_to_send())
        proof = one.data_to_send()
        attempts.append(hears(second, proof))
        assert hears(first, proof)
    assert (len(attempts), sum(attempts)) == (32, 0)


# --- how long it takes ----------------------------------------------------------------------------

TIMES = 10_000
"""Of each class."""
CERTAIN = 4.5
"""A t beyond which two classes are no longer taken for one."""
LEAST = 100
"""Nanoseconds. Which branch of an expression Python took is 20 of 12,000, and seen by t on a quiet machine;
an HMAC is 1,000, one byte compared in a loop 30, and the noise of any network much more."""


def seconds_of(prepare, classes) -> list[list[float]]:
    """Return how long each class of attempts took, tried in random order."""
    order = random.Random(5).choices(range(len(classes)), k=TIMES * len(classes))
    taken: list[list[float]] = [[] for _ in classes]
    gc.collect()
    gc.disable()
    try:
        for number in order:
            side = prepare()
            data = classes[number]
            began = time.perf_counter_ns()
            with suppress(AuthenticationError):
                side.receive_data(data)
            taken[number].append(time.perf_counter_ns() - began)
    finally:
        gc.enable()
    return taken


def differ(prepare, classes) -> bool:
    """Tell whether two classes take different times, three times out of three."""
    return all(certainly_apart(*seconds_of(prepare, classes)) for _ in range(3))


def certainly_apart(one: list[float], other: list[float]) -> bool:
    """Tell whether Welch's t says so, without the slowest tenth of both together."""
    most = statistics.quantiles(one + other, n=10)[-1]
    kept = [[taken for taken in times if taken <= most] for times in (one, other)]
    error = math.sqrt(sum(statistics.variance(times) / len(times) for times in kept))
    apart = abs(statistics.fmean(kept[0]) - statistics.fmean(kept[1]))
    return apart > CERTAIN * error and apart > LEAST


def before_the_proof() -> ServerHandshake:
    side = ServerHandshake(SECRET, nonce=b"s" * 32)
    side.receive_data(client(nonce=b"c" * 32).data_to_send())
    side.data_to_send()
    return side


def right_proof() -> bytes:
    one, other = client(nonce=b"c" * 32), ServerHandshake(SECRET, nonce=b"s" * 32)
    other.receive_data(one.data_to_send())
    one.receive_data(other.data_to_send())
    return one.data_to_send()


@pytest.mark.untraced
def test_a_proof_that_begins_right_takes_as_long_as_any() -> None:
    right = right_proof()
    assert hears(before_the_proof(), right)
    nearly, not_at_all = right[:31] + bytes([right[31] ^ 1]), bytes(byte ^ 0xFF for byte in right)
    assert not differ(before_the_proof, [nearly, not_at_all])


@pytest.mark.untraced
@pytest.mark.parametrize("caveats", ["", "role=reader;functions=stats.*;expires=99"])
def test_a_key_that_is_known_takes_as_long_as_any(caveats) -> None:
    known, unknown = (
        client(keyid=keyid, caveats=caveats, nonce=b"c" * 32).data_to_send()
        for keyid in (KEYID, KEYID[::-1])
    )
    assert not differ(server, [known, unknown])


@pytest.mark.untraced
def test_a_difference_would_be_seen() -> None:
    """As much as one HMAC, which is what looking a link's key up takes."""

    class Careless:
        def receive_data(self, data: bytes) -> None:
            if data == b"known":
                derived(SECRET, "role=reader")

    assert differ(Careless, [b"known", b"other"])
