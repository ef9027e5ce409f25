"""Errors as data, and back."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given, strategies as st

from rpcnb.core import errors
from rpcnb.core.errors import (
    OURS_BY_NAME,
    REBUILT,
    ErrorInfo,
    FunctionNotFound,
    LimitExceeded,
    RemoteError,
    RpcnbError,
    describe_exception,
    rebuild_exception,
    remote_error_class,
)


def round_trip(error: BaseException) -> RpcnbError:
    return rebuild_exception(describe_exception(error, "the traceback"))


@pytest.mark.parametrize("cls", REBUILT, ids=lambda cls: cls.__name__)
def test_a_known_builtin_arrives_as_itself_and_as_a_remote_error(cls) -> None:
    error = round_trip(cls("why"))
    assert isinstance(error, cls)
    assert isinstance(error, RemoteError)
    assert error.remote_traceback == "the traceback"
    assert error.message in ("why", "'why'")


@pytest.mark.parametrize("name", sorted(OURS_BY_NAME))
def test_our_own_errors_arrive_as_themselves(name) -> None:
    error = round_trip(OURS_BY_NAME[name]("why"))
    assert type(error) is OURS_BY_NAME[name]
    assert "why" in str(error)
    assert error.__notes__ == ["Remote traceback:\nthe traceback"]


def test_a_subclass_arrives_as_its_nearest_known_base() -> None:
    class Mine(KeyError):
        pass

    error = round_trip(Mine("key"))
    assert isinstance(error, KeyError)
    assert error.args == ("key",)
    assert error.type_name.endswith("Mine")


@pytest.mark.parametrize("cls", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_would_end_a_process_never_does(cls) -> None:
    error = round_trip(cls("bye"))
    assert type(error) is RemoteError
    assert error.type_name == cls.__name__


def test_a_foreign_class_cannot_pose_as_one_of_ours() -> None:
    info = ErrorInfo("evil.SessionClosed", "x", "SessionClosed")
    assert not isinstance(rebuild_exception(info), errors.SessionClosed)
    assert type(rebuild_exception(ErrorInfo("os.system", "x", "os.system"))) is RemoteError


@given(st.text(), st.text(), st.text(), st.lists(st.one_of(st.text(), st.integers())))
def test_any_data_gives_an_error_that_can_be_shown(type_name, message, known, args) -> None:
    error = rebuild_exception(ErrorInfo(type_name, message, known, tuple(args), "", ("a", "b")))
    assert isinstance(error, RpcnbError)
    assert isinstance(str(error), str)


def test_an_os_error_keeps_its_number() -> None:
    error = round_trip(FileNotFoundError(errno.ENOENT, "gone", "file"))
    assert isinstance(error, FileNotFoundError)
    assert error.errno == errno.ENOENT


def test_a_function_not_found_keeps_its_near_matches() -> None:
    error = round_trip(FunctionNotFound("demo.blurr", ("demo.blur",)))
    assert isinstance(error, FunctionNotFound)
    assert error.near == ("demo.blur",)
    assert "did you mean 'demo.blur'" in str(error)


def test_an_error_without_a_text_says_so() -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "raised RuntimeError" in round_trip(Unprintable()).message


def test_what_arrived_is_passed_on_as_it_came() -> None:
    info = ErrorInfo("x.Y", "m", hops=("inner",))
    assert describe_exception(RemoteError(info), "another traceback") is info


def test_the_hops_are_named_when_there_are_several() -> None:
    text = str(RemoteError(ErrorInfo("x.Y", "m", hops=("lab", "gateway"))))
    assert text == "x.Y: m\n\nthrough lab → gateway"
    assert "through" not in str(RemoteError(ErrorInfo("x.Y", "m", hops=("lab",))))


def test_second_bases_keep_old_handlers_working() -> None:
    assert issubclass(errors.DeadlineExceeded, TimeoutError)
    assert issubclass(errors.RemoteInterrupted, KeyboardInterrupt)
    assert not issubclass(errors.RemoteInterrupted, Exception)
    assert issubclass(errors.DecodeError, ValueError)


def test_messages_of_os_errors_are_sentences() -> None:
    assert str(errors.ConnectError("nobody at host:1")) == "nobody at host:1"
    assert str(errors.PermissionDenied("not allowed")) == "not allowed"
    assert str(errors.ConnectionClosed()) == "ConnectionClosed"


def test_a_limit_names_itself() -> None:
    error = LimitExceeded("frame header", 70_000, 65_536)
    assert str(error) == "frame header of 70,000 exceeds the limit of 65,536"
    assert (error.what, error.size, error.limit) == ("frame header", 70_000, 65_536)


def test_classes_are_made_once() -> None:
    assert remote_error_class("ValueError") is remote_error_class("ValueError")
    assert remote_error_class("nothing") is RemoteError


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = errors.__doc__ or ""
    ours = [
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type)
        and issubclass(cls, BaseException)
        and cls.__module__ == errors.__name__
    ]
    assert [cls.__name__ for cls in ours if cls.__name__ not in drawn] == []
