from __future__ import annotations

import pytest
from hypothesis import given

from rpcnb.core.errors import ErrorInfo
from rpcnb.core.values import ArrayRef, DenseArray, Handle
from rpcnb.testing.strategies import messages, values
from rpcnb.wire.messages import CallFunc, Cancel, FreeHandles, Goodbye, Raised, Return, Side
from rpcnb.wire.trace import LONGEST, describe, short


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (Cancel(7), "Cancel #7"),
        (Goodbye("done"), "Goodbye reason='done' error=False keep=False"),
        (FreeHandles(((1, 2, 1),)), "FreeHandles handles=((1, 2, 1))"),
        (Return(3, [1, 2.5, None]), "Return #3 value=[1, 2.5, None] elapsed=0.0"),
        (
            CallFunc(1, 2, (ArrayRef(Handle(9)), {"k": b"xy"}), stream=4),
            (
                "CallFunc #1 function=2 args=(<ArrayRef 9>, {'k': <2 bytes>}) "
                "kwargs={} stream=4 timeout=None parent=0"
            ),
        ),
        (
            Raised(1, ErrorInfo("ValueError", "no")),
            "Raised #1 error=<ValueError: 'no'>",
        ),
    ],
)
def test_a_message_is_one_line(message, line):
    assert describe(message) == line


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 << 9000, "<int of 9,001 bits>"),
        (slice(1, 1 << 9000), "slice(1, <int of 9,001 bits>, None)"),
        (list(range(1000)), "<list of 1,000>"),
        ({i: i for i in range(9)}, "<dict of 9>"),
        ([[[[]]]], "[[<list of 1>]]"),
        (DenseArray("<f8", (2,), bytes(16)), "<array (2) '<f8'>"),
        (object(), "<object>"),
    ],
)
def test_a_value_is_short(value, text):
    assert short(value) == text


def test_long_text_says_how_long():
    assert short("x" * 5000).endswith("… 5,000 characters")


@given(value=values())
def test_no_value_is_long_or_obeyed_by_a_terminal(value):
    text = short(value)
    assert len(text) <= LONGEST
    assert text.isprintable()


@given(message=messages(Side.CLIENT) | messages(Side.SERVER))
def test_no_line_is_long_or_breaks(message):
    line = describe(message)
    assert len(line) <= 8 * (LONGEST + 20)
    assert line.isprintable()
