"""Tests of `rpcnb.testing.fault_proxy`: what both ends see of what was planned."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager
from time import monotonic

import pytest

from rpcnb.testing import Fault, FaultProxy, random_cuts

WAIT = 5.0


class Route:
    """A client's end and the target's end of one way through a proxy."""

    def __init__(self, plan=lambda number: (), **options) -> None:
        self._stack = ExitStack()
        self._target = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        host, port = self._target.getsockname()
        self.proxy = self._stack.enter_context(FaultProxy(f"tcp://{host}:{port}", plan, **options))

    def connect(self) -> tuple[socket.socket, socket.socket]:
        host, port = self.proxy.url.removeprefix("tcp://").split(":")
        near = self._stack.enter_context(socket.create_connection((host, int(port)), WAIT))
        self._target.settimeout(WAIT)
        far, _ = self._target.accept()
        far.settimeout(WAIT)
        return near, self._stack.enter_context(far)

    def close(self) -> None:
        self._stack.close()


@contextmanager
def routed(plan=lambda number: (), **options):
    route = Route(plan, **options)
    try:
        yield route
    finally:
        route.close()


def receive_all(sock: socket.socket) -> bytes:
    data = bytearray()
    while part := sock.recv(65536):
        data += part
    return bytes(data)


def test_without_a_fault_everything_gets_through_in_both_directions() -> None:
    with routed() as route:
        near, far = route.connect()
        near.sendall(b"up")
        assert far.recv(10) == b"up"
        far.sendall(b"down!")
        assert near.recv(10) == b"down!"
        assert route.proxy.nbytes == {"up": 2, "down": 5}
        assert (route.proxy.connections, route.proxy.faults) == (1, 0)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_cut_lets_exactly_so_many_bytes_through(direction) -> None:
    with routed(lambda number: [Fault("cut", 70_000, direction)]) as route:
        near, far = route.connect()
        source, sink = (near, far) if direction == "up" else (far, near)
        threading.Thread(target=source.send, args=(bytes(80_000),), daemon=True).start()
        assert len(receive_all(sink)) == 70_000
        assert source.recv(1) == b""
        assert route.proxy.faults == 1


def test_a_reset_is_seen_as_one() -> None:
    with routed(lambda number: [Fault("reset", 1)]) as route:
        near, far = route.connect()
        near.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            near.recv(1)
        with pytest.raises(ConnectionResetError):
            receive_all(far)


def test_only_the_planned_connection_is_hurt() -> None:
    with routed(lambda number: [Fault("cut", 0)] if number == 0 else []) as route:
        near, _ = route.connect()
        assert near.recv(1) == b""
        near, far = route.connect()
        near.sendall(b"x")
        assert far.recv(1) == b"x"


def test_a_stalled_way_is_silent_until_it_flows_again() -> None:
    with routed() as route:
        near, far = route.connect()
        route.proxy.stall()
        near.sendall(b"x")
        far.settimeout(0.1)
        with pytest.raises(TimeoutError):
            far.recv(1)
        route.proxy.flow()
        far.settimeout(WAIT)
        assert far.recv(1) == b"x"


def test_a_throttled_way_takes_its_time() -> None:
    with routed(bytes_per_second=1_000_000) as route:
        near, far = route.connect()
        began = monotonic()
        threading.Thread(target=near.sendall, args=(bytes(200_000),), daemon=True).start()
        received = 0
        while received < 200_000:
            received += len(far.recv(65536))
        assert monotonic() - began > 0.1


def test_a_shut_way_turns_new_connections_away() -> None:
    with routed() as route:
        near, _ = route.connect()
        route.proxy.shut()
        assert near.recv(1) == b""
        host, port = route.proxy.url.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), WAIT) as turned_away:
            assert turned_away.recv(1) == b""
        route.proxy.unshut()
        near, far = route.connect()
        near.sendall(b"x")
        assert far.recv(1) == b"x"


def test_random_cuts_are_the_same_for_the_same_seed() -> None:
    one, same, other = (random_cuts(seed, 10**6, 5) for seed in (1, 1, 2))
    assert [one(n) for n in range(6)] == [same(n) for n in range(6)]
    assert [one(n) for n in range(6)] != [other(n) for n in range(6)]
    assert all(0 <= one(n)[0].at < 10**6 for n in range(5))
    assert one(5) == []


def test_nothing_is_left_of_a_proxy(no_leaked_fds, eventually) -> None:
    before = set(threading.enumerate())
    with routed() as route:
        route.connect()
        route.proxy.stall()
    assert eventually(lambda: set(threading.enumerate()) <= before)
