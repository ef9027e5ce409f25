from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import rpcnb
from rpcnb.core.events import (
    CallChanged,
    CallPhase,
    CopyProgress,
    HandleFreed,
    HandleIssued,
    SessionChanged,
    SessionState,
)
from rpcnb.endpoint.client.connect import open_session
from rpcnb.notebook.live import handles
from rpcnb.notebook.live.hub import Hub, sessions, survey

if TYPE_CHECKING:
    import pytest


def test_a_snapshot_has_what_was_there_before(remote: rpcnb.Remote) -> None:
    array = remote.zeros((4, 4))
    hub = Hub(remote)
    hub.begin()
    found = hub.snapshot()
    assert [row["handle"] for row in found["handles"]] == [array.handle]
    session = found["session"]
    assert (session["name"], session["state"], session["nbytes"]) == ("lab", "live", 128)
    assert found["sessions"][0]["url"] == remote.url


def test_changes_are_told_once_and_tables_not_too_often(remote: rpcnb.Remote) -> None:
    hub = Hub(remote)
    first = hub.changes()
    assert first is not None
    assert first["session"]["handles"] == 0
    hub.feed(HandleIssued(hub.index, 99, "array", 8, "f8[1]"))
    hub.feed(CallChanged(hub.index, 5, "f", CallPhase.SENT, time=monotonic() - 1))
    second = hub.changes()
    assert second is not None
    assert [call["id"] for call in second["calls"]] == [5]
    assert "handles" not in second
    assert hub.moving()


def test_a_session_with_a_running_call_is_busy(remote: rpcnb.Remote) -> None:
    hub = Hub(remote)
    hub.feed(CallChanged(hub.index, 5, "f", CallPhase.SENT))
    assert hub.session()["state"] == "busy"
    assert hub.session()["running"] == 1


def test_the_end_of_a_session_ends_its_calls_and_handles(remote: rpcnb.Remote) -> None:
    hub = Hub(remote)
    hub.feed(CallChanged(hub.index, 5, "f", CallPhase.SENT))
    hub.feed(HandleIssued(hub.index, 99, "array", 8, "f8[1]"))
    hub.feed(SessionChanged(hub.index, "lab", SessionState.DETACHED))
    hub.feed(SessionChanged(hub.index, "lab", SessionState.LIVE))
    assert not hub.ended
    hub.feed(SessionChanged(hub.index, "lab", SessionState.LOST, "gone"))
    found: Any = hub.changes()
    assert hub.ended
    assert [(c["phase"], c["detail"]) for c in found["calls"]] == [("lost", "lost")]
    assert [h["lost"] for h in found["handles"]] == [True]
    assert not hub.moving()


def test_ribbons_that_were_dropped_are_told(
    remote: rpcnb.Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handles, "KEPT_DEAD", 1)
    hub = Hub(remote)
    for number in (98, 99):
        hub.feed(HandleIssued(hub.index, number, "array", 8, "f8[1]"))
        hub.feed(HandleFreed(hub.index, number))
    found: Any = hub.changes()
    assert found["buried"] == [98]
    assert [row["handle"] for row in found["handles"]] == [99]


def test_an_empty_table_of_sessions_is_told(remote: rpcnb.Remote) -> None:
    hub = Hub(remote)
    hub.changes()
    remote.close()
    hub.feed(SessionChanged(hub.index, "lab", SessionState.CLOSED))
    found: Any = hub.changes()
    assert found["sessions"] == []
    assert found["session"]["state"] == "closed"


def test_copies_and_stops_are_told(remote: rpcnb.Remote) -> None:
    hub = Hub(remote)
    hub.feed(CopyProgress(hub.index, 3, "upload", 5, 10))
    hub.feed(CallChanged(hub.index, 5, "f", CallPhase.SENT))
    hub.note_cancel(5)
    found: Any = hub.changes()
    assert found["copies"] == [{"id": 3, "direction": "upload", "done": 5, "total": 10}]
    assert found["calls"][0]["asked"] is True


def test_every_hop_of_a_chain_is_told_in_bar_and_table(remote: rpcnb.Remote, address: str) -> None:
    hub = Hub(remote)
    hub.measure()
    assert hub.session()["rtt"] > 0
    gateway = rpcnb.Server(name="gate", open_next=lambda: open_session(address))
    with gateway, rpcnb.connect(gateway.url) as far:
        chained = Hub(far)
        assert chained.session()["hops"] == []
        survey()
        chained.touch()
        hops = chained.session()["hops"]
        assert [hop["name"] for hop in hops] == ["gate", "lab"]
        assert hops[1]["address"] == remote.url
        assert sessions()[1]["hops"] == hops
        assert chained.moving()
