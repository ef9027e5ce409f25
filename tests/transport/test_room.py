"""Tests of `rpcnb.transport.room`: buffers that grow with what comes."""

from __future__ import annotations

from rpcnb.core.limits import KIB
from rpcnb.transport.room import FIRST, GrowingRoom


def test_room_grows_only_when_it_was_filled_and_up_to_its_limit() -> None:
    room = GrowingRoom(100 * KIB)
    room.note(FIRST - 1)
    assert len(room.view) == FIRST
    sizes = []
    for _ in range(3):
        room.note(len(room.view))
        sizes.append(len(room.view))
    assert sizes == [4 * FIRST, 100 * KIB, 100 * KIB]


def test_room_is_never_larger_than_its_limit() -> None:
    assert len(GrowingRoom(100).view) == 100
