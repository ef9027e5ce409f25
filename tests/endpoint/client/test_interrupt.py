"""Tests of `rpcnb.endpoint.client.interrupt`: real SIGINTs to this process's main thread."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from rpcnb.endpoint.client.interrupt import InterruptShield

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def default_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_is_held_back_until_the_block_is_left() -> None:
    shield, reached = InterruptShield(), []

    def be_interrupted() -> None:
        with shield:
            signal.raise_signal(signal.SIGINT)
            reached.append(shield.count)

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    assert reached == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_was_taken_is_not_raised() -> None:
    shield = InterruptShield()
    with shield:
        signal.raise_signal(signal.SIGINT)
        assert isinstance(shield.take(), KeyboardInterrupt)
    assert shield.count == 0


def test_the_block_is_told_in_the_handler() -> None:
    shield, told = InterruptShield(), []
    with shield:
        shield.on_interrupt = lambda count, frame: told.append((count, frame is not None))
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        shield.take()
    assert told == [(1, True), (2, True)]


def test_what_a_failed_block_held_back_is_not_raised_by_the_next() -> None:
    shield = InterruptShield()

    def fail() -> None:
        with shield:
            signal.raise_signal(signal.SIGINT)
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        fail()
    with shield:
        assert shield.count == 0


def test_another_error_comes_before_a_held_interrupt() -> None:
    shield = InterruptShield()

    def fail_when_interrupted() -> None:
        with shield:
            signal.raise_signal(signal.SIGINT)
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        fail_when_interrupted()


def test_suspended_code_is_interrupted_as_ever() -> None:
    shield = InterruptShield()
    with shield:
        with pytest.raises(KeyboardInterrupt), shield.suspended():
            signal.raise_signal(signal.SIGINT)
        assert shield.count == 0
        signal.raise_signal(signal.SIGINT)
        assert shield.count == 1
        shield.take()


def test_a_block_inside_suspended_code_holds_back_too() -> None:
    shield = InterruptShield()
    with shield, shield.suspended():
        with shield:
            signal.raise_signal(signal.SIGINT)
            assert isinstance(shield.take(), KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_nested_blocks_of_one_shield_count_once() -> None:
    shield = InterruptShield()
    with shield:
        with shield:
            signal.raise_signal(signal.SIGINT)
            assert shield.count == 1
            shield.take()
        assert shield.count == 0


def test_an_inner_shield_tells_the_outer_one() -> None:
    outer, inner = InterruptShield(), InterruptShield()
    with outer, inner:
        signal.raise_signal(signal.SIGINT)
        assert (outer.count, inner.count) == (1, 1)
        inner.take()
        outer.take()


def test_a_handler_of_the_program_is_called_and_what_it_raises_is_held_back() -> None:
    calls = []

    def handler(number: int, frame: object) -> None:
        calls.append(number)
        message = "from the handler"
        raise RuntimeError(message)

    signal.signal(signal.SIGINT, handler)
    shield = InterruptShield()
    with pytest.raises(RuntimeError, match="from the handler"), shield:
        signal.raise_signal(signal.SIGINT)
    assert calls == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_ignored_interrupt_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shield = InterruptShield()
    with shield:
        signal.raise_signal(signal.SIGINT)
        assert shield.count == 1
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_are_left_alone() -> None:
    shield, handlers = InterruptShield(), []

    def enter() -> None:
        with shield, shield.suspended():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
