"""Tests of `rpcnb.session.observer`: what is there for who wants to know nothing."""

from __future__ import annotations

import pytest

from rpcnb.core.values import CallbackRef, Handle
from rpcnb.session.observer import DEFAULT_OPTIONS, ENDED_CALL, NO_OBSERVER, CallOptions


def test_nobody_observes_without_being_asked() -> None:
    NO_OBSERVER.begun(ENDED_CALL)
    NO_OBSERVER.started()
    NO_OBSERVER.progress(1, 2, "")
    NO_OBSERVER.output("stdout", "")
    with pytest.raises(RuntimeError, match="lent to nobody"):
        NO_OBSERVER.call_back(CallbackRef(Handle(1)), (), {})


def test_a_call_that_has_ended_takes_everything_and_does_nothing() -> None:
    ENDED_CALL.cancel()
    ENDED_CALL.push()
    ENDED_CALL.wait()


def test_calls_run_on_the_default_stream_and_as_long_as_they_like() -> None:
    assert CallOptions() == DEFAULT_OPTIONS
    assert (DEFAULT_OPTIONS.stream, DEFAULT_OPTIONS.timeout) == (0, None)
