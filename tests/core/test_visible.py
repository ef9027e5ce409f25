from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.visible import (
    coloured,
    printable_output,
    shortened,
    visible,
    without_colours,
)

ATTACKS = {
    "clears the screen": "\x1b[2J",
    "names the window": "\x1b]0;root\x07",
    "answers for the user": "\x1b[6n",
    "hides a link": "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "as one character": "\x9b2J",
    "turns a name around": "gpj.\u202eexe",
    "rings": "\x07",
    "invisible": "a\u200bb",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("made", [visible, coloured, printable_output, lambda t: shortened(t, 99)])
def test_nothing_acts_on_a_terminal_or_hides(made, text):
    shown = made(text)
    assert all(unicodedata.category(c) not in {"Cc", "Cf"} for c in shown)
    assert visible(shown) == shown


@given(st.text())
def test_what_is_visible_stays(text):
    shown = visible(text)
    assert visible(shown) == shown
    assert shown == text or not text.isprintable()
    assert coloured(coloured(text)) == coloured(text)
    assert printable_output(printable_output(text)) == printable_output(text)


def test_lines_and_colours_stay_where_they_may():
    text = "\x1b[31mred\x1b[0m \x1b[2J \x07 \u202e"
    assert coloured(text) == "\x1b[31mred\x1b[0m \\x1b[2J \\x07 \\u202e"
    assert without_colours("\x1b[31mred\x1b[0m") == "red"
    assert visible("a\n\tb\r") == "a\n\tb\\r"
    assert visible("a\nb", "") == "a\\nb"
    assert printable_output("10 %\r20 %\b\n") == "10 %\r20 %\b\n"


def test_what_is_long_is_cut():
    assert shortened("x" * 10, 10) == "x" * 10
    assert shortened("x" * 11, 10) == "x" * 9 + "…"
    assert len(shortened("\x1b" * 100, 10)) == 10
