from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rpcnb.remote.benchmark import BenchmarkResult, duration

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote


def test_a_function_is_timed_over_there(remote: Remote) -> None:
    evaluator = remote.functions["demo.add"].time_evaluator(number=3, repeat=2)
    result = evaluator(1, b=2)
    assert len(result.results) == 2
    assert 0 < result.min <= result.mean <= result.max < 1
    assert repr(evaluator) == "<TimeEvaluator of demo.add on lab>"


def test_figures_of_a_result() -> None:
    result = BenchmarkResult((1.0, 2.0, 6.0))
    assert (result.mean, result.median, result.min, result.max) == (3, 2, 1, 6)
    assert result.std == pytest.approx(2.1602, abs=1e-4)
    assert repr(result).startswith("<BenchmarkResult mean 3 s, median 2 s, std 2.16 s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2, "2 s"), (0.0123, "12.3 ms"), (45e-6, "45 µs"), (3e-9, "3 ns"), (0, "0 ns")],
)
def test_durations_are_written_with_their_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text
