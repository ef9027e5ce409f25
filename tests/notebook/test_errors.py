from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import rpcnb
from rpcnb.core.errors import RemoteInterrupted, SessionError
from rpcnb.notebook.errors import (
    HOOK,
    as_one_line,
    one_line,
    render,
    without_insides,
    without_secrets,
)

if TYPE_CHECKING:
    from conftest import Shell


def test_a_remote_error_shows_the_cell_and_the_other_side(shell: Shell, address: str) -> None:
    shell.run(f"%connect_remote {address}")
    text = shell.fail("x = 1\nremote.fn.fail()")
    assert "----> 2 remote.fn.fail()" in text
    assert "RemoteValueError: no good" in text
    assert 'raise ValueError("no good")' in text
    assert "rpcnb/remote" not in text
    assert "endpoint" not in text


def test_an_address_that_was_typed_is_shown_without_its_secret() -> None:
    secret = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst"
    line = f"rpcnb.connect('rpcnb://h:1/#o2buxhj6.{secret}.{secret}', token=\"{secret}\")"
    hidden = "rpcnb.connect('rpcnb://h:1/#o2buxhj6.(secret).(secret)', token=\"(secret)\")"
    assert without_secrets(line) == hidden
    assert without_secrets(f"fingerprint={secret}") == f"fingerprint={secret}"


def test_functions_of_the_user_between_stay(shell: Shell, address: str) -> None:
    shell.run(f"%connect_remote {address}\ndef mine():\n    return remote.fn.fail()")
    assert "in mine()" in shell.fail("mine()")


def test_waiting_for_a_future_shows_the_cell_only(shell: Shell, address: str) -> None:
    shell.run(f"%connect_remote {address}\ncall = remote.fn.fail.submit()")
    text = shell.fail("call.result()")
    assert "----> 1 call.result()" in text
    assert "concurrent" not in text


def test_what_caused_an_error_is_kept_for_the_debugger(shell: Shell) -> None:
    error = SessionError("outer")
    error.__cause__ = cause = KeyError("inner")
    lines = "\n".join(render(error))
    assert "outer" in lines
    assert "inner" not in lines
    assert error.__cause__ is cause


def test_other_errors_are_shown_as_ever(shell: Shell) -> None:
    assert "ZeroDivisionError" in shell.fail("1 / 0")


def test_without_a_shell_an_error_is_a_line() -> None:
    assert render(SessionError("gone")) == ["SessionError: gone"]


def test_only_our_frames_are_left_out() -> None:
    with pytest.raises(rpcnb.AddressError) as raised:
        rpcnb.connect("nonsense")
    trace = without_insides(raised.value.__traceback__)
    assert trace is not None
    assert trace.tb_frame.f_code.co_name == "test_only_our_frames_are_left_out"
    assert trace.tb_next is None
    assert without_insides(None) is None


def test_in_a_magic_only_the_message_is_shown() -> None:
    with pytest.raises(OSError, match="full") as raised, as_one_line():
        raise OSError("the disk is full")
    assert getattr(raised.value, HOOK)() == ["OSError: the disk is full"]


def test_unloading_takes_the_hook_back(shell: Shell) -> None:
    assert hasattr(RemoteInterrupted, HOOK)
    shell.run("%unload_ext rpcnb")
    assert not hasattr(RemoteInterrupted, HOOK)
    assert not hasattr(rpcnb.RpcnbError, HOOK)
    shell.run("%load_ext rpcnb")


def test_a_line_names_the_class() -> None:
    assert one_line(ValueError("x")) == "ValueError: x"
