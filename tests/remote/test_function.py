from __future__ import annotations

import gc
import inspect
import pydoc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rpcnb.core.errors import (
    DeadlineExceeded,
    EncodeError,
    InvalidHandle,
    RemoteError,
    RemoteWarning,
)
from rpcnb.remote.array import RemoteArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote


def test_a_call_returns_the_result(remote: Remote) -> None:
    add = remote.get_function("demo.add")
    assert add(1) == 2
    assert add(1, b=5) == 6


def test_a_remote_error_is_also_the_builtin(remote: Remote) -> None:
    with pytest.raises(ValueError, match="no good") as caught:
        remote.fn.demo.fail()
    assert isinstance(caught.value, RemoteError)


def test_help_and_signature_send_nothing(remote: Remote, crossings: Callable[[], int]) -> None:
    add = remote.functions["demo.add"]
    before = crossings()
    assert str(inspect.signature(add)) == "(a: int, b: int = 1) -> int"
    assert inspect.getdoc(add) == "Add two numbers."
    assert add.__name__ == "demo.add"
    assert "Add two numbers." in pydoc.render_doc(add)
    assert repr(add) == "<RemoteFunction demo.add(a: int, b: int = 1) -> int on lab>"
    assert crossings() == before


def test_a_function_known_by_name_is_looked_up_once(
    remote: Remote, crossings: Callable[[], int]
) -> None:
    add = remote.functions["demo.add"]
    before = crossings()
    add(1)
    assert crossings() == before + 2
    add(1)
    assert crossings() == before + 3


def test_a_freed_function_that_is_known_by_name_is_found_again(remote: Remote) -> None:
    add = remote.functions["demo.add"]
    add(1)
    add.free()
    assert add(1) == 2


def test_a_freed_function_says_so(remote: Remote) -> None:
    add = remote.get_function("demo.add")
    add.free()
    assert add.freed
    with pytest.raises(InvalidHandle, match="freed"):
        add(1)


def test_keyword_arguments_called_self_reach_the_function(remote: Remote) -> None:
    with pytest.raises(TypeError, match="self"):
        remote.functions["demo.add"](self=1)


def test_prints_of_a_blocking_call_appear_here(
    remote: Remote, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.warns(UserWarning, match="careful"):
        assert remote.functions["demo.chat"]() == "done"
    assert capsys.readouterr().out == "first line\n"


def test_warnings_point_at_the_line_that_called(remote: Remote) -> None:
    with pytest.warns(UserWarning, match=r"careful \(conftest\.py:\d+\)") as caught:
        remote.functions["demo.chat"]()
    assert caught[0].filename == __file__


def test_unknown_warning_categories_become_remote_warnings(remote: Remote) -> None:
    with pytest.warns(RemoteWarning, match="OddWarning: odd"):
        remote.functions["demo.warn_oddly"]()


def test_progress_goes_to_the_view_of_the_remote(remote: Remote) -> None:
    seen: list[object] = []

    class View:
        def update(self, progress: object) -> None:
            seen.append(str(progress))

        def close(self) -> None:
            seen.append("closed")

    remote.on_progress = lambda name: seen.append(name) or View()
    remote.functions["demo.work"](4)
    assert seen[0] == "demo.work"
    assert seen[-2:] == ["rows 4/4 (100%)", "closed"]


def test_local_callables_run_here(remote: Remote) -> None:
    seen: list[tuple[int, float]] = []
    remote.functions["apply"](lambda epoch, loss: seen.append((epoch, loss)), 1, 0.5)
    assert seen == [(1, 0.5)]


def test_callbacks_get_and_give_proxies(remote: Remote) -> None:
    array = remote.arange(3)
    got: list[object] = []
    back = remote.functions["apply"](lambda a: got.append(a) or a, array)
    assert isinstance(got[0], RemoteArray)
    np.testing.assert_array_equal(back.to_numpy(), [0, 1, 2])


def test_an_error_in_a_callback_reaches_the_caller(remote: Remote) -> None:
    with pytest.raises(ZeroDivisionError):
        remote.functions["apply"](lambda: 1 // 0)


def test_submit_passes_arguments_the_function_has_itself(remote: Remote) -> None:
    f = remote.functions["demo.where"]
    assert f.submit(stream="theirs", timeout=3).result(5) == ["theirs", 3]


def test_submit_runs_on_the_stream_it_is_given(remote: Remote) -> None:
    with remote.device().create_stream() as stream:
        assert remote.functions["demo.add"].submit(1, stream=stream).result(5) == 2
        stream.synchronize()


def test_options_limit_the_time_of_a_call(remote: Remote, gate: object) -> None:
    with pytest.raises(DeadlineExceeded):
        remote.functions["demo.wait"].options(timeout=0.05)()


def test_options_share_the_handle(remote: Remote) -> None:
    add = remote.get_function("demo.add")
    bound = add.options(timeout=5)
    assert bound(1) == 2
    assert bound.handle == add.handle


def test_a_stream_must_be_one_and_of_this_session(make_remote: Callable[..., Remote]) -> None:
    here, there = make_remote("here"), make_remote("there")
    add = here.functions["demo.add"]
    with pytest.raises(EncodeError, match="create_stream"):
        add.submit(1, stream="fast")
    with there.device().create_stream() as stream, pytest.raises(InvalidHandle, match="another"):
        add.submit(1, stream=stream)


def test_functions_may_be_passed_to_functions(remote: Remote) -> None:
    assert remote.functions["apply"](remote.functions["demo.add"], 1, 2) == 3


def test_what_only_a_call_holds_lives_until_the_call_has_ended(remote: Remote, gate: Any) -> None:
    blocker = remote.get_function("demo.wait").submit()
    assert gate.entered.wait(5.0)
    waiting = remote.get_function("total").submit(remote.array(np.ones(1000)))
    gc.collect()
    remote.ping()  # takes along what was released
    gate.open.set()
    assert waiting.result(5.0) == 1000
    assert blocker.result(5.0) == "waited"
    assert remote.get_function("total")(remote.array(np.ones(10))) == 10
