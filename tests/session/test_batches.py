from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import ErrorInfo
from rpcnb.core.values import TypeCode
from rpcnb.session.batches import run_batch
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def session() -> Iterator[LocalSession]:
    with LocalSession(FunctionRegistry()) as opened:
        yield opened


def hold(session: LocalSession, function: Callable[..., object]) -> int:
    return session.handles.issue(function, TypeCode.FUNCTION)


def test_calls_run_in_order_with_their_own_arguments(session: LocalSession) -> None:
    seen: list[object] = []
    note = hold(session, lambda *args: seen.append(args) or len(seen))
    assert run_batch(session, [note, 0, note, 2, "a", None, note, 1, note]) == [[1, 2, 3], []]
    assert seen == [(), ("a", None), (note,)]


def test_what_one_raises_keeps_none_from_running(session: LocalSession) -> None:
    divide = hold(session, lambda x: 1 // x)
    results, failures = run_batch(session, [divide, 1, 1, divide, 1, 0, 999, 0, divide, 1, -1])
    assert results == [1, None, None, -1]
    assert [number for number, *_ in failures] == [1, 2]
    told = [ErrorInfo(*fields) for _, *fields in failures]
    assert told[0].type_name == "ZeroDivisionError"
    assert "999" in told[1].message


def test_coroutines_are_refused(session: LocalSession) -> None:
    async def later() -> None:
        """Never run."""

    (result,), (failure,) = run_batch(session, [hold(session, later), 0])
    assert result is None
    assert "async def" in failure[2]


def test_an_interrupt_ends_the_whole_of_it(session: LocalSession) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(session, [hold(session, interrupted), 0])
