"""Tests of `rpcnb.endpoint.tvm.turns`: who comes next."""

from __future__ import annotations

import threading

import pytest

from rpcnb.endpoint.tvm.turns import Turns

WAIT = 10.0


@pytest.fixture
def turns() -> Turns:
    return Turns()


def in_threads(*works) -> list[threading.Thread]:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    return threads


def test_turns_come_in_the_order_of_their_reservations(turns) -> None:
    order = []
    reserved = [turns.reserve() for _ in range(20)]

    def run(number: int) -> None:
        assert turns.enter(reserved[number], WAIT)
        order.append(number)
        turns.leave()

    for thread in in_threads(*(lambda n=n: run(n) for n in reversed(range(20)))):
        thread.join(WAIT)
    assert order == list(range(20))


def test_who_has_the_turn_enters_again(turns) -> None:
    assert turns.enter(turns.reserve())
    later = turns.reserve()
    assert turns.enter(turns.reserve(), 0)
    turns.leave()
    answers = []
    (other,) = in_threads(lambda: answers.append(turns.enter(later, 0)))
    other.join(WAIT)
    assert answers == [False]
    turns.leave()
    assert turns.enter(later, 0)


def test_a_turn_that_does_not_come_in_time_is_kept(turns) -> None:
    first, second = turns.reserve(), turns.reserve()
    assert not turns.enter(second, 0.001)
    assert turns.enter(first, 0)
    turns.leave()
    assert turns.enter(second, 0)


def test_a_turn_is_given_up_before_it_has_come(turns) -> None:
    first, second = turns.reserve(), turns.reserve()
    assert turns.give_up(first)
    assert not turns.give_up(first)
    assert turns.enter(second, 0)
    assert not turns.give_up(second)


def test_who_waits_for_a_turn_that_is_given_up_is_told(turns) -> None:
    assert turns.enter(turns.reserve())
    turn = turns.reserve()
    answers = []
    (waiting,) = in_threads(lambda: answers.append(turns.enter(turn, WAIT)))
    assert turns.give_up(turn)
    waiting.join(WAIT)
    assert answers == [False]


def test_only_an_idle_queue_is_entered_in_passing(turns) -> None:
    assert turns.enter_if_idle()
    assert not turns.enter_if_idle()
    turns.leave()
    turn = turns.reserve()
    assert not turns.enter_if_idle()
    assert turns.give_up(turn)
    assert turns.enter_if_idle()


def test_the_runner_goes_first(turns) -> None:
    turns.runner = threading.get_ident()
    waiting = []
    (other,) = in_threads(lambda: waiting.append(turns.reserve()))
    other.join(WAIT)
    assert turns.enter(turns.reserve(), 0)
    turns.leave()
    assert turns.enter(waiting[0], 0)
