from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import InvalidHandle
from rpcnb.core.events import EVENTS, HandleFreed
from rpcnb.remote.pins import pins

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote


def alive(remote: Remote) -> list[int]:
    return [row.handle for row in remote.handles if row.kind == "array"]


def test_what_is_pinned_outlives_its_last_name(remote: Remote) -> None:
    array = remote.zeros(3)
    number = array.handle
    array.pin()
    del array
    assert alive(remote) == [number]
    again = remote.handle(number)
    again.unpin()
    assert alive(remote) == [number]
    del again
    assert alive(remote) == []


def test_a_pin_for_a_time_ends_by_itself(remote: Remote) -> None:
    array = remote.zeros(3)
    freed = threading.Event()
    with EVENTS.subscribe(on_ready=freed.set) as events:
        array.pin(minutes=0.05 / 60)
        assert pins(remote)[array.owner].until == pytest.approx(time.time(), abs=1)
        number = array.handle
        del array
        while not any(isinstance(e, HandleFreed) and e.handle == number for e in events.drain()):
            assert freed.wait(10)
            freed.clear()
    assert alive(remote) == []
    assert pins(remote) == {}


def test_the_last_pin_counts(remote: Remote) -> None:
    array = remote.zeros(3)
    array.pin(minutes=60)
    timer = pins(remote)[array.owner].timer
    assert timer is not None
    array.pin()
    assert timer.finished.is_set()
    assert pins(remote)[array.owner].until is None
    array.unpin()


def test_freeing_ends_a_pin(remote: Remote) -> None:
    array = remote.zeros(3)
    array.pin()
    array.free()
    assert pins(remote) == {}
    with pytest.raises(InvalidHandle, match="was freed"):
        array.pin()
    array.unpin()


def test_the_end_of_a_session_ends_its_pins(remote: Remote) -> None:
    array = remote.zeros(3)
    array.pin(minutes=60)
    timer = pins(remote)[array.owner].timer
    assert timer is not None
    remote.close()
    assert timer.finished.is_set()
    assert pins(remote) == {}
