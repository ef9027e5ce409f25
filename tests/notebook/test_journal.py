from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.core.errors import RemoteError
from rpcnb.core.events import EVENTS
from rpcnb.notebook.journal import Journal, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    import rpcnb


@pytest.fixture
def journal() -> Iterator[Journal]:
    journal = Journal()
    journal.begin("test")
    yield journal
    journal.end("test")


def test_it_records_while_somebody_wants_it() -> None:
    journal, before = Journal(), len(EVENTS.subscriptions)
    journal.begin("one")
    journal.begin("two")
    journal.begin("one")
    assert len(EVENTS.subscriptions) == before + 1
    journal.end("one")
    assert journal.open
    journal.end("two")
    journal.end("two")
    assert not journal.open
    assert len(EVENTS.subscriptions) == before


def test_what_a_session_did_is_counted_since_the_last_time(
    remote: rpcnb.Remote, journal: Journal
) -> None:
    index = remote.session.table_index
    array = remote.fn.make(2)
    remote.fn.lab.add(1)
    tally = journal.take()[index]
    assert (tally.calls, tally.made) == (2, 3)  # an array, and two functions that were looked up
    assert tally.seconds > 0
    assert journal.take() == {}
    del array


def test_what_views_and_the_end_of_a_cell_ask_is_no_call_of_the_users(
    remote: rpcnb.Remote, journal: Journal
) -> None:
    remote.functions.fetch()
    remote.stats()
    assert remote.session.statistics()["calls"] == 2
    session = remote.session.table_index
    assert journal.calls(session).rows() == []
    assert journal.take().get(session, Tally()).calls == 0


def test_copies_are_counted_by_what_moved(remote: rpcnb.Remote, journal: Journal) -> None:
    array = remote.array(np.zeros(1 << 20, np.uint8))
    array.to_numpy()
    assert journal.take()[remote.session.table_index].copied == 2 << 20


def test_how_calls_ended_is_known(remote: rpcnb.Remote, journal: Journal) -> None:
    with pytest.raises(RemoteError):
        remote.fn.fail()
    (row,) = journal.calls(remote.session.table_index).rows()
    assert (row["name"], row["phase"]) == ("fail", "failed")
    assert row["detail"] == "ValueError: no good"
