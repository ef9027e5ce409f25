"""What a copy costs in round trips, counted on the way to TVM's own server."""

from __future__ import annotations

import pytest

from benchmarks.tvm import asked_for_a_copy, copy_ours, copy_theirs, tvm_server


@pytest.mark.slow
def test_three_round_trips_of_tvms_own_client_are_one_of_ours() -> None:
    with tvm_server() as (port, _):
        assert asked_for_a_copy(port, copy_ours) == 1
        assert asked_for_a_copy(port, copy_theirs) == pytest.approx(3, abs=0.05)
