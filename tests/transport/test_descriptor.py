from __future__ import annotations

import os
import socket
from contextlib import closing

import pytest

from rpcnb.core.errors import ConnectionClosed, LimitExceeded, TransportError
from rpcnb.testing.transport_suite import PATIENCE, Background, receive
from rpcnb.transport import connect, listen
from rpcnb.transport.descriptor import MAX_NOTE, adopt, receive_descriptor, send_descriptor


@pytest.fixture
def line():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@pytest.fixture
def pair():
    with (
        listen("tcp://127.0.0.1:0") as listener,
        connect(listener.url, PATIENCE) as near,
        listener.accept(PATIENCE) as far,
    ):
        yield near, far


def test_connection_goes_on_at_its_new_owner(line, pair):
    near, far = pair
    fd = far.detach()
    send_descriptor(line[0], fd, b"session 1")
    os.close(fd)
    note, received = receive_descriptor(line[1])
    with adopt(received) as adopted:
        assert note == b"session 1"
        assert adopted.peer_address == near.local_address
        assert not os.get_inheritable(adopted.fileno())
        adopted.send_one(b"hello")
        assert receive(near, 5) == b"hello"
    assert near.receive_into(memoryview(bytearray(1))) == 0


def test_several_descriptors_and_notes_do_not_mix(line, pair):
    notes = [b"", b"a" * MAX_NOTE, b"b"]
    sending = Background(
        lambda: [send_descriptor(line[0], pair[0].fileno(), note) for note in notes]
    )
    for note in notes:
        received, fd = receive_descriptor(line[1])
        os.close(fd)
        assert received == note
    sending.result()


def test_broker_hands_a_connection_to_a_worker_process(run_python, tmp_path):
    code = f"""
import os, socket
from rpcnb.transport import connect, listen
from rpcnb.transport.descriptor import adopt, receive_descriptor, send_descriptor
ours, theirs = socket.socketpair()
worker = os.fork()
if not worker:
    ours.close()
    note, fd = receive_descriptor(theirs)
    with adopt(fd) as client:
        buffer = bytearray(100)
        count = client.receive_into(memoryview(buffer))
        client.send_one(note + b" got " + bytes(buffer[:count]))
    os._exit(0)
theirs.close()
with listen("unix://{tmp_path}/a.sock") as listener, connect(listener.url) as client:
    fd = listener.accept(5).detach()
    send_descriptor(ours, fd, b"worker")
    os.close(fd)
    client.send_one(b"a call")
    buffer = bytearray(100)
    print(bytes(buffer[:client.receive_into(memoryview(buffer))]))
    os.waitpid(worker, 0)
    print(client.receive_into(memoryview(buffer)))
ours.close()
"""
    assert run_python(code) == "b'worker got a call'\n0\n"


def test_note_beyond_the_limit_is_not_sent(line, pair):
    with pytest.raises(LimitExceeded):
        send_descriptor(line[0], pair[0].fileno(), bytes(MAX_NOTE + 1))
    line[0].close()
    with pytest.raises(ConnectionClosed):
        receive_descriptor(line[1])


def test_announced_length_is_bounded_and_the_descriptor_not_leaked(line, pair, no_leaked_fds):
    socket.send_fds(line[0], [b"\xff\xff\xff\xff"], [pair[0].fileno()])
    with pytest.raises(LimitExceeded):
        receive_descriptor(line[1])


def test_note_without_a_descriptor_is_an_error(line):
    line[0].sendall(b"\0\0\0\1x")
    with pytest.raises(TransportError, match="without its file descriptor"):
        receive_descriptor(line[1])


def test_process_that_is_gone_is_noticed_on_both_sides(line, pair, no_leaked_fds):
    socket.send_fds(line[0], [b"\0\0\0\7half"], [pair[0].fileno()])
    line[0].close()
    with pytest.raises(ConnectionClosed):
        receive_descriptor(line[1])
    one, other = socket.socketpair()
    other.close()
    with one, pytest.raises(ConnectionClosed, match="could not be handed over"):
        send_descriptor(one, pair[0].fileno(), b"")


def test_only_connected_sockets_are_adopted(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        with pytest.raises(TransportError, match="is not a socket"):
            adopt(file.fileno())
        os.fstat(file.fileno())
    with closing(socket.socket()) as sock:
        with pytest.raises(TransportError, match="is not a connected socket"):
            adopt(sock.fileno())
        assert sock.getsockname() == ("0.0.0.0", 0)
