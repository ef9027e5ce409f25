from __future__ import annotations

import functools
import operator
import threading
import tracemalloc

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from rpcnb.core.errors import InvalidHandle, SessionError
from rpcnb.core.values import TypeCode
from rpcnb.session.handles import FIRST_PROMISED, HandleTable

KINDS = st.sampled_from(TypeCode)


class HandleMachine(RuleBasedStateMachine):
    """The table against a dict that remembers everything."""

    live = Bundle("live")
    dead = Bundle("dead")

    def __init__(self) -> None:
        super().__init__()
        self.table = HandleTable()
        self.model: dict[int, tuple[TypeCode, object]] = {}
        self.issued = 0
        self.over_frees = 0

    @rule(target=live, code=KINDS)
    def issue(self, code: TypeCode) -> int:
        obj = object()
        handle = self.table.issue(obj, code)
        self.issued += 1
        assert handle == self.issued
        self.model[handle] = (code, obj)
        return handle

    @rule(handle=live)
    def get(self, handle: int) -> None:
        code, obj = self.model[handle]
        assert self.table.get(handle) is obj
        assert self.table.get(handle, code) is obj

    @rule(handle=live, code=KINDS)
    def get_as_another_kind(self, handle: int, code: TypeCode) -> None:
        if code is not self.model[handle][0]:
            with pytest.raises(InvalidHandle, match=f"not {code.name}"):
                self.table.get(handle, code)

    @rule(handle=live, code=KINDS)
    def free_as_another_kind(self, handle: int, code: TypeCode) -> None:
        if code is not self.model[handle][0]:
            with pytest.raises(InvalidHandle, match=f"not {code.name}"):
                self.table.free(handle, code)
            self.over_frees += 1

    @rule(target=dead, handle=consumes(live), count=st.integers(1, 3))
    def free(self, handle: int, count: int) -> int:
        code, _ = self.model.pop(handle)
        self.table.free(handle, code, count)
        self.over_frees += count - 1
        return handle

    @rule(handle=dead, code=KINDS)
    def free_twice(self, handle: int, code: TypeCode) -> None:
        with pytest.raises(InvalidHandle, match="was freed"):
            self.table.free(handle, code)
        self.over_frees += 1

    @rule(handle=dead)
    def get_what_was_freed(self, handle: int) -> None:
        with pytest.raises(InvalidHandle, match="was freed"):
            self.table.get(handle)

    @rule(distance=st.integers(1, 1 << 62))
    def get_what_never_was(self, distance: int) -> None:
        for handle in (self.issued + distance, 1 - distance):
            with pytest.raises(InvalidHandle, match="never issued"):
                self.table.get(handle)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert len(self.table) == len(self.model)
        assert [(e.handle, (e.type_code, e.object)) for e in self.table.entries()] == list(
            self.model.items()
        )
        assert self.table.invalid_frees == self.over_frees


HandleMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestHandleMachine = HandleMachine.TestCase


def test_clear_returns_what_was_held_and_forgets_it() -> None:
    table = HandleTable()
    objects = [object() for _ in range(3)]
    handles = [table.issue(obj, TypeCode.OBJECT) for obj in objects]
    assert sorted(map(id, table.clear())) == sorted(map(id, objects))
    assert len(table) == 0
    with pytest.raises(InvalidHandle, match="was freed"):
        table.get(handles[1])
    assert table.issue(object(), TypeCode.OBJECT) == 4


def test_the_limit_is_an_error_and_freeing_makes_room() -> None:
    table = HandleTable(limit=2)
    first = table.issue(object(), TypeCode.OBJECT)
    table.issue(object(), TypeCode.OBJECT)
    with pytest.raises(SessionError, match="its limit"):
        table.issue(object(), TypeCode.OBJECT)
    table.free(first, TypeCode.OBJECT)
    assert table.issue(object(), TypeCode.OBJECT) == 3


def test_a_finalizer_of_what_is_freed_may_use_the_table() -> None:
    table = HandleTable()
    seen = []

    class Nosy:
        def __del__(self) -> None:
            table.issue("from the finalizer", TypeCode.OBJECT)
            seen.append(len(table))

    handle = table.issue(Nosy(), TypeCode.OBJECT)
    table.free(handle, TypeCode.OBJECT)
    table.issue(Nosy(), TypeCode.OBJECT)
    dropped = table.clear()
    del dropped
    assert seen == [1, 1]


def test_threads_get_distinct_handles_and_free_each_once() -> None:
    table = HandleTable()
    handles: list[list[int]] = [[] for _ in range(4)]
    errors: list[int] = []

    def issue(mine: list[int]) -> None:
        mine.extend(table.issue(mine, TypeCode.OBJECT) for _ in range(500))

    def free() -> None:
        for handle in range(1, 2001):
            try:
                table.free(handle, TypeCode.OBJECT)
            except InvalidHandle:
                errors.append(handle)

    for target, args in ((issue, [(mine,) for mine in handles]), (free, [()] * 2)):
        threads = [threading.Thread(target=target, args=arg) for arg in args]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert sorted(functools.reduce(operator.iadd, handles, [])) == list(range(1, 2001))
    assert len(table) == 0
    assert sorted(errors) == list(range(1, 2001))


def test_an_entry_takes_at_most_200_bytes() -> None:
    table, count = HandleTable(), 20_000
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(count):
        table.issue(None, TypeCode.OBJECT)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used / count <= 200


def test_a_promised_handle_given_up_before_it_is_bound_is_never_held() -> None:
    table = HandleTable()
    for handle in (FIRST_PROMISED, FIRST_PROMISED + 1):
        table.free(handle, TypeCode.ARRAY)
    table.bind(FIRST_PROMISED, "array", TypeCode.ARRAY)
    table.fail(FIRST_PROMISED + 1, "no")
    assert len(table) == table.invalid_frees == 0


def test_a_promise_that_failed_says_so_and_can_be_freed() -> None:
    table = HandleTable()
    table.fail(FIRST_PROMISED, "ValueError: no")
    assert len(table) == 1
    assert table.entries() == []
    for ask in (None, TypeCode.ARRAY):
        with pytest.raises(InvalidHandle, match="never made: ValueError: no"):
            table.get(FIRST_PROMISED, ask)
    table.free(FIRST_PROMISED, TypeCode.ARRAY)
    assert len(table) == 0


def test_only_handles_that_callers_may_choose_are_bound_and_once() -> None:
    table = HandleTable(limit=2)
    table.bind(FIRST_PROMISED, "a", TypeCode.ARRAY)
    for handle in (FIRST_PROMISED, 3):
        with pytest.raises(InvalidHandle, match="cannot be promised"):
            table.bind(handle, "b", TypeCode.ARRAY)
    table.issue("c", TypeCode.OBJECT)
    with pytest.raises(SessionError, match="limit"):
        table.bind(FIRST_PROMISED + 1, "d", TypeCode.ARRAY)
    with pytest.raises(InvalidHandle):
        table.free(FIRST_PROMISED, TypeCode.OBJECT)


def test_what_is_given_up_early_for_ever_is_bounded() -> None:
    table = HandleTable(limit=3)
    for handle in range(FIRST_PROMISED, FIRST_PROMISED + 3):
        table.free(handle, TypeCode.ARRAY)
    with pytest.raises(InvalidHandle):
        table.free(FIRST_PROMISED + 3, TypeCode.ARRAY)
