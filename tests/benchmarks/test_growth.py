from __future__ import annotations

import pytest

from benchmarks import growth


def test_counts_go_by_powers_of_ten() -> None:
    assert growth.powers(1000) == [1, 10, 100, 1000]
    assert growth.powers(10**6)[-1] == 10**6


@pytest.mark.slow
def test_a_little_of_everything_is_measured_shown_and_drawn(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(growth, "CALLS", 20)
    found = growth.measure({"handles": 10, "sessions": 1, "hops": 2})
    assert [point["count"] for point in found["handles"]] == [1, 10]
    assert [point["count"] for point in found["hops"]] == [1, 2]
    assert all(point["ratio"] > 0.5 for points in found.values() for point in points)
    assert found["sessions"][0]["bytes"] > 1e6
    assert "sessions: 1" in growth.table(found)
    growth.draw(found, tmp_path / "growth.svg")
    assert "hops" in (tmp_path / "growth.svg").read_text()
