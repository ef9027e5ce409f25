"""Deadlines."""

from __future__ import annotations

import math
from time import monotonic

from hypothesis import given, strategies as st

from rpcnb.core.deadline import NEVER, Deadline


@given(st.floats(1.0, 1e6))
def test_the_remaining_time_is_what_was_given(timeout) -> None:
    remaining = Deadline.after(timeout).remaining()
    assert remaining is not None
    assert timeout - 0.5 < remaining <= timeout


def test_never_has_no_remaining_time_and_never_expires() -> None:
    assert Deadline.after(None) is NEVER
    assert NEVER.remaining() is None
    assert not NEVER.expired()
    assert math.inf == NEVER.at


def test_a_past_deadline_has_nothing_left() -> None:
    past = Deadline(monotonic() - 5)
    assert past.expired()
    assert past.remaining() == 0.0


def test_a_timeout_of_nothing_expires_at_once() -> None:
    assert Deadline.after(0.0).expired()
