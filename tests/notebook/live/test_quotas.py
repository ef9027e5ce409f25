from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.notebook.live.hub import Hub
from rpcnb.notebook.live.quotas import NAMES, quotas_of, rows

if TYPE_CHECKING:
    import rpcnb


def test_every_quota_that_is_kept_is_a_row(remote: rpcnb.Remote) -> None:
    kept = remote.stats()["there"]["quotas"]
    assert {key for key in kept if not key.endswith(("_used", "_by"))} == set(NAMES)
    found = {row["name"]: row for row in quotas_of(remote)}
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


def test_the_hub_tells_them_once_it_has_measured(remote: rpcnb.Remote) -> None:
    hub = Hub(remote)
    assert hub.session()["quotas"] == []
    hub.measure()
    assert [row["name"] for row in hub.session()["quotas"]] == list(NAMES.values())


def test_what_another_machine_says_is_a_number_or_left_out() -> None:
    told = {"memory": "<b>", "handles": -1, "spool": 5, "spool_used": 1.5, "processes": True}
    assert rows(told) == [{"name": "uploads", "most": 5, "used": None, "size": True}]
