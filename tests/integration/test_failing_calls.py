"""The k-th system call of a client's socket fails, or does half of its work: every k has one good end.

The socket is a real one that fails once. Every call then runs once or is known not to be known, and
copies arrive whole: the session comes back by itself.
"""

from __future__ import annotations

import errno
import os
import socket

import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import OutcomeUnknown, RpcnbError
from rpcnb.endpoint.client.connect import open_session
from rpcnb.transport import tcp

NBYTES = 100_000
FAILURES = {
    "reset": errno.ECONNRESET,
    "no buffers": errno.ENOBUFS,
    "no memory": errno.ENOMEM,
    "broken pipe": errno.EPIPE,
    "half": 0,
}


class FailingSocket(socket.socket):
    """Fails in one call of sending or receiving, or does but a byte of it."""

    left = 0
    """Calls until then."""
    number = 0
    """Of the error; 0 does a byte instead."""

    def _is_due(self) -> bool:
        self.left -= 1
        if self.left == 0 and self.number:
            raise OSError(self.number, os.strerror(self.number))
        return self.left == 0

    def send(self, data, flags=0):
        return super().send(memoryview(data)[:1] if self._is_due() else data, flags)

    def sendmsg(self, group, *rest):
        group = list(group)
        if self._is_due():
            return super().send(memoryview(group[0])[:1])
        return super().sendmsg(group, *rest)

    def recv_into(self, buffer, nbytes=0, flags=0):
        return super().recv_into(buffer, 1 if self._is_due() and len(buffer) else nbytes, flags)


@pytest.fixture
def fail_at(monkeypatch):
    """Give a function that lets the next connection fail at its k-th call, and no later one."""
    monkeypatch.setenv("RPCNB_SHARED_MEMORY", "off")
    plan: list[tuple[int, int]] = []
    connect = tcp.connected_socket

    def connected_socket(*args) -> socket.socket:
        sock = connect(*args)
        if not plan:
            return sock
        failing = FailingSocket(fileno=sock.detach())
        failing.left, failing.number = plan.pop()
        return failing

    monkeypatch.setattr(tcp, "connected_socket", connected_socket)
    return lambda k, number: plan.append((k, number))


def use(session, calls: int) -> bool:
    """Use a session; return whether its connection had to be replaced."""
    increase, acknowledged, unknown = session.get_function("t.increase"), 0, 0
    for number in range(calls):
        try:
            session.call_func(increase, (number,))
            acknowledged += 1
        except OutcomeUnknown:
            unknown += 1
    content, back = os.urandom(NBYTES), bytearray(NBYTES)
    array = session.get_device_api(CPU).alloc_data(CPU, (NBYTES,), "|u1")
    session.copy_to_remote(content, array, NBYTES)
    session.copy_from_remote(array, back, NBYTES)
    assert back == content
    ran, different = session.call_func(session.get_function("t.counted"))
    assert ran == different, "duplicates"
    assert acknowledged <= ran <= acknowledged + unknown
    assert acknowledged + unknown == calls
    return session.statistics()["connections"] > 1


def run(server, fail_at, kind: str, ks, calls: int) -> tuple[int, int]:
    """Try every k; return how often connecting failed, and how often a session came back."""
    refused = back = 0
    for k in ks:
        fail_at(k, FAILURES[kind])
        try:
            session = open_session(server.url, token=server.token)
        except RpcnbError:
            refused += 1
            continue
        with session:
            back += use(session, calls)
    assert server.zygote.is_running()
    return refused, back


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reset", "no buffers"])
def test_a_call_that_fails_somewhere_does_no_harm(server, eventually, fail_at, kind) -> None:
    refused, back = run(server, fail_at, kind, range(2, 40, 7), 10)
    assert eventually(lambda: server.workers() == [], timeout=10.0)
    assert refused > 0
    assert back > 0


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", FAILURES)
def test_300_calls_that_fail_do_no_harm(server, eventually, fail_at, kind) -> None:
    print(kind, run(server, fail_at, kind, range(1, 301), 130))
    assert eventually(lambda: server.workers() == [], timeout=10.0)
