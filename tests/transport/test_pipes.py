"""Tests of `rpcnb.transport.pipes`."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import ConnectionClosed, TransportTimeout
from rpcnb.testing import TransportSuite
from rpcnb.testing.transport_suite import PATIENCE, Background, meeting, receive
from rpcnb.transport import connect, listen, registry
from rpcnb.transport.base import Backend
from rpcnb.transport.descriptor import adopt
from rpcnb.transport.pipes import CAPACITY, PipeTransport, consider, propose
from rpcnb.transport.unix import UnixBackend, UnixListener

if TYPE_CHECKING:
    from rpcnb.transport.address import Address

URL = "pipes-for-test"


class PipeListener(UnixListener):
    """Goes over to pipes with each peer."""

    @property
    def url(self):
        return super().url.replace("unix", URL)

    def accept(self, timeout=None):
        return _renamed(consider(super().accept(timeout), PATIENCE))


class PipeBackend(Backend):
    """``pipes-for-test:///absolute/path``."""

    def connect(self, address: Address, timeout):
        line = UnixBackend().connect(replace(address, scheme=URL), timeout)
        return _renamed(propose(line, timeout))

    def listen(self, address: Address):
        listener = UnixBackend().listen(address)
        listener.__class__ = PipeListener
        return listener


def _renamed(transport):
    """Let both ends have addresses of the scheme they were made by."""
    line = transport._line
    line._local_address = line._local_address.replace("unix", URL)
    line._peer_address = line._peer_address.replace("unix", URL)
    return transport


class TestPipes(TransportSuite):
    @pytest.fixture
    def url(self, tmp_path, monkeypatch):
        monkeypatch.setitem(registry._backends, URL, f"{__name__}:PipeBackend")
        return f"{URL}://{tmp_path}/new/rpcnb.sock"


@pytest.fixture
def line(tmp_path):
    with listen(f"unix://{tmp_path}/new/rpcnb.sock") as listener, meeting(listener) as ends:
        yield ends


@pytest.fixture
def pair(line):
    near, far = line
    proposing = Background(lambda: propose(near, PATIENCE))
    with consider(far, PATIENCE) as piped, proposing.result() as other:
        yield other, piped


def test_both_go_over_and_keep_who_they_are(line, pair):
    for before, after in zip(line, pair, strict=True):
        assert type(after) is PipeTransport
        assert after.peer_address == before.peer_address
        assert after.peer_credentials() == before.peer_credentials()


def test_closing_leaks_no_descriptor(no_leaked_fds, tmp_path):
    with listen(f"unix://{tmp_path}/new/rpcnb.sock") as listener, meeting(listener) as (near, far):
        proposing = Background(lambda: propose(near, PATIENCE))
        consider(far, PATIENCE).close()
        proposing.result().abort()


def test_a_socket_that_carries_no_descriptors_is_kept(line):
    """As one that ssh forwards."""
    near, far = line
    inside, outside = socket.socketpair()  # the pair's own credentials are the client's
    with adopt(outside.detach()) as client, closing(inside):
        proposing = Background(lambda: propose(client, PATIENCE))
        near.send_one(inside.recv(1))
        assert consider(far, PATIENCE) is far
        inside.sendall(receive(near, 1))
        assert proposing.result() is client


def test_no_descriptors_left_keeps_the_socket(line, monkeypatch):
    def refuse():
        raise OSError

    near, far = line
    with monkeypatch.context() as patched:
        patched.setattr(os, "pipe", refuse)
        proposing = Background(lambda: propose(near, PATIENCE))
        assert consider(far, PATIENCE) is far
        assert proposing.result() is near
    near.send_one(b"as before")
    assert receive(far, 9) == b"as before"


def test_who_says_nothing_is_given_up(line):
    near, far = line
    with pytest.raises(TransportTimeout):
        consider(far, 0.01)
    with pytest.raises(TransportTimeout):
        propose(near, 0.01)


@pytest.mark.parametrize("step", [propose, consider])
def test_who_leaves_is_said_to_have_left(line, step):
    near, far = line
    far.close()
    with pytest.raises(ConnectionClosed):
        step(near, PATIENCE)


def test_a_process_that_is_killed_ends_the_stream(tmp_path):
    code = (
        "import sys; from rpcnb.transport import connect; from rpcnb.transport.pipes import propose\n"
        "end = propose(connect(sys.argv[1]), 10); end.send_one(b'here'); sys.stdin.read()"
    )
    with listen(f"unix://{tmp_path}/new/rpcnb.sock") as listener:
        child = subprocess.Popen([sys.executable, "-c", code, listener.url], stdin=subprocess.PIPE)
        with child, consider(listener.accept(PATIENCE), PATIENCE) as far:
            assert receive(far, 4) == b"here"
            receiving = Background(lambda: far.receive_into(memoryview(bytearray(9))))
            assert receiving.blocks()
            child.kill()
            assert receiving.result() == 0
            with pytest.raises(ConnectionClosed):
                far.send_one(bytes(2 * CAPACITY))


def test_a_forked_child_gives_its_copies_up_without_an_end(pair):
    near, far = pair
    pid = os.fork()
    if not pid:
        os.close(near.detach())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    near.send_one(b"still here")
    assert receive(far, 10) == b"still here"
    far.send_one(b"so am I")
    assert receive(near, 7) == b"so am I"


def test_connecting_by_the_unix_scheme_alone_gives_no_pipes(tmp_path):
    with listen(f"unix://{tmp_path}/new/rpcnb.sock") as listener, connect(listener.url) as near:
        assert type(near) is not PipeTransport


def test_a_number_is_nobody_elses_while_a_thread_is_on_its_way_into_a_receive(pair) -> None:
    near, _ = pair
    number, on_its_way = near.fileno(), near._read
    near.close()
    others = [os.pipe() for _ in range(3)]
    assert number not in {end for pipe in others for end in pipe}
    assert on_its_way(bytearray(1)) == 1  # what wakes those who wait, and nobody else's
    del on_its_way
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    for end in (end for pipe in others for end in pipe):
        os.close(end)


def test_a_sender_on_its_way_into_waiting_notices_the_end(pair, monkeypatch) -> None:
    near, _ = pair
    number, real = near._line.fileno(), select.poll
    idle, other = socket.socketpair()

    def end_first(poll, timeout=None):
        if not near.closed:
            near.abort()
            os.dup2(idle.fileno(), number)  # the next connection has it, and nothing to say
        return poll.poll(timeout)

    monkeypatch.setattr(
        select,
        "poll",
        lambda: SimpleNamespace(register=(poll := real()).register, poll=partial(end_first, poll)),
    )
    sending = Background(lambda: near.send([bytes(2 * CAPACITY)]))
    with pytest.raises(ConnectionClosed):
        sending.result()
    os.close(number)
    idle.close()
    other.close()
