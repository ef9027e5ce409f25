"""What an array says of itself without being sent: its text, and figures of its content."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_CHUNK = 1 << 20
"""Elements looked at in one step, so that a scan never takes the memory of the array again."""
_TEXT = 4096


def array_text(array: Any) -> str:
    """Return what NumPy writes for an array, shortened to at most 4,096 characters."""
    return np.array2string(array, threshold=200, edgeitems=3, separator=", ")[:_TEXT]


def array_statistics(array: Any) -> dict[str, Any]:
    """Return ``min``, ``max``, ``mean``, ``std`` of the finite elements, and how many are not.

    Works on pieces of a million elements. For complex arrays the figures are those of the absolute
    values; for arrays of no numbers, and where nothing is finite, they are None.
    """
    figures: dict[str, Any] = dict.fromkeys(("min", "max", "mean", "std"))
    figures |= {"size": array.size, "nan": 0, "inf": 0}
    if array.dtype.kind not in "biufc" or not array.size:
        return figures
    moments = _Moments()
    with np.errstate(all="ignore"):  # a deviation beyond the largest number is infinite
        for chunk in _chunks(array):
            figures["nan"] += int(np.isnan(chunk).sum())
            figures["inf"] += int(np.isinf(chunk).sum())
            moments.add(chunk[np.isfinite(chunk)])
    return figures | moments.figures()


class _Moments:
    """Extremes, mean and deviation of what was added, piece by piece."""

    def __init__(self) -> None:
        self._count, self._mean, self._squares = 0, 0.0, 0.0
        self._low, self._high = math.inf, -math.inf

    def add(self, values: Any) -> None:
        if not values.size:
            return
        self._low = min(self._low, values.min().item())
        self._high = max(self._high, values.max().item())
        count, mean = values.size, float(values.mean(dtype=np.float64))
        squares = float(np.square(values - mean, dtype=np.float64).sum())
        delta, total = mean - self._mean, self._count + count  # Chan's formula for joining parts
        self._squares += squares + delta * delta * self._count * count / total
        self._mean += delta * count / total
        self._count = total

    def figures(self) -> dict[str, Any]:
        if not self._count:
            return {}
        deviation = math.sqrt(self._squares / self._count)
        return {"min": self._low, "max": self._high, "mean": self._mean, "std": deviation}


def _chunks(array: Any) -> Any:
    if array.size <= _CHUNK or array.ndim == 0:
        yield _real(array)
        return
    row = max(1, array.size // array.shape[0])
    if row > _CHUNK:
        for part in array:
            yield from _chunks(part)
        return
    rows = _CHUNK // row
    for start in range(0, array.shape[0], rows):
        yield _real(array[start : start + rows])


def _real(chunk: Any) -> Any:
    if chunk.dtype.kind == "c":
        return np.abs(chunk)
    return chunk.astype(np.uint8) if chunk.dtype.kind == "b" else chunk
