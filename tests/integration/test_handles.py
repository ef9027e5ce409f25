"""Handles by the million: both ends forget all of them."""

from __future__ import annotations

import gc

import pytest

from rpcnb.remote.client import Remote

BATCH = 1000
ROUND = 20_000
WARM_UP = 8
"""Rounds until the worker's heap has found its size."""


def hold_and_drop(server, remote, eventually, total: int) -> None:
    with server.connect() as session:
        client = Remote(session)
        objects = client.get_function("t.objects")
        statistics, memory = client.get_function("rpcnb.statistics"), remote(session, "t.memory")

        def one_round() -> None:
            held = [objects(BATCH) for _ in range(ROUND // BATCH)]
            assert statistics()["handles"] >= ROUND
            del held
            gc.collect()

        for _ in range(WARM_UP):
            one_round()
        before_handles = 4  # the functions that this test calls
        assert eventually(lambda: statistics()["handles"] == before_handles), "left over there"
        before = memory(False)[0]
        for _ in range(total // ROUND - WARM_UP):
            one_round()
        assert eventually(lambda: statistics()["handles"] == before_handles), "left over there"
        after = memory(False)[0]
        assert session.statistics()["releases_queued"] == 0
        assert len(client.handles) <= before_handles, "handles were left here"
        assert statistics()["bad_frees"] == 0
        grown = after / before - 1
        assert grown < 0.05, (
            f"after {total:,} handles the worker is {grown:.1%} larger, promised 5 %"
        )


def test_400_000_handles_are_created_and_dropped(server, remote, eventually) -> None:
    hold_and_drop(server, remote, eventually, 400_000)


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_million_handles_are_created_and_dropped(server, remote, eventually) -> None:
    hold_and_drop(server, remote, eventually, 1_000_000)
