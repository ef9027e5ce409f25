from __future__ import annotations

import gc
import signal
import threading
from itertools import chain

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.errors import ConnectionClosed
from rpcnb.core.limits import MIB
from rpcnb.testing.transport_suite import PATIENCE, Background, receive
from rpcnb.transport import connect, listen
from rpcnb.transport.stream import MAX_BUFFERS, PIECE, gather

ROUNDS = 3000


class Stop(Exception):
    pass


@pytest.fixture(params=["tcp://127.0.0.1:0", "unix://{}/a.sock", "memory://"])
def pair(request, tmp_path):
    with (
        listen(request.param.format(tmp_path)) as listener,
        connect(listener.url, PATIENCE) as near,
        listener.accept(PATIENCE) as far,
    ):
        yield near, far


@pytest.fixture(params=["tcp://127.0.0.1:0", "unix://{}/a.sock"])
def socket_pair(request, tmp_path):
    """Give a pair of sockets: `threading.Condition`, on which memory waits, is not made for this."""
    with (
        listen(request.param.format(tmp_path)) as listener,
        connect(listener.url, PATIENCE) as near,
        listener.accept(PATIENCE) as far,
    ):
        yield near, far


class Interrupts:
    """A timer whose handler raises `Stop`, at most once each time it is armed."""

    armed = False
    count = 0

    def __call__(self, *_: object) -> None:
        if self.armed:
            self.armed = False
            self.count += 1
            raise Stop


@pytest.fixture
def interrupts():
    handler = Interrupts()
    gc.disable()  # an exception in a callback of the collector would only be printed
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0001)
    yield handler
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    gc.enable()


@pytest.mark.slow
def test_interrupted_receive_loses_no_byte(socket_pair, interrupts):
    near, far = socket_pair
    total = ROUNDS * 64
    buffer = memoryview(bytearray(64))
    while interrupts.count == 0:  # a quick machine may be through before the first one
        sending = Background(lambda: [near.send_one(b"x" * 64) for _ in range(ROUNDS)])
        received = 0
        while received < total:
            try:
                interrupts.armed = True
                received += far.receive_into(buffer)
                interrupts.armed = False
            except Stop:
                continue
        sending.result()
        assert received == total
        assert not far.wait_readable(0)


@pytest.mark.slow
def test_interrupted_send_is_whole_or_never_happened(socket_pair, interrupts):
    near, far = socket_pair
    messages = [b"%06d" % number * (1 + number % 7 * 1000) for number in range(ROUNDS)]
    while interrupts.count == 0:  # a quick machine may be through before the first one
        receiving = Background(lambda: receive(far, sum(map(len, messages))))
        for number, message in enumerate(messages):
            before = near.bytes_sent
            while near.bytes_sent == before:
                try:
                    interrupts.armed = True
                    near.send((message[:3], message[3:])) if number % 2 else near.send_one(message)
                    interrupts.armed = False
                except Stop:
                    continue
            assert near.bytes_sent - before == len(message)
        assert receiving.result() == b"".join(messages)


@pytest.fixture
def interrupt_once():
    """Give a function that raises `Stop` in the main thread a moment later, however often."""
    timers = []

    def handle(*_):
        raise Stop

    def interrupt(*delays):
        main = threading.main_thread().ident
        for delay in delays:
            timers.append(threading.Timer(delay, signal.pthread_kill, (main, signal.SIGUSR1)))
            timers[-1].start()

    before = signal.signal(signal.SIGUSR1, handle)
    yield interrupt
    for timer in timers:
        timer.join()
    signal.signal(signal.SIGUSR1, before)


def test_blocked_send_is_completed_before_the_interrupt_is_raised(pair, interrupt_once):
    near, far = pair
    data = bytes(20 * MIB)
    read = threading.Event()
    receiving = Background(lambda: read.wait(PATIENCE) and receive(far, len(data)))
    threading.Timer(0.1, read.set).start()
    interrupt_once(0.05)
    with pytest.raises(Stop):
        near.send([data])
    assert near.bytes_sent == len(data)
    assert receiving.result() == data


def test_second_interrupt_of_a_blocked_send_gives_up_and_says_how_much_went(pair, interrupt_once):
    near, far = pair
    interrupt_once(0.05, 0.1)
    with pytest.raises(Stop):
        near.send([bytes(64 * MIB)])
    assert 0 < near.bytes_sent < 64 * MIB
    sent = near.bytes_sent
    near.close()
    assert len(receive(far, sent + 1)) == sent


def test_handler_that_raises_an_os_error_is_not_taken_for_the_network(pair, interrupt_once):
    near, _ = pair

    def time_is_over(*_):
        raise TimeoutError("the user's own")

    signal.signal(signal.SIGUSR1, time_is_over)
    interrupt_once(0.05)
    with pytest.raises(TimeoutError, match="the user's own") as caught:
        near.receive_into(memoryview(bytearray(1)))
    assert not isinstance(caught.value, ConnectionClosed)


@given(
    sizes=st.lists(st.sampled_from([0, 1, 7, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE]), max_size=6),
    small=st.integers(0, 3 * MAX_BUFFERS),
    skip=st.integers(0, 4 * PIECE),
)
def test_gather_keeps_every_byte_and_both_limits(sizes, small, skip):
    source = memoryview(bytes(3 * PIECE))
    buffers = [source[:size] for size in sizes] + [source[:1]] * small
    groups = list(gather(buffers, skip))
    assert all(0 < sum(map(len, group)) <= 1.5 * PIECE for group in groups)
    assert all(len(group) <= MAX_BUFFERS and all(group) for group in groups)
    total = sum(map(len, buffers))
    assert sum(map(len, chain.from_iterable(groups))) == max(0, total - skip)


def test_header_before_a_large_chunk_costs_no_system_call_of_its_own():
    assert len(list(gather([bytes(40), bytes(2 * PIECE)]))) == 2


@given(parts=st.lists(st.binary(max_size=5), max_size=10), skip=st.integers(0, 60))
def test_gather_keeps_the_order(parts, skip):
    assert b"".join(chain.from_iterable(gather(parts, skip))) == b"".join(parts)[skip:]
