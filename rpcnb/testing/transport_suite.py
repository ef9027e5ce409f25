"""The contract of `rpcnb.transport.base`, as tests.

::

    class TestMine(TransportSuite):
        @pytest.fixture
        def url(self):
            return "mine://anywhere"     # free to listen at; a new one for every test
"""

from __future__ import annotations

import hashlib
import random
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import ConnectError, ConnectionClosed, TransportTimeout
from rpcnb.core.limits import KIB, MIB
from rpcnb.transport import connect, listen
from rpcnb.transport.stream import MAX_BUFFERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcnb.transport import Listener, Transport

T = TypeVar("T")

PATIENCE = 10.0
"""How long anything may take before a test fails. [s]"""
MOMENT = 0.1
"""How long to watch that something does not happen. [s]"""
PLENTY = 64 * MIB
"""More than any transport may hold for a receiver that does not read. [bytes]"""


class Background(threading.Thread, Generic[T]):
    """A call in another thread, whose outcome can be waited for."""

    def __init__(self, function: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._outcome: list[T] = []
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._outcome.append(self._function())
        except BaseException as error:  # noqa: BLE001 raised again in the test
            self._error = error

    def blocks(self) -> bool:
        """Tell whether the call is still running after a moment."""
        self.join(MOMENT)
        return self.is_alive()

    def result(self) -> T:
        """Return or raise what the call did."""
        self.join(PATIENCE)
        assert not self.is_alive(), f"still blocked after {PATIENCE} s"
        if self._error is not None:
            raise self._error
        return self._outcome[0]


@contextmanager
def meeting(listener: Listener) -> Iterator[tuple[Transport, Transport]]:
    """Give the connecting and the accepting end of a new connection."""
    connecting = Background(lambda: connect(listener.url, PATIENCE))
    with listener.accept(PATIENCE) as far:
        far.shake_hands(Deadline.after(PATIENCE))
        with connecting.result() as near:
            yield near, far


def receive(transport: Transport, count: int, most: int = MIB) -> bytes:
    """Receive `count` bytes, at most `most` in one call; fewer at the end of the stream."""
    parts = bytearray()
    deadline = Deadline.after(PATIENCE)
    buffer = memoryview(bytearray(most))
    while len(parts) < count and transport.wait_readable(deadline.remaining()):
        got = transport.receive_into(buffer[: count - len(parts)])
        if not got:
            return bytes(parts)
        parts += buffer[:got]
    assert len(parts) == count, f"only {len(parts)} of {count} bytes within {PATIENCE} s"
    return bytes(parts)


class TransportSuite:
    """What every transport has to do; subclasses give the fixture `url`."""

    @pytest.fixture
    def url(self) -> str:
        """Return a URL to listen at."""
        raise NotImplementedError

    @pytest.fixture
    def listener(self, url: str) -> Iterator[Listener]:
        """Give a listener at `url`."""
        with listen(url) as listener:
            yield listener

    @pytest.fixture
    def pair(self, listener: Listener) -> Iterator[tuple[Transport, Transport]]:
        """Give the connecting and the accepting end of one connection."""
        with meeting(listener) as pair:
            yield pair

    # --- connecting ------------------------------------------------------------------------

    def test_both_ends_name_each_other(self, pair: tuple[Transport, Transport]) -> None:
        near, far = pair
        assert near.peer_address == far.local_address
        assert near.local_address == far.peer_address
        assert near.peer_address in near.describe()
        assert near.peer_address in repr(near)

    def test_listener_url_is_where_to_connect(self, listener: Listener) -> None:
        assert listener.url in repr(listener)
        with meeting(listener) as (near, _):
            assert listener.url == near.peer_address

    def test_two_connections_do_not_mix(self, listener: Listener) -> None:
        with meeting(listener) as (near_1, far_1), meeting(listener) as (near_2, far_2):
            near_2.send_one(b"second")
            near_1.send_one(b"first")
            assert receive(far_1, 5) == b"first"
            assert receive(far_2, 6) == b"second"
            near_1.close()
            far_2.send_one(b"still here")
            assert receive(near_2, 10) == b"still here"

    def test_connecting_where_nobody_listens_is_refused(self, url: str) -> None:
        with listen(url) as listener:
            gone = listener.url
        with pytest.raises(ConnectError) as caught:
            connect(gone, PATIENCE)
        assert gone in str(caught.value)

    def test_address_in_use_is_refused(self, listener: Listener) -> None:
        with pytest.raises(ConnectError):
            listen(listener.url)

    def test_address_is_free_again_after_close(self, url: str) -> None:
        with listen(url) as listener:
            again = listener.url
        with listen(again) as listener:  # with a key of its own, where it has one
            assert listener.url.partition("?")[0] == again.partition("?")[0]

    def test_accept_times_out_and_still_works(self, listener: Listener) -> None:
        with pytest.raises(TransportTimeout):
            listener.accept(0.01)
        with meeting(listener) as (_, far):
            assert not far.closed

    def test_closing_the_listener_wakes_accept(self, listener: Listener) -> None:
        accepting = Background(listener.accept)
        assert accepting.blocks()
        listener.close()
        listener.close()
        with pytest.raises(ConnectionClosed):
            accepting.result()
        with pytest.raises(ConnectionClosed):
            listener.accept(PATIENCE)

    def test_connections_outlive_the_listener(
        self, listener: Listener, pair: tuple[Transport, Transport]
    ) -> None:
        near, far = pair
        listener.close()
        near.send_one(b"still here")
        assert receive(far, 10) == b"still here"

    # --- bytes -----------------------------------------------------------------------------

    def test_echo(self, pair: tuple[Transport, Transport]) -> None:
        near, far = pair
        for number in range(100):
            near.send_one(b"%d" % number)
            far.send_one(receive(far, len(b"%d" % number)))
            assert receive(near, len(b"%d" % number)) == b"%d" % number

    def test_receiving_less_than_arrived_leaves_the_rest(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        near, far = pair
        near.send_one(b"abcdef")
        assert receive(far, 6, most=1) == b"abcdef"

    def test_receiving_does_not_wait_for_a_full_buffer(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        near, far = pair
        near.send_one(b"abc")
        buffer = bytearray(100)
        count = Background(lambda: far.receive_into(memoryview(buffer))).result()
        assert count > 0
        assert buffer[:count] == b"abc"[:count]

    def test_all_kinds_of_buffers_arrive_in_order(self, pair: tuple[Transport, Transport]) -> None:
        near, far = pair
        sent = near.send([b"ab", b"", bytearray(b"cd"), memoryview(b"xefx")[1:3], memoryview(b"")])
        assert sent == near.bytes_sent == 6
        assert receive(far, 6) == b"abcdef"

    def test_sending_nothing_sends_nothing(self, pair: tuple[Transport, Transport]) -> None:
        near, far = pair
        assert near.send([]) == near.send([b"", bytearray()]) == 0
        near.send_one(b"")
        assert not far.wait_readable(0)
        assert near.bytes_sent == 0

    def test_more_buffers_than_one_system_call_takes(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        near, far = pair
        buffers = [b"%d," % number for number in range(2 * MAX_BUFFERS + 1)]
        sending = Background(lambda: near.send(buffers))
        assert receive(far, sum(map(len, buffers))) == b"".join(buffers)
        assert sending.result() == near.bytes_sent == sum(map(len, buffers))

    def test_large_transfers_both_ways_at_once(self, pair: tuple[Transport, Transport]) -> None:
        rng = random.Random(1)  # noqa: S311 no secret
        data = [rng.randbytes(5 * MIB + 13) for _ in pair]
        cuts = [b"header", b""]
        sending = [
            Background(partial(end.send, [*cuts, bytes_]))
            for end, bytes_ in zip(pair, data, strict=True)
        ]
        receiving = [Background(partial(receive, end, 6 + 5 * MIB + 13)) for end in reversed(pair)]
        for sender, receiver, bytes_ in zip(sending, receiving, data, strict=True):
            assert sender.result() == 6 + len(bytes_)
            expected = hashlib.sha256(b"header" + bytes_).digest()
            assert hashlib.sha256(receiver.result()).digest() == expected

    def test_large_single_object_arrives_whole(self, pair: tuple[Transport, Transport]) -> None:
        near, far = pair
        data = random.Random(2).randbytes(9 * MIB)  # noqa: S311 no secret
        sending = Background(lambda: near.send_one(data))
        assert receive(far, len(data)) == data
        sending.result()
        assert near.bytes_sent == len(data)

    @settings(
        max_examples=50,
        deadline=None,
        # One connection for all examples: each leaves it empty. One test for all transports.
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(parts=st.lists(st.binary(max_size=300), max_size=20), most=st.integers(1, 400))
    def test_any_split_of_any_bytes_arrives_in_order(
        self, pair: tuple[Transport, Transport], parts: list[bytes], most: int
    ) -> None:
        near, far = pair
        near.send(parts)
        for part in parts:
            near.send_one(part)
        data = b"".join(parts)
        assert receive(far, 2 * len(data), most) == data + data

    # --- waiting ---------------------------------------------------------------------------

    def test_wait_readable_times_out(self, pair: tuple[Transport, Transport]) -> None:
        assert not pair[0].wait_readable(0)
        assert not pair[0].wait_readable(0.01)

    def test_wait_readable_wakes_up_for_bytes(self, pair: tuple[Transport, Transport]) -> None:
        near, far = pair
        waiting = Background(lambda: far.wait_readable(None))
        assert waiting.blocks()
        near.send_one(b"ab")
        assert waiting.result()
        assert receive(far, 1) == b"a"
        assert far.wait_readable(0)

    def test_wait_readable_wakes_up_for_the_end(self, pair: tuple[Transport, Transport]) -> None:
        near, far = pair
        waiting = Background(lambda: far.wait_readable(PATIENCE))
        near.close()
        assert waiting.result()

    def test_sender_blocks_while_nobody_reads(self, pair: tuple[Transport, Transport]) -> None:
        near, far = pair
        chunk = bytes(MIB)
        sending = Background(lambda: [near.send([chunk]) for _ in range(PLENTY // MIB)])
        assert sending.blocks()
        assert near.bytes_sent < PLENTY
        digest = hashlib.sha256(receive(far, PLENTY))
        assert sum(sending.result()) == PLENTY == near.bytes_sent
        assert digest.digest() == hashlib.sha256(bytes(PLENTY)).digest()

    # --- ending ----------------------------------------------------------------------------

    def test_peer_receives_what_was_sent_and_then_the_end(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        near, far = pair
        near.send_one(b"last words")
        near.close()
        assert receive(far, 10) == b"last words"
        buffer = memoryview(bytearray(10))
        assert far.receive_into(buffer) == 0
        assert far.receive_into(buffer) == 0

    def test_peer_that_read_only_half_can_close(self, pair: tuple[Transport, Transport]) -> None:
        near, far = pair
        near.send_one(b"x" * KIB)
        assert receive(far, 10) == b"x" * 10
        far.close()
        with pytest.raises(ConnectionClosed):
            Background(lambda: [near.send_one(bytes(KIB)) for _ in range(PLENTY // KIB)]).result()

    @pytest.mark.parametrize("end", ["close", "abort"])
    def test_ending_wakes_a_blocked_receiver(
        self, pair: tuple[Transport, Transport], end: str
    ) -> None:
        near, _ = pair
        receiving = Background(lambda: near.receive_into(memoryview(bytearray(10))))
        assert receiving.blocks()
        getattr(near, end)()
        with pytest.raises(ConnectionClosed):
            receiving.result()

    @pytest.mark.parametrize("end", ["close", "abort"])
    def test_ending_wakes_a_blocked_sender(
        self, pair: tuple[Transport, Transport], end: str
    ) -> None:
        near, _ = pair
        sending = Background(lambda: near.send([bytes(PLENTY)]))
        assert sending.blocks()
        getattr(near, end)()
        with pytest.raises(ConnectionClosed):
            sending.result()

    def test_peer_closing_wakes_a_blocked_sender(self, pair: tuple[Transport, Transport]) -> None:
        near, far = pair
        sending = Background(lambda: near.send([bytes(PLENTY)]))
        assert sending.blocks()
        far.close()
        with pytest.raises(ConnectionClosed):
            sending.result()

    def test_peer_notices_an_abort(self, pair: tuple[Transport, Transport]) -> None:
        near, far = pair
        receiving = Background(lambda: far.receive_into(memoryview(bytearray(10))))
        assert receiving.blocks()
        near.abort()
        near.abort()
        with suppress(ConnectionClosed):  # where the system can tell it from an orderly end
            assert receiving.result() == 0

    @pytest.mark.parametrize("end", ["close", "abort"])
    def test_use_after_the_end_says_who_ended_it(
        self, pair: tuple[Transport, Transport], end: str
    ) -> None:
        near, far = pair
        far.send_one(b"unread")
        getattr(near, end)()
        near.close()
        assert near.closed
        assert near.fileno() == -1
        assert near.describe().endswith("(closed)")
        for use in (
            lambda: near.send([b"x"]),
            lambda: near.send_one(b"x"),
            lambda: near.receive_into(memoryview(bytearray(1))),
            lambda: near.wait_readable(0),
        ):
            with pytest.raises(ConnectionClosed, match=r"this side|was closed"):
                use()
