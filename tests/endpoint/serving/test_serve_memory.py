from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import ArrayMismatch, ConnectionClosed, TransportError
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.core.values import DTypeValue, TypeCode
from rpcnb.endpoint.memory import NOTE
from rpcnb.endpoint.serving.serve_memory import AdoptedMemory
from rpcnb.session.files import WorkFolder
from rpcnb.session.local import LocalSession
from rpcnb.transport import segments, side_channel
from rpcnb.transport.descriptor import send_descriptor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memfd_create is Linux's")
MIB = 1 << 20


@pytest.fixture
def session():
    with LocalSession() as session:
        yield session


@pytest.fixture
def memory(session, tmp_path):
    memory = AdoptedMemory(session, WorkFolder(tmp_path))
    yield memory
    memory.close()


@pytest.fixture
def side(memory):
    offer = memory.offer()
    assert offer is not None
    with side_channel.connect(*offer) as side:
        yield side


def hand_over(side, number: int, nbytes: int = MIB) -> segments.Segment:
    segment, fd = segments.create(number, nbytes)
    send_descriptor(side, fd, NOTE.pack(number, nbytes))
    os.close(fd)
    return segment


def test_an_array_lies_in_the_memory_that_was_handed_over(memory, side, session) -> None:
    segment = hand_over(side, 5)
    ref = memory.adopt(CPU, 5, (10, 10), DTypeValue("<f8"), ())
    segment.view(800)[:] = np.arange(100.0).tobytes()
    assert ref.shape == (10, 10)
    assert bytes(session.host_memory(ref.handle)) == np.arange(100.0).tobytes()


def test_memory_that_is_still_referred_to_is_not_taken_again(memory, side, session) -> None:
    hand_over(side, 1)
    ref = memory.adopt(CPU, 1, (4,), DTypeValue("<f8"), ())
    assert memory.adopt(CPU, 1, (4,), DTypeValue("<f8"), ()) is None
    session.free_handle(ref.handle, ref.type_code)
    assert memory.adopt(CPU, 1, (4,), DTypeValue("<f8"), ()) is not None


def test_an_array_is_copied_into_memory_that_was_handed_over(memory, side, session) -> None:
    segment = hand_over(side, 1)
    handle = session.handles.issue(np.arange(100.0), TypeCode.ARRAY)
    assert memory.export(1, handle, 80, 160, ())
    assert bytes(segment.view(160)) == np.arange(10.0, 30.0).tobytes()
    with pytest.raises(ArrayMismatch):
        memory.export(1, handle, 0, 808, ())
    with pytest.raises(ArrayMismatch, match="do not fit"):
        memory.export(1, handle, 0, 2 * MIB, ())


def test_what_is_not_contiguous_or_has_no_room_is_not_copied_there(memory, side, session) -> None:
    hand_over(side, 1)
    strided = session.handles.issue(np.arange(100.0)[::2], TypeCode.ARRAY)
    assert not memory.export(1, strided, 0, 80, ())
    whole = session.handles.issue(np.arange(100.0), TypeCode.ARRAY)
    assert memory.adopt(CPU, 1, (4,), DTypeValue("<f8"), ()) is not None
    assert not memory.export(1, whole, 0, 80, ())


def test_segments_may_come_in_another_order_than_they_are_asked_for(memory, side) -> None:
    for number in (1, 2, 3):
        hand_over(side, number)
    assert memory.adopt(CPU, 3, (4,), DTypeValue("<f8"), ()) is not None
    assert memory.adopt(CPU, 1, (4,), DTypeValue("<f8"), ()) is not None


def test_an_array_that_does_not_fit_is_refused(memory, side) -> None:
    hand_over(side, 1)
    with pytest.raises(ArrayMismatch, match="do not fit"):
        memory.adopt(CPU, 1, (MIB,), DTypeValue("<f8"), ())


def test_a_segment_that_is_not_what_its_note_says_is_refused(memory, side) -> None:
    _, fd = segments.create(1, MIB)
    send_descriptor(side, fd, NOTE.pack(1, 2 * MIB))
    os.close(fd)
    with pytest.raises(TransportError, match="not sealed"):
        memory.adopt(CPU, 1, (4,), DTypeValue("<f8"), ())


def test_what_was_never_handed_over_is_not_waited_for_long(memory, side, monkeypatch) -> None:
    monkeypatch.setattr(side_channel, "TIMEOUT", 0.01)
    with pytest.raises(ConnectionClosed):
        memory.adopt(CPU, 1, (4,), DTypeValue("<f8"), ())


def test_nothing_is_adopted_without_an_offer(memory) -> None:
    with pytest.raises(ConnectionClosed, match="no memory was offered"):
        memory.adopt(CPU, 1, (4,), DTypeValue("<f8"), ())


def test_it_is_offered_once(memory) -> None:
    assert memory.offer() is not None
    assert memory.offer() is None


def test_without_a_folder_nothing_is_offered(session, tmp_path) -> None:
    folder = WorkFolder.to_be(DEFAULT_LIMITS)
    folder.settle(str(tmp_path / "gone" / "with all in it"))
    assert AdoptedMemory(session, folder).offer() is None


def test_an_offer_that_nobody_takes_leaves_no_file(session, tmp_path) -> None:
    memory = AdoptedMemory(session, WorkFolder(tmp_path))
    memory.offer()
    assert list(tmp_path.iterdir()) != []
    memory.close()
    assert list(tmp_path.iterdir()) == []
