"""Timing over there, the network excluded: what TVM calls a time evaluator."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from rpcnb.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@frozen
class BenchmarkResult:
    """What was measured, in seconds per call."""

    results: tuple[float, ...]
    """One mean per measurement."""

    @property
    def mean(self) -> float:
        """Mean of the measurements [s]."""
        return statistics.fmean(self.results)

    @property
    def median(self) -> float:
        """Median of the measurements [s]."""
        return statistics.median(self.results)

    @property
    def std(self) -> float:
        """Standard deviation of the measurements [s]; 0 for a single one."""
        return statistics.pstdev(self.results)

    @property
    def min(self) -> float:
        """Fastest measurement [s]."""
        return min(self.results)

    @property
    def max(self) -> float:
        """Slowest measurement [s]."""
        return max(self.results)

    def __repr__(self) -> str:
        figures = ("mean", "median", "std", "min", "max")
        text = ", ".join(f"{name} {duration(getattr(self, name))}" for name in figures)
        return f"<BenchmarkResult {text}; {len(self.results)} measurements>"


def duration(seconds: float) -> str:
    """Write a duration with the unit that fits: ``1.23 ms``."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


class TimeEvaluator:
    """Measures a remote function for given arguments.

    Parameters
    ----------
    measure : callable
        A remote function, made over there; returns seconds per call, one number per measurement.
    name : str
        Of the function that is measured.
    place : str
        Of the session that it is on; for people.
    """

    def __init__(self, measure: Callable[..., Iterable[float]], name: str, place: str) -> None:
        self._measure = measure
        self._name = name
        self._place = place

    def __call__(self, /, *args: Any, **kwargs: Any) -> BenchmarkResult:
        """Measure; blocks until done."""
        return BenchmarkResult(tuple(self._measure(*args, **kwargs)))

    def __repr__(self) -> str:
        return f"<TimeEvaluator of {self._name} on {self._place}>"
