"""Tests of `rpcnb.wire.messages`."""

from __future__ import annotations

import pytest

from rpcnb.wire.messages import CallFunc, Ping, Return, in_full


@pytest.mark.parametrize(
    ("short", "message"),
    [
        ((1, 2, (3,), {"x": 4}), CallFunc(1, 2, (3,), {"x": 4})),
        ((5, None), Return(5, None)),
    ],
)
def test_a_short_message_is_the_message_with_the_usual_rest(short, message) -> None:
    assert type(in_full(short)) is type(message)
    assert in_full(short) == message


def test_a_message_in_full_stays_as_it_is() -> None:
    message = Ping(1)
    assert in_full(message) is message
