from __future__ import annotations

import errno
import socket
import threading
from contextlib import ExitStack, closing
from queue import Queue

import pytest

from rpcnb.core.errors import ConnectionClosed
from rpcnb.testing.transport_suite import PATIENCE, receive
from rpcnb.transport import connect, listen, sockets
from rpcnb.transport.sockets import SocketTransport, format_address, wait_for_any


@pytest.fixture
def pair():
    with (
        listen("tcp://127.0.0.1:0") as listener,
        connect(listener.url, PATIENCE) as near,
        listener.accept(PATIENCE) as far,
    ):
        yield near, far


def test_socket_is_put_into_blocking_mode():
    one, other = socket.socketpair()
    one.settimeout(0.01)
    with SocketTransport(one), other:
        assert one.gettimeout() is None


def test_closing_leaks_no_descriptor(no_leaked_fds):
    with (
        listen("tcp://127.0.0.1:0") as listener,
        connect(listener.url, PATIENCE) as near,
        listener.accept(PATIENCE),
    ):
        near.abort()


def test_cause_of_a_lost_connection_is_chained(pair):
    near, far = pair
    far.abort()
    with pytest.raises(ConnectionClosed, match="was lost: ") as caught:
        near.receive_into(memoryview(bytearray(1)))
    assert caught.value.__cause__.errno == errno.ECONNRESET


def test_large_sends_and_gathers_work_where_there_is_no_sendmsg(pair):
    near, far = pair

    class Plain(socket.socket):
        sendmsg = property()  # what a system without it looks like: no such attribute

    with SocketTransport(Plain(fileno=near.detach())) as plain:
        assert plain.send([b"ab", b"", b"cd"]) == 4
        assert receive(far, 4) == b"abcd"


@pytest.mark.parametrize(
    ("expected", "family", "address"),
    [
        ("tcp://127.0.0.1:1", socket.AF_INET, ("127.0.0.1", 1)),
        ("tcp://[::1]:1", socket.AF_INET6, ("::1", 1, 0, 0)),
        ("unix:///a", socket.AF_UNIX, "/a"),
        ("unix:unnamed", socket.AF_UNIX, ""),
    ],
)
def test_addresses_are_written_as_urls(expected, family, address):
    assert format_address(family, address) == expected


def test_closed_descriptors_do_not_block():
    assert wait_for_any([-1], None)
    one, other = socket.socketpair()
    with one, other:
        assert not wait_for_any([one.fileno()], 0)
        assert wait_for_any([one.fileno()], 0, writing=True)


def test_listener_survives_running_out_of_descriptors(run_python):
    code = """
import resource
from rpcnb.core.errors import TransportError
from rpcnb.transport import connect, listen, sockets
with listen("tcp://127.0.0.1:0") as listener, connect(listener.url) as near:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (near.fileno() + 1, hard))
    try:
        listener.accept(5)
    except TransportError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with listener.accept(5) as far:
        print(far.peer_address == near.local_address)
"""
    said, accepted = run_python(code).splitlines()
    assert said.endswith("could not be accepted: Too many open files")
    assert accepted == "True"


def test_detached_connection_goes_on(pair):
    near, far = pair
    with closing(socket.socket(fileno=near.detach())) as sock:
        assert near.closed
        sock.sendall(b"on")
        buffer = bytearray(2)
        assert far.receive_into(memoryview(buffer)) == 2
        with pytest.raises(ConnectionClosed):
            near.detach()


class FullSocket(socket.socket):
    """A socket that the system has no buffer for, once."""

    failed = False

    def send(self, data, *flags):
        if not self.failed:
            self.failed = True
            raise OSError(errno.ENOBUFS, "no buffer space")
        return super().send(data, *flags)

    def sendmsg(self, group, *rest):
        return self.send(b"".join(group))


@pytest.mark.parametrize("send", ["send_one", "send"])
def test_nothing_follows_a_gap_but_what_the_peer_said_is_still_received(send):
    one, other = socket.socketpair()
    with SocketTransport(FullSocket(fileno=one.detach())) as near, SocketTransport(other) as far:
        far.send((b"last words",))
        with pytest.raises(ConnectionClosed, match="was lost: No buffer space"):
            getattr(near, send)(b"lost" if send == "send_one" else (b"lo", b"st"))
        with pytest.raises(ConnectionClosed):
            near.send_one(b"more")
        assert far.receive_into(memoryview(bytearray(10))) == 0
        assert receive(near, 10) == b"last words"


@pytest.fixture
def slow_poll(monkeypatch):
    """Keep whoever waits between having the numbers and polling; the numbers, and how to go on."""
    found, may_poll = Queue(), threading.Event()

    def wait(files, timeout, **_):
        found.put(files)
        assert may_poll.wait(PATIENCE)
        return wait_for_any(files, timeout)

    monkeypatch.setattr(sockets, "wait_for_any", wait)
    yield found, may_poll
    may_poll.set()


def test_the_number_of_a_descriptor_that_somebody_waits_by_is_not_given_to_others(pair, slow_poll):
    near, _ = pair
    found, may_poll = slow_poll
    number = near.fileno()
    waiting = threading.Thread(target=near.wait_readable, args=(PATIENCE,))
    waiting.start()
    assert found.get(timeout=PATIENCE) == [number]
    near.close()
    with closing(socket.socket()) as other:
        assert other.fileno() != number
        may_poll.set()
        waiting.join(PATIENCE)
        assert not waiting.is_alive()
    assert near.fileno() == -1


def test_the_numbers_by_which_somebody_waits_at_a_listener_are_not_given_to_others(
    slow_poll, no_leaked_fds
):
    found, may_poll = slow_poll
    listener = listen("tcp://127.0.0.1:0")
    said = []

    def accept():
        with pytest.raises(ConnectionClosed) as caught:
            listener.accept(PATIENCE)
        said.append(str(caught.value))

    accepting = threading.Thread(target=accept)
    accepting.start()
    numbers = found.get(timeout=PATIENCE)
    assert listener.fileno() in numbers
    listener.close()
    with ExitStack() as stack:
        others = [stack.enter_context(closing(socket.socket())) for _ in range(len(numbers) + 1)]
        assert not {other.fileno() for other in others} & set(numbers)
        may_poll.set()
        accepting.join(PATIENCE)
    assert said == [f"the listener at {listener.url} was closed"]
    assert listener.fileno() == -1


def test_several_may_wait_for_one_socket_until_it_is_closed():
    one, other = socket.socketpair()
    with other:
        polled = sockets.Polled(one)
        ready = Queue()
        threads = [
            threading.Thread(target=lambda: ready.put(polled.wait(PATIENCE))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        other.shutdown(socket.SHUT_WR)
        assert [ready.get(timeout=PATIENCE) for _ in threads] == [True] * 3
        for thread in threads:
            thread.join(PATIENCE)
        assert one.fileno() >= 0
        polled.close()
        polled.close()
        assert one.fileno() == -1
        assert polled.wait(0), "what is closed does not block"
