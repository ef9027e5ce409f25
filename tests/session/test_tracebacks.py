"""What a failed call tells its caller."""

from __future__ import annotations

import pytest

from rpcnb.session.interrupts import ThreadGate
from rpcnb.session.tracebacks import describe_failure

LIMIT = 4096


def raised(function, *args) -> BaseException:
    with pytest.raises(BaseException) as caught:
        ThreadGate().run(function, args, {})
    caught.value.__traceback__ = caught.value.__traceback__.tb_next  # this file's own frame
    return caught.value


def user_function(message: str) -> None:
    raise ValueError(message)


def test_the_traceback_begins_in_the_users_function() -> None:
    info = describe_failure(raised(user_function, "why"), "lab", LIMIT)
    lines = info.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "in user_function" in lines[1]
    assert lines[2].strip() == "raise ValueError(message)"
    assert lines[-1] == "ValueError: why"
    assert info.hops == ("lab",)


def test_long_texts_are_bounded_at_both_ends() -> None:
    info = describe_failure(raised(user_function, "a" * 10**6 + "end"), "lab", LIMIT)
    assert len(info.message) <= LIMIT
    assert len(info.traceback) <= LIMIT
    assert info.args == ()
    assert info.message.startswith("aaa")
    assert info.message.endswith("end")
    assert "characters left out" in info.message


def test_causes_are_shown() -> None:
    def chain() -> None:
        try:
            user_function("first")
        except ValueError as error:
            raise KeyError("second") from error

    text = describe_failure(raised(chain), "", LIMIT).traceback
    assert text.index("first") < text.index("direct cause") < text.index("KeyError: 'second'")


class Hostile(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt

    @property
    def __notes__(self):
        raise SystemExit


def test_no_exception_class_can_break_it() -> None:
    def fail() -> None:
        raise Hostile(1)

    info = describe_failure(raised(fail), "lab", LIMIT)
    assert info.type_name.endswith("Hostile")
    assert "raised" in info.message
