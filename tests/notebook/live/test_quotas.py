from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import rpcnb
from rpcnb.core.errors import RpcnbError
from rpcnb.core.events import EVENTS
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.notebook.live.hub import Hub
from rpcnb.notebook.live.quotas import ASKED, NAMES, ask, rows

if TYPE_CHECKING:
    from collections.abc import Callable


def test_every_quota_that_is_kept_is_a_row(
    remote: rpcnb.Remote, eventually: Callable[..., bool]
) -> None:
    kept = remote.stats()["there"]["quotas"]
    assert {key for key in kept if not key.endswith(("_used", "_by"))} == set(NAMES)
    told: list[list[dict[str, Any]]] = []
    ask(remote, told.append).result(10)
    assert eventually(lambda: bool(told))
    found = {row["name"]: row for row in told[0]}
    assert list(found) == list(NAMES.values())
    assert found["handles"]["most"] == DEFAULT_LIMITS.handles
    assert found["handles"]["used"] >= 0
    assert found["queued calls"]["used"] == 1, "the one that asks"
    assert found["uploads"] == {
        "name": "uploads",
        "most": DEFAULT_LIMITS.upload_spool,
        "used": 0,
        "size": True,
    }


def test_the_hub_tells_them_once_it_has_measured(
    remote: rpcnb.Remote, eventually: Callable[..., bool]
) -> None:
    hub = Hub(remote)
    assert hub.session()["quotas"] == []
    with EVENTS.subscribe(100) as events:
        hub.measure()
        assert eventually(lambda: hub.session()["quotas"] != [])
        for event in events.drain():
            if event.session == hub.index:  # the server is in this process
                hub.feed(event)
    assert [row["name"] for row in hub.session()["quotas"]] == list(NAMES.values())
    assert hub.snapshot()["calls"] == [], "its own call is none of the user's"


def test_a_session_that_is_over_says_nothing(address: str) -> None:
    told: list[list[dict[str, Any]]] = []
    remote = rpcnb.connect(address)
    remote.builtin(ASKED)  # which is looked up once
    remote.close()
    with pytest.raises(RpcnbError):
        ask(remote, told.append).result(10)
    assert told == []


def test_what_another_machine_says_is_a_number_or_left_out() -> None:
    told = {"memory": "<b>", "handles": -1, "spool": 5, "spool_used": 1.5, "processes": True}
    assert rows(told) == [{"name": "uploads", "most": 5, "used": None, "size": True}]
