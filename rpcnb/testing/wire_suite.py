"""The contract of `rpcnb.wire.base`, as tests.

::

    class TestMine(WireSuite):
        def make(self, side):
            return MyProtocol(side)      # fresh, in state OPEN
"""

from __future__ import annotations

import random
import tracemalloc
from itertools import pairwise, product
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from rpcnb.core.errors import EncodeError, LocalProtocolError, ProtocolError, RemoteProtocolError
from rpcnb.core.limits import DEFAULT_LIMITS, MIB
from rpcnb.testing.strategies import EXAMPLES, messages, same
from rpcnb.wire.base import State, WireProtocol
from rpcnb.wire.messages import KIND_OF, CallFunc, CopyToRemote, Goodbye, Kind, Message, Ping, Side
from rpcnb.wire.state import CLIENT_SENDS, SERVER_SENDS, TRANSITIONS, Direction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# A suite's tests run in several classes, which is what the health check warns of.
_FEW = settings(max_examples=60, suppress_health_check=list(HealthCheck))
_MANY = settings(max_examples=300, suppress_health_check=list(HealthCheck))

CELLS = list(product(Side, State, Kind))
SIZES = (1, 2, 3, 35, 36, 37, 1000, 70_000)


def to_bytes(sender: WireProtocol, sent: Sequence[Message]) -> list[bytes]:
    """Return one frame per message."""
    return [b"".join(map(bytes, sender.frame(sender.prepare(message)))) for message in sent]


def feed(receiver: WireProtocol, pieces: Iterator[bytes] | list[bytes]) -> list[Message]:
    """Return what a receiver makes of a stream in these pieces."""
    return [message for piece in pieces for message in receiver.receive_data(piece)]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return `data` in pieces, cut at `places` (any ints)."""
    inner = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in pairwise([0, *inner, len(data)])]


def malformed_streams(
    make: Callable[[Side], WireProtocol], to: Side, amount: int, seed: int = 0
) -> Iterator[bytes]:
    """Yield `amount` damaged streams for a receiver of side `to`, the same ones for a seed.

    Each is a few legal messages with one or more flips, cuts, insertions, repetitions, swaps or
    overwritten length fields.
    """
    rng = random.Random(seed)  # noqa: S311 -- repeatable, not secret
    sends = SERVER_SENDS if to is Side.CLIENT else CLIENT_SENDS
    sender = Side.SERVER if to is Side.CLIENT else Side.CLIENT
    for _ in range(amount):
        kinds = rng.choices(sorted(sends), k=rng.randint(1, 4))
        frames = to_bytes(make(sender), [EXAMPLES[kind] for kind in kinds])
        if rng.random() < 0.2:
            rng.shuffle(frames)
        data = bytearray(b"".join(frames))
        for _ in range(rng.randint(1, 3)):
            rng.choice(_DAMAGES)(data, rng)
        yield bytes(data)


def _flip(data: bytearray, rng: random.Random) -> None:
    if data:
        # Mostly where the structure is: payloads are long, and any byte of them is as good.
        data[rng.randrange(min(len(data), rng.choice([36, 80, 10**6])))] ^= 1 << rng.randrange(8)


def _cut(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice([1, 8, 36, 10**6])]


def _insert(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data) + 1)
    data[place:place] = rng.randbytes(rng.choice([1, 8, 36]))


def _repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    piece = data[start : start + rng.choice([1, 36, 100])]
    place = rng.randrange(len(data) + 1)
    data[place:place] = piece


def _lie(data: bytearray, rng: random.Random) -> None:
    if len(data) >= 36:
        place = rng.choice([4, 8, 16, 24, 32])
        data[place : place + 4] = rng.choice(
            [b"\xff" * 4, bytes(4), rng.randbytes(4), b"\x00\x00\x01\x00"]
        )


_DAMAGES = (_flip, _flip, _cut, _insert, _repeat, _lie)


class WireSuite:
    """Subclass it, with `make`."""

    MALFORMED: ClassVar[int] = 4000
    """Damaged streams for each side."""

    def make(self, side: Side) -> WireProtocol:
        """Return a fresh protocol object in state OPEN."""
        raise NotImplementedError

    @pytest.fixture
    def pair(self) -> tuple[WireProtocol, WireProtocol]:
        """Return both ends of one connection: client, server."""
        return self.make(Side.CLIENT), self.make(Side.SERVER)

    # --- messages arrive as they were -------------------------------------------------------------

    def test_every_message_class_has_an_example(self) -> None:
        assert set(EXAMPLES) == set(Kind) == set(KIND_OF.values())
        assert all(KIND_OF[type(message)] is kind for kind, message in EXAMPLES.items())

    @pytest.mark.parametrize("kind", Kind)
    def test_each_kind_arrives(self, kind: Kind) -> None:
        by = Side.CLIENT if kind in CLIENT_SENDS else Side.SERVER
        frames = to_bytes(self.make(by), [EXAMPLES[kind]])
        (arrived,) = self.make(Side(1 - by)).receive_data(frames[0])
        assert same(arrived, EXAMPLES[kind])

    @pytest.mark.parametrize("by", Side)
    @_MANY
    @given(data=st.data())
    def test_any_message_arrives_in_any_pieces(self, by: Side, data: st.DataObject) -> None:
        sent = data.draw(st.lists(messages(by), max_size=3))
        stream = b"".join(to_bytes(self.make(by), sent))
        places = data.draw(st.lists(st.integers(0, 2**20), max_size=5))
        arrived = feed(self.make(Side(1 - by)), cut(stream, places))
        assert same(arrived, sent)

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("by", Side)
    def test_every_kind_arrives_in_pieces_of_one_size(self, by: Side, size: int) -> None:
        sends = CLIENT_SENDS if by is Side.CLIENT else SERVER_SENDS
        sent = [EXAMPLES[kind] for kind in sorted(sends)] * 2
        stream = b"".join(to_bytes(self.make(by), sent))
        pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert same(feed(self.make(Side(1 - by)), pieces), sent)

    def test_a_message_without_payload_is_one_bytes_object(
        self, pair: tuple[WireProtocol, WireProtocol]
    ) -> None:
        client, _ = pair
        (frame,) = client.frame(client.prepare(CallFunc(1, 2, (3,))))
        assert type(frame) is bytes

    def test_pieces_go_where_the_sink_says(self, pair: tuple[WireProtocol, WireProtocol]) -> None:
        client, server = pair
        home = bytearray(200_000)
        server.sink = lambda piece: memoryview(home)[piece.offset :][: piece.nbytes]
        content = random.Random(1).randbytes(len(home))  # noqa: S311 -- repeatable
        starts = range(0, len(content), 60_000)
        sent = [
            CopyToRemote(1, 2, at, len(part), last=False, payload=part)
            for at in starts
            for part in [content[at : at + 60_000]]
        ]
        arrived = feed(server, to_bytes(client, sent))
        assert same(arrived, sent)
        assert home == content
        assert arrived[-1].payload.obj is home  # type: ignore[union-attr]  # a view, no copy

    def test_receive_buffer_is_never_empty(self, pair: tuple[WireProtocol, WireProtocol]) -> None:
        client, server = pair
        stream = b"".join(to_bytes(client, [EXAMPLES[Kind.CALL_FUNC]] * 30))
        for start in range(0, len(stream), 7):
            part = stream[start : start + 7]
            buffer = server.receive_buffer()
            assert len(buffer) > 0
            taken = min(len(buffer), len(part))
            buffer[:taken] = part[:taken]
            server.received(taken)
            server.receive_data(part[taken:])
        assert len(server.receive_buffer()) > 0

    # --- states ----------------------------------------------------------------------------------

    def in_state(self, side: Side, state: State) -> WireProtocol:
        """Return a protocol object that was led into `state`."""
        protocol = self.make(side)
        if state is State.CLOSING:
            protocol.frame(protocol.prepare(Goodbye()))
        elif state is State.CLOSED:
            protocol.receive_eof()
        assert protocol.state is state
        return protocol

    @pytest.mark.parametrize(("side", "state", "kind"), CELLS)
    def test_each_cell_of_sending(self, side: Side, state: State, kind: Kind) -> None:
        protocol = self.in_state(side, state)
        prepared = protocol.prepare(EXAMPLES[kind])
        after = TRANSITIONS.get((side, state, Direction.SEND, kind))
        if after is None:
            with pytest.raises(LocalProtocolError):
                protocol.frame(prepared)
        else:
            protocol.frame(prepared)
        assert protocol.state is (after or state)

    @pytest.mark.parametrize(("side", "state", "kind"), CELLS)
    def test_each_cell_of_receiving(self, side: Side, state: State, kind: Kind) -> None:
        protocol = self.in_state(side, state)
        able = Side(1 - side)
        if (able, State.OPEN, Direction.SEND, kind) not in TRANSITIONS:
            able = side
        (frame,) = to_bytes(self.make(able), [EXAMPLES[kind]])
        after = TRANSITIONS.get((side, state, Direction.RECEIVE, kind))
        if after is None:
            with pytest.raises(RemoteProtocolError):
                protocol.receive_data(frame)
        else:
            assert len(protocol.receive_data(frame)) == 1
        assert protocol.state is (after or State.CLOSED)

    def test_the_end_between_frames_is_no_error(
        self, pair: tuple[WireProtocol, WireProtocol]
    ) -> None:
        client, server = pair
        feed(server, to_bytes(client, [Ping(1)]))
        server.receive_eof()
        assert server.state is State.CLOSED

    @pytest.mark.parametrize("kind", sorted(CLIENT_SENDS))
    def test_the_end_inside_a_frame_is_an_error(self, kind: Kind) -> None:
        (frame,) = to_bytes(self.make(Side.CLIENT), [EXAMPLES[kind]])
        for length in {1, 35, len(frame) // 2, len(frame) - 1}:
            server = self.make(Side.SERVER)
            assert server.receive_data(frame[:length]) == []
            with pytest.raises(RemoteProtocolError):
                server.receive_eof()
            assert server.state is State.CLOSED

    # --- hostile bytes ---------------------------------------------------------------------------

    @pytest.mark.parametrize("to", Side)
    def test_damaged_streams_give_messages_or_a_protocol_error(self, to: Side) -> None:
        outcomes = {True: 0, False: 0}
        for stream in malformed_streams(self.make, to, self.MALFORMED):
            outcomes[self.survives(to, stream)] += 1
        assert min(outcomes.values()) > 0  # the damage is neither harmless nor always fatal

    @pytest.mark.parametrize("to", Side)
    @_FEW
    @given(noise=st.binary(max_size=200))
    def test_noise_gives_a_protocol_error(self, to: Side, noise: bytes) -> None:
        self.survives(to, noise)

    def survives(self, to: Side, stream: bytes) -> bool:
        """Tell whether a stream is legal; anything but a clean yes or no is an error."""
        receiver = self.make(to)
        try:
            arrived = receiver.receive_data(stream)
            receiver.receive_eof()
        except RemoteProtocolError:
            assert receiver.state is State.CLOSED
            return False
        assert all(type(message) in KIND_OF for message in arrived)
        return True

    @pytest.mark.parametrize("change", ["repeated", "skipped", "swapped"])
    def test_every_frame_comes_once_and_in_order(self, change: str) -> None:
        a, b, c = to_bytes(self.make(Side.CLIENT), [Ping(1), Ping(2), Ping(3)])
        streams = {"repeated": a + a, "skipped": a + c, "swapped": b + a}
        with pytest.raises(RemoteProtocolError):
            self.make(Side.SERVER).receive_data(streams[change])

    @pytest.mark.slow
    def test_memory_does_not_grow_with_the_number_of_frames(
        self, pair: tuple[WireProtocol, WireProtocol]
    ) -> None:
        client, server = pair
        sizes = []
        tracemalloc.start()
        try:
            for _ in range(3):
                for i in range(1500):
                    feed(server, to_bytes(client, [EXAMPLES[Kind.CALL_FUNC], Ping(i)]))
                sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        assert sizes[2] - sizes[1] < 4096

    # --- what cannot be sent ------------------------------------------------------------------------

    def test_what_cannot_be_sent_changes_nothing(
        self, pair: tuple[WireProtocol, WireProtocol]
    ) -> None:
        client, server = pair
        for bad in (object(), {1, 2}, "\ud800", [[{"k": (object,)}]], 1 << 300_000):
            with pytest.raises(EncodeError, match="argument 1"):
                client.prepare(CallFunc(1, 2, (0, bad)))
        assert feed(server, to_bytes(client, [Ping(7)])) == [Ping(7)]

    def test_a_value_larger_than_a_frame_is_refused(
        self, pair: tuple[WireProtocol, WireProtocol]
    ) -> None:
        client, _ = pair
        with pytest.raises(ProtocolError, match="exceeds the limit"):
            client.prepare(CallFunc(1, 2, (bytes(DEFAULT_LIMITS.frame_payload + 1),)))

    def test_long_containers_are_values_like_any_other(
        self, pair: tuple[WireProtocol, WireProtocol]
    ) -> None:
        client, server = pair
        value = [list(range(100_000)), {i: str(i) for i in range(5000)}, (None,) * 2000]
        sent = [CallFunc(1, 2, (value,))]
        assert same(feed(server, to_bytes(client, sent)), sent)

    def test_a_large_payload_is_received_in_place(
        self, pair: tuple[WireProtocol, WireProtocol]
    ) -> None:
        client, server = pair
        payload = bytes(4 * MIB)
        sent = [CopyToRemote(1, 2, 0, len(payload), last=True, payload=payload)]
        (frame,) = to_bytes(client, sent)
        server.receive_data(frame[:1000])
        # All that is missing can be received at once, behind what came with the header.
        assert len(server.receive_buffer()) == len(frame) - 1000
