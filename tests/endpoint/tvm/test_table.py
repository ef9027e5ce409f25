"""Tests of `rpcnb.endpoint.tvm.table`: numbers instead of addresses."""

from __future__ import annotations

import pytest

from rpcnb.core.errors import InvalidHandle, LimitExceeded
from rpcnb.core.limits import Limits
from rpcnb.endpoint.tvm import table as module
from rpcnb.endpoint.tvm.table import NumberTable, Offer, SystemLibrary
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession


@pytest.fixture
def session():
    registry = FunctionRegistry()
    registry.add("t.one", lambda: 1)
    with LocalSession(registry) as session:
        yield session


def test_a_number_is_given_once_and_freed_once(session) -> None:
    table = NumberTable()
    ref = session.get_function("t.one")
    numbers = [table.give(ref), table.give(SystemLibrary())]
    assert 0 not in numbers
    assert len({*numbers, table.give(ref)}) == len(table) == 3
    assert table.find(numbers[0]) is ref
    table.free(numbers[0], session)
    assert not len(session.handles)
    for use in (table.find, lambda number: table.free(number, session)):
        with pytest.raises(InvalidHandle, match="given back"):
            use(numbers[0])


def test_an_offer_gives_back_what_it_keeps(session) -> None:
    table = NumberTable()
    number = table.give(Offer(lambda: None, (session.get_function("t.one"),)))
    table.free(number, session)
    assert not len(session.handles)


def test_nobody_holds_without_end(monkeypatch) -> None:
    monkeypatch.setattr(module, "DEFAULT_LIMITS", Limits(handles=2))
    table = NumberTable()
    for _ in range(2):
        table.give(SystemLibrary())
    with pytest.raises(LimitExceeded, match="handles"):
        table.give(SystemLibrary())
