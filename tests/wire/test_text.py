from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.errors import ErrorInfo
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.testing.wire_suite import feed, to_bytes
from rpcnb.wire.messages import Goodbye, Output, Ping, Progress, Raised, Side
from rpcnb.wire.text import sendable, sendable_error, shortened, without_surrogates
from rpcnb.wire.v1 import WireV1

LONE = "file \udcff.txt"
ANY_TEXT = st.text(st.characters(), max_size=60)


def test_lone_surrogates_become_readable_escapes():
    assert without_surrogates(LONE) == r"file \udcff.txt"
    assert without_surrogates("é\0😀") == "é\0😀"


@given(text=ANY_TEXT, limit=st.integers(0, 60))
def test_shortened_text_fits_and_keeps_both_ends(text, limit):
    short = shortened(text, limit)
    assert len(short) <= limit
    short.encode()
    assert (
        short == without_surrogates(text)
        or limit < 20
        or (short[0], short[-1])
        == (
            without_surrogates(text)[0],
            without_surrogates(text)[-1],
        )
    )


@pytest.mark.parametrize(
    "message",
    [
        Output(1, "stdout", LONE),
        Progress(1, 0.5, description=LONE),
        Raised(1, ErrorInfo(LONE, LONE, "OSError", (LONE, 2), LONE, (LONE,))),
        Raised(1, ErrorInfo("ValueError", "x" * 100_000, traceback="y" * 100_000)),
        Raised(1, ErrorInfo("ValueError", "", "ValueError", ("x" * 100_000, 1 << 10_000))),
        Goodbye("x" * 100_000),
    ],
)
def test_what_a_program_says_about_itself_always_arrives(message):
    server, client = WireV1(Side.SERVER), WireV1(Side.CLIENT)
    (arrived,) = feed(client, to_bytes(server, [message]))
    assert arrived == sendable(message, DEFAULT_LIMITS)


def test_an_error_that_fits_is_not_changed():
    info = ErrorInfo("ValueError", "no", "ValueError", ("no", 1, None), "Traceback", ("hop",))
    assert sendable_error(info, DEFAULT_LIMITS) == info


def test_text_of_an_error_obeys_its_limit():
    limits = replace(DEFAULT_LIMITS, error_text=50)
    info = sendable_error(ErrorInfo("E", "m" * 51, traceback="a" + "t" * 99 + "z"), limits)
    assert len(info.message) <= 50
    assert info.traceback.startswith("at")
    assert info.traceback.endswith("tz")


def test_other_messages_are_not_touched():
    ping = Ping(1)
    assert sendable(ping, DEFAULT_LIMITS) is ping
