"""Cases about values, functions, errors and what a call tells while it runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from rpcnb.core.errors import (
    DecodeError,
    EncodeError,
    InvalidHandle,
    RemoteError,
    SessionClosed,
)
from rpcnb.core.values import FunctionRef, Handle, IteratorRef, ObjectRef
from rpcnb.session.base import CallStatus
from rpcnb.testing.session_cases import RecordingObserver, SessionCases, needs, new_key

_REFUSED = (RemoteError, EncodeError, DecodeError, InvalidHandle)

SCALARS = [
    None,
    True,
    0,
    -(2**63),
    1.5,
    float("inf"),
    "",
    "schön 🚀",
    b"",
    b"\x00\xff",
]
VALUES = [
    2**200,
    2 + 3j,
    "nul\0inside",
    [],
    (),
    {},
    [1, (2, {"three": [4.0, None]})],
    {1: "int key", "two": b"bytes"},
    slice(1, None, 2),
    ...,
]


class CallCases(SessionCases):
    """Values, functions, errors, observers, callbacks, generators."""

    # --- values -----------------------------------------------------------------------------------

    def test_an_int_goes_out_and_comes_back(self) -> None:
        assert self.call("add_one", 41) == 42

    def test_strings_are_joined_over_there(self) -> None:
        assert self.call("strcat", "hello ", "world") == "hello world"

    @pytest.mark.parametrize("value", SCALARS, ids=repr)
    def test_every_scalar_survives(self, value: object) -> None:
        echoed = self.call("echo", value)
        assert (echoed, type(echoed)) == (value, type(value))

    @needs("containers")
    @pytest.mark.parametrize("value", VALUES, ids=repr)
    def test_every_kind_of_value_survives(self, value: object) -> None:
        echoed = self.call("echo", value)
        assert echoed == value
        assert type(echoed) is type(value)

    def test_extra_arguments_are_the_functions_own_affair(self) -> None:
        assert self.call("echo", "first", 2, 3) == "first"

    def test_no_arguments_and_no_result(self) -> None:
        assert self.call("nothing") is None

    @needs("kwargs")
    def test_keyword_arguments_arrive_by_name(self) -> None:
        assert self.call("many", 1, "b", x=None, y=[2]) == [[1, "b"], {"x": None, "y": [2]}]

    def test_a_long_string_survives(self) -> None:
        text = "0123456789" * 100_000
        assert self.call("echo", text) == text

    @needs("containers")
    def test_a_long_list_survives(self) -> None:
        numbers = list(range(100_000))
        assert self.call("echo", numbers) == numbers

    @needs("containers")
    def test_a_large_dict_survives(self) -> None:
        table = {f"key {n}": n for n in range(5000)}
        assert self.call("echo", table) == table

    # --- functions and objects ----------------------------------------------------------------------

    def test_an_unknown_name_gives_none(self) -> None:
        assert self._session.get_function("test.no_such_function") is None

    def test_two_look_ups_give_two_handles(self) -> None:
        first, second = self.function("echo"), self.function("echo")
        assert first.handle != second.handle
        self.free(first)
        assert self.call(second, 1) == 1
        self.free(second)

    def test_a_returned_closure_keeps_what_it_captured(self) -> None:
        adder = self.call("make_adder", 10)
        assert isinstance(adder, FunctionRef)
        assert self.call(adder, 5) == 15
        assert self.call("call", adder, 7) == 17
        self.free(adder)

    @needs("containers")
    def test_an_object_stays_there_and_can_be_passed_back(self) -> None:
        box = self.call("box", [1])
        assert isinstance(box, ObjectRef)
        assert self.call("append", box, 2) == 2
        assert self.call("content", box) == [1, 2]
        self.free(box)

    def test_every_return_is_a_handle_of_its_own(self) -> None:
        box = self.call("box", 1)
        again = self.call("echo", box)
        assert again.handle != box.handle
        self.free(box)
        assert self.call("content", again) == 1
        self.free(again)

    def test_a_freed_handle_is_refused(self) -> None:
        box = self.call("box", 1)
        self.free(box)
        with pytest.raises(_REFUSED, match=f"handle {box.handle}"):
            self.call("content", box)

    def test_a_handle_nobody_issued_is_refused(self) -> None:
        with pytest.raises(_REFUSED, match="handle"):
            self.call("content", ObjectRef(Handle(10**12)))

    def test_a_handle_of_another_kind_is_refused(self) -> None:
        box = self.call("box", 1)
        with pytest.raises(_REFUSED, match="handle"):
            self._session.call_func(FunctionRef(box.handle), ())
        self.free(box)

    def test_a_double_free_is_counted_and_harmless(self) -> None:
        box = self.call("box", 1)
        before = self.statistics()["bad_frees"]
        self.free(box)
        self.free(box)
        assert self.call("add_one", 1) == 2
        self.eventually(lambda: self.statistics()["bad_frees"] == before + 1)

    def test_handles_end_where_they_began(self) -> None:
        before = self.statistics()["handles"]
        for _ in range(20):
            box = self.call("box", 1)
            adder = self.call("make_adder", 1)
            self.free(box)
            self.free(adder)
        self.eventually(lambda: self.statistics()["handles"] == before)

    def test_threads_that_contend_get_their_own_answers(self) -> None:
        def work(worker: int) -> list[int]:
            return [self.call("echo", 1000 * worker + n) for n in range(100)]

        with ThreadPoolExecutor(2) as pool:
            for worker, answers in enumerate(pool.map(work, range(2))):
                assert answers == [1000 * worker + n for n in range(100)]

    # --- errors ---------------------------------------------------------------------------------------

    @needs("typed_errors")
    def test_a_known_error_is_also_the_builtin(self) -> None:
        with pytest.raises(ValueError, match="what went wrong") as caught:
            self.call("fail", "ValueError", "what went wrong")
        assert isinstance(caught.value, RemoteError)
        assert caught.value.type_name == "ValueError"
        assert caught.value.message == "what went wrong"

    @needs("typed_errors")
    def test_a_key_error_keeps_its_key(self) -> None:
        with pytest.raises(KeyError) as caught:
            self.call("fail", "KeyError", "the key")
        assert caught.value.args == ("the key",)

    @needs("typed_errors")
    def test_an_unknown_class_arrives_by_name(self) -> None:
        with pytest.raises(RemoteError, match="hm") as caught:
            self.call("fail", "CustomError", "hm")
        assert caught.value.type_name.endswith("CustomError")

    @needs("typed_errors")
    def test_the_traceback_begins_in_the_users_code(self) -> None:
        with pytest.raises(RemoteError) as caught:
            self.call("fail", "ValueError", "x")
        lines = caught.value.remote_traceback.splitlines()
        assert lines[0].startswith("Traceback")
        assert "session_functions.py" in lines[1]
        assert "raise _ERRORS[kind](message)" in lines[2]

    @needs("typed_errors")
    @pytest.mark.parametrize(
        ("kind", "named"),
        [("UnprintableError", "UnprintableError"), ("MemoryError", "MemoryError")],
    )
    def test_hard_errors_are_survived(self, kind: str, named: str) -> None:
        with pytest.raises(RemoteError) as caught:
            self.call("fail", kind, "x")
        assert caught.value.type_name.endswith(named)
        assert self.call("add_one", 1) == 2

    @needs("typed_errors")
    def test_endless_recursion_is_survived(self) -> None:
        with pytest.raises(RecursionError) as caught:
            self.call("recurse")
        assert len(str(caught.value)) < 64 * 1024
        assert self.call("add_one", 1) == 2

    @needs("typed_errors")
    def test_exit_ends_the_call_only(self) -> None:
        with pytest.raises(RemoteError) as caught:
            self.call("exit", 3)
        assert caught.value.type_name == "SystemExit"
        assert self.call("add_one", 1) == 2

    @needs("typed_errors")
    def test_an_error_of_an_asynchronous_call_reaches_the_callback(self) -> None:
        started = self.start("fail", "ValueError", "later")
        assert started.status() is CallStatus.EXCEPTION
        with pytest.raises(ValueError, match="later"):
            started.result()

    # --- what a call tells ------------------------------------------------------------------------------

    @needs("progress")
    def test_progress_comes_in_order_and_ends_complete(self) -> None:
        observer = RecordingObserver()
        assert self.call("progress", 500, observer=observer) == 500
        done = [report[0] for report in observer.reports]
        assert done == sorted(done)
        assert list(observer.reports[-1]) == [500, 500, "steps"]
        assert len(done) < 100

    @needs("output")
    def test_text_comes_in_order(self) -> None:
        observer = RecordingObserver()
        self.call("print_lines", 9, observer=observer)
        assert observer.text("stdout") == "0\n1\n3\n4\n6\n7\n"
        assert observer.text("stderr") == "2\n5\n8\n"
        together = "".join(text for _, text in observer.texts)
        assert together == "".join(f"{n}\n" for n in range(9))

    @needs("output")
    def test_warnings_come_as_such(self) -> None:
        observer = RecordingObserver()
        self.call("warn", "careful", observer=observer)
        assert "UserWarning: careful" in observer.text("warning")

    @needs("output", "progress", "true_async")
    def test_everything_is_told_before_the_end(self) -> None:
        observer = RecordingObserver()
        started = self.start("print_lines", 5, observer=observer)
        started.status()
        assert observer.text("stdout").endswith("4\n")

    # --- callbacks --------------------------------------------------------------------------------------

    @needs("callbacks")
    def test_a_lent_function_runs_here(self) -> None:
        seen: list[int] = []

        def double(number: int) -> int:
            seen.append(number)
            return number * 2

        observer = RecordingObserver(double)
        assert self.call("call_each", observer.lend(), [1, 2, 3], observer=observer) == [2, 4, 6]
        assert seen == [1, 2, 3]

    @needs("callbacks", "kwargs")
    def test_a_function_can_be_lent_by_name(self) -> None:
        observer = RecordingObserver(str)
        assert self.call("call_named", callback=observer.lend(), value=7, observer=observer) == "7"

    @needs("callbacks")
    def test_a_lent_function_may_call_back_into_the_session(self) -> None:
        observer = RecordingObserver(lambda n: self.call("add_one", n))
        assert self.call("call", observer.lend(), 1, observer=observer) == 2

    @needs("callbacks")
    def test_calls_may_nest_deeper(self) -> None:
        def descend(depth: int) -> int:
            if depth == 0:
                return 0
            observer = RecordingObserver(descend)
            return 1 + int(self.call("call", observer.lend(), depth - 1, observer=observer))

        assert descend(5) == 5

    @needs("callbacks")
    def test_an_error_of_a_lent_function_comes_back_through(self) -> None:
        def fail(text: str) -> None:
            raise LookupError(text)

        observer = RecordingObserver(fail)
        with pytest.raises(LookupError, match="mine"):
            self.call("call", observer.lend(), "mine", observer=observer)

    # --- generators -------------------------------------------------------------------------------------

    @needs("generators")
    def test_a_generators_items_come_in_order(self) -> None:
        iterator = self.call("numbers", 5)
        assert isinstance(iterator, IteratorRef)
        assert self.call("rpcnb.next", iterator, 2, 60.0) == ([0, 1], False)
        assert self.call("rpcnb.next", iterator, 9, 60.0) == ([2, 3, 4], True)
        assert self.call("rpcnb.next", iterator, 9, 60.0) == ([], True)
        self.free(iterator)

    @needs("generators")
    def test_freeing_a_generator_early_runs_its_end(self) -> None:
        key = new_key()
        iterator = self.call("numbers", 5, key)
        self.call("rpcnb.next", iterator, 1, 0.0)
        assert not self.call("released", key)
        self.free(iterator)
        self.eventually(lambda: self.call("released", key))

    @needs("generators")
    def test_items_before_an_error_are_not_lost(self) -> None:
        iterator = self.call("numbers_then_fail", 2)
        assert self.call("rpcnb.next", iterator, 9, 60.0) == ([0, 1], False)
        with pytest.raises(ValueError, match="in the middle"):
            self.call("rpcnb.next", iterator, 9, 60.0)
        self.free(iterator)

    # --- the end ----------------------------------------------------------------------------------------

    def test_after_shutdown_everything_is_refused(self) -> None:
        function = self.function("echo")
        self._session.shutdown()
        self._session.shutdown()
        with pytest.raises(SessionClosed):
            self._session.call_func(function, (1,))
        with pytest.raises(SessionClosed):
            self._session.get_function("test.echo")
        self.free(function)
