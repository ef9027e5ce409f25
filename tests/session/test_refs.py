"""Tests of `rpcnb.session.refs`."""

from __future__ import annotations

from rpcnb.core.values import (
    ArrayRef,
    CallbackRef,
    FunctionRef,
    Handle,
    IteratorRef,
    ModuleRef,
    ObjectRef,
    TypeCode,
)
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.session.refs import release_refs


class Recorder(LocalSession):
    """Notes what is freed."""

    def __init__(self) -> None:
        super().__init__(FunctionRegistry())
        self.freed: list[tuple[int, TypeCode]] = []

    def free_handle(self, handle: Handle, type_code: TypeCode, count: int = 1) -> None:
        self.freed.append((handle, type_code))
        super().free_handle(handle, type_code, count)


def test_every_ref_in_a_value_is_freed_once_wherever_it_is() -> None:
    value = {
        "list": [FunctionRef(Handle(1)), (ArrayRef(Handle(2)), 5)],
        ObjectRef(Handle(3)): ModuleRef(Handle(4)),
        "iterator": IteratorRef(Handle(5)),
    }
    with Recorder() as session:
        release_refs(value, session)
    assert sorted(session.freed) == [
        (1, TypeCode.FUNCTION),
        (2, TypeCode.ARRAY),
        (3, TypeCode.OBJECT),
        (4, TypeCode.MODULE),
        (5, TypeCode.ITERATOR),
    ]


def test_what_was_lent_and_plain_values_are_left_alone() -> None:
    with Recorder() as session:
        release_refs([CallbackRef(Handle(1)), 1, "two", None, {"a": (b"",)}], session)
        release_refs("text", session)
    assert session.freed == []
