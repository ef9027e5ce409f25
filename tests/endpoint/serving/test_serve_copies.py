"""Tests of `rpcnb.endpoint.serving.serve_copies`: into and out of sessions near and far."""

from __future__ import annotations

import threading

import pytest

from rpcnb.core.errors import ArrayMismatch, InvalidHandle, RemoteError
from rpcnb.core.values import ArrayRef, Handle
from rpcnb.endpoint.connection import SEND_AHEAD
from rpcnb.endpoint.serving.serve_copies import Uploads, slice_of
from rpcnb.session.base import CallStatus
from rpcnb.session.local import LocalSession
from rpcnb.wire.messages import Cancel, CopyFromRemote, CopyToRemote

WAIT = 10.0
SIZE = 2 * SEND_AHEAD + 7
DATA = bytes(range(256)) * (SIZE // 256) + bytes(range(SIZE % 256))
NOWHERE = ArrayRef(Handle(999))


@pytest.mark.parametrize(("offset", "nbytes"), [(-1, 2), (0, -1), (0, 11), (9, 2)])
def test_a_part_that_does_not_lie_inside_is_refused(offset, nbytes) -> None:
    with pytest.raises(ArrayMismatch):
        slice_of(memoryview(bytearray(10)), offset, nbytes)
    assert len(slice_of(memoryview(bytearray(10)), 9, 1)) == 1


class Far(LocalSession):
    """A session whose arrays are not this process's memory, as a gateway's."""

    fails = False

    def host_memory(self, handle):
        self.handles.get(handle)

    def is_local_session(self) -> bool:
        return False

    def copy_from_remote(self, source, target, nbytes) -> None:
        if self.fails:
            raise ZeroDivisionError
        super().copy_from_remote(source, target, nbytes)

    def copy_to_remote(self, source, target, nbytes) -> None:
        if self.fails:
            raise ZeroDivisionError
        super().copy_to_remote(source, target, nbytes)


@pytest.fixture(params=[LocalSession, Far])
def client(request, serve):
    return serve(request.param).client


def zeros(client, size: int = SIZE) -> ArrayRef:
    return client.call_func(client.get_function("t.zeros"), (size,))


def test_copies_go_both_ways_in_several_pieces(client) -> None:
    array, back = zeros(client), bytearray(SIZE)
    client.copy_to_remote(DATA, array, SIZE)
    client.copy_from_remote(array, back, SIZE)
    assert back == DATA


def test_an_array_that_is_not_there_is_an_error_of_that_copy(client) -> None:
    for nbytes in (8, SIZE):
        with pytest.raises(InvalidHandle):
            client.copy_to_remote(bytes(nbytes), NOWHERE, nbytes)
        with pytest.raises(InvalidHandle):
            client.copy_from_remote(NOWHERE, bytearray(nbytes), nbytes)
    client.copy_to_remote(DATA, zeros(client), SIZE)


def test_a_session_that_fails_is_an_error_of_that_copy(serve) -> None:
    served = serve(Far)
    array = zeros(served.client)
    served.session.fails = True
    with pytest.raises(ZeroDivisionError):
        served.client.copy_to_remote(DATA, array, SIZE)
    with pytest.raises((ZeroDivisionError, RemoteError)):
        served.client.copy_from_remote(array, bytearray(SIZE), SIZE)


class Replies:
    """Stands where a dispatcher is: a session, and a note of what is replied."""

    def __init__(self, session) -> None:
        self.session = session
        self.sent: list[tuple[int, CallStatus, object]] = []

    def reply(self, request_id: int, status: CallStatus, value: object) -> None:
        self.sent.append((request_id, status, value))


def piece(target: int, *, last: bool, data: bytes = b"abcd") -> CopyToRemote:
    return CopyToRemote(7, target, 0, len(data), last, data)


def test_the_rest_of_a_stopped_upload_goes_nowhere(serve) -> None:
    session = serve(LocalSession).session
    replies = Replies(session)
    uploads = Uploads(replies)
    handle = session.call_func(session.get_function("t.zeros"), (8,)).handle
    uploads.target(piece(handle, last=False))
    uploads.receive(piece(handle, last=False))
    assert uploads.stop(7)
    uploads.target(piece(handle, last=True))[:] = b"late"
    uploads.receive(piece(handle, last=True))
    assert replies.sent == []
    assert not uploads.stop(7)
    back = bytearray(4)
    session.copy_from_remote(ArrayRef(handle), back, 4)
    assert back == b"\0\0\0\0"
    assert (uploads._open, uploads._stopped) == ({}, set())


def test_an_upload_stopped_while_the_session_still_writes_is_not_answered_twice(serve) -> None:
    class Slow(Far):
        waiting: list

        def async_copy_to_remote(self, source, target, nbytes, callback) -> None:
            self.waiting.append(callback)

    session = serve(Slow).session
    session.waiting = []
    replies = Replies(session)
    uploads = Uploads(replies)
    handle = session.call_func(session.get_function("t.zeros"), (8,)).handle
    uploads.target(piece(handle, last=True))
    uploads.receive(piece(handle, last=True))
    assert uploads.stop(7)
    session.waiting[0](CallStatus.RETURN, None)
    assert replies.sent == []
    assert (uploads._open, uploads._stopped) == ({}, set())


def test_a_stopped_download_sends_no_more(serve) -> None:
    served = serve(Far)
    array = zeros(served.client, 64 * SEND_AHEAD)
    first, go = threading.Event(), threading.Event()
    read = served.session.copy_from_remote

    def slow(source, target, nbytes) -> None:
        first.set()
        go.wait(WAIT)
        read(source, target, nbytes)

    served.session.copy_from_remote = slow
    client = served.client
    pending = client._connection.open_request()
    pending.target = memoryview(bytearray(64 * SEND_AHEAD))
    message = CopyFromRemote(pending.id, array.handle, 0, 64 * SEND_AHEAD)
    client._connection.send_request(pending, message)
    assert first.wait(WAIT)
    client._connection.post(Cancel(pending.id))
    client._connection.wait(pending)
    assert pending.status is CallStatus.CANCELLED
    go.set()
    client.ping()
    before = client.statistics()["bytes_received"]
    assert before < 8 * SEND_AHEAD
    served.session.copy_from_remote = read
    client.copy_to_remote(b"abcd", array, 4)
