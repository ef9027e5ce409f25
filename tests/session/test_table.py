from __future__ import annotations

import gc
import threading

import pytest

from rpcnb.session.table import SessionTable


class Session:
    pass


def test_a_session_keeps_its_index() -> None:
    table, first, second = SessionTable(), Session(), Session()
    assert [table.index_of(s) for s in (first, second, first)] == [0, 1, 0]
    assert table.get(0) is first
    assert table.get(1) is second
    assert len(table) == 2


def test_an_index_is_never_given_to_another_session() -> None:
    table, first = SessionTable(), Session()
    table.index_of(first)
    del first
    gc.collect()
    assert len(table) == 0
    with pytest.raises(LookupError, match="no live session has the table index 0"):
        table.get(0)
    later = Session()
    assert table.index_of(later) == 1


def test_more_sessions_fit_than_in_the_seeds_32_slots() -> None:
    table, sessions = SessionTable(), [Session() for _ in range(200)]
    assert [table.index_of(s) for s in sessions] == list(range(200))


@pytest.mark.parametrize("index", [-1, 0, 1 << 70])
def test_an_index_that_never_was_is_a_lookup_error(index: int) -> None:
    with pytest.raises(LookupError):
        SessionTable().get(index)


def test_threads_agree_on_the_index() -> None:
    table, sessions = SessionTable(), [Session() for _ in range(50)]
    found: list[list[int]] = []

    def ask() -> None:
        found.append([table.index_of(s) for s in sessions])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(found[0]) == list(range(50))
    assert found == [found[0]] * 4


class Asking:
    """Asks for an index as it is collected, as the finalizer of a proxy does."""

    def __init__(self, ask) -> None:
        self.ask = ask
        self.itself = self  # only the collector ends it

    def __del__(self) -> None:
        self.ask()


class CollectingHash:
    """Runs the collector in the middle of a look-up."""

    def __hash__(self) -> int:
        gc.collect()
        return 1


def test_a_collection_in_the_middle_of_a_look_up_may_ask_itself() -> None:
    table, other, session, asked = SessionTable(), Session(), CollectingHash(), []
    Asking(lambda: asked.append((table.index_of(other), len(table))))
    assert table.index_of(session) >= 0
    assert len(asked) == 1
    assert table.index_of(other) == asked[0][0] != table.index_of(session)
