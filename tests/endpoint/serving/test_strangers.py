from __future__ import annotations

import pytest

from rpcnb.core.limits import Limits
from rpcnb.endpoint.serving.strangers import (
    FAILURES,
    FORGET_AFTER,
    LONGEST_WAIT,
    REMEMBERED,
    Strangers,
)
from rpcnb.transport.memory import MemoryTransport, memory_pair


class From(MemoryTransport):
    """A connection that says it comes from elsewhere."""

    def __init__(self, place: str) -> None:
        self._place = place

    @property
    def peer_address(self) -> str:
        return self._place


def far(host: str = "192.0.2.7", port: int = 1) -> From:
    return From(f"tls://{host}:{port}")


def admitted(strangers: Strangers, stranger: From) -> bool:
    gone = strangers.admit(stranger)
    strangers.leave(stranger)
    return stranger not in gone


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def strangers(clock) -> Strangers:
    return Strangers(Limits(preauth_connections=6, preauth_per_address=3), clock)


def test_of_too_many_the_first_to_come_goes(strangers) -> None:
    crowd = [From(f"tcp://127.0.0.1:{port}") for port in range(7)]
    assert [strangers.admit(one) for one in crowd[:6]] == [[]] * 6
    assert strangers.admit(crowd[6]) == [crowd[0]]
    assert strangers.all() == crowd[1:]


def test_another_machine_makes_room_for_itself_only(strangers) -> None:
    first = far("192.0.2.1")
    assert strangers.admit(first) == []
    crowd = [far("192.0.2.7", port) for port in range(5)]
    gone = [one for stranger in crowd for one in strangers.admit(stranger)]
    assert gone == crowd[:2]
    assert first in strangers.all()


def test_a_network_of_the_sixth_version_is_one_address(strangers) -> None:
    crowd = [far(f"[2001:db8:1:2::{n}]") for n in range(1, 6)]
    assert sum(len(strangers.admit(one)) for one in crowd) == 2
    assert strangers.admit(far("[2001:db8:1:3::1]")) == []


def test_who_has_proved_the_secret_is_no_stranger(strangers) -> None:
    crowd = [far() for _ in range(20)]
    for one in crowd:
        assert strangers.admit(one) == []
        strangers.leave(one)
    assert strangers.all() == []


def test_an_address_that_fails_again_and_again_has_to_wait_longer_and_longer(
    strangers, clock
) -> None:
    waits = []
    for _ in range(FAILURES - 1):
        strangers.failed(far())
        assert admitted(strangers, far())
    for _ in range(6):
        strangers.failed(far())
        begin = clock.now
        while not admitted(strangers, far()):
            clock.now += 1
        waits.append(clock.now - begin)
    assert waits == [5, 10, 20, 40, LONGEST_WAIT, LONGEST_WAIT]
    assert strangers.admit(far("192.0.2.8")) == []


def test_failures_are_forgotten(strangers, clock) -> None:
    for _ in range(FAILURES - 1):
        strangers.failed(far())
    clock.now += FORGET_AFTER + 1
    strangers.failed(far())
    assert strangers.admit(far()) == []


def test_no_user_of_this_machine_makes_another_one_wait(strangers) -> None:
    here, memory = From("tcp://127.0.0.1:5"), memory_pair()[0]
    for place in (here, From("unix:unnamed"), From("tcp://[::1]:5"), memory):
        for _ in range(3 * FAILURES):
            strangers.failed(place)
        assert strangers.admit(place) == []
        strangers.leave(place)


def test_what_is_remembered_is_bounded(strangers) -> None:
    for number in range(REMEMBERED + 100):
        strangers.failed(far(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))
    assert len(strangers._failures) == REMEMBERED
