"""A large array as small pictures of itself: the least, the mean and the greatest of each block."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

SIDE = 256
"""Blocks in each direction."""
_CHUNK = 1 << 20
"""Elements reduced in one step."""


def array_planes(array: Any, side: int = SIDE) -> dict[str, Any]:
    """Return three planes of at most `side` by `side` blocks.

    Parameters
    ----------
    array : array
        Of numbers. One dimension becomes one row; of more than two, the first ones become rows.
    side : int
        At most 1,024.

    Returns
    -------
    dict
        ``shape`` of the planes, and ``min``, ``mean``, ``max`` as float32 bytes in C order. NaN
        stands where a block has one. For complex arrays the absolute values are shown.

    Raises
    ------
    TypeError
        Its elements are no numbers.
    """
    if array.dtype.kind not in "biufc" or not array.size:
        raise TypeError(f"an array of {array.dtype} with {array.size} elements has no picture")
    table = _as_table(array)
    side = max(1, min(side, 1024))
    rows, columns = (
        np.unique(np.linspace(0, n, min(n, side) + 1).astype(int)) for n in table.shape
    )
    shape = len(rows) - 1, len(columns) - 1
    planes = {name: np.empty(shape, np.float32) for name in ("min", "mean", "max")}
    with np.errstate(all="ignore"):
        for i, (start, stop) in enumerate(pairwise(rows)):
            low, total, high = reduce_rows(table[start:stop], columns[:-1])
            planes["min"][i], planes["max"][i] = low, high
            planes["mean"][i] = total / ((stop - start) * np.diff(columns))
    return {"shape": list(shape)} | {name: plane.tobytes() for name, plane in planes.items()}


def _as_table(array: Any) -> Any:
    if array.ndim < 2:
        return array.reshape(1, -1)
    # A strided array cannot always be reshaped without a copy: then one dimension is enough.
    try:
        return np.reshape(array, (-1, array.shape[-1]), copy=False)
    except ValueError:
        return _as_table(array[(0,) * (array.ndim - 2)])


def reduce_rows(rows: Any, starts: Any) -> tuple[Any, Any, Any]:
    """Return least, sum and greatest of the columns from each of `starts` on, over all rows.

    Takes a million elements at a time; NaN where there is one.
    """
    found = None
    step = max(1, _CHUNK // rows.shape[1])
    for first in range(0, len(rows), step):
        chunk = rows[first : first + step]
        chunk = np.abs(chunk) if chunk.dtype.kind == "c" else chunk
        chunk = chunk.astype(np.uint8) if chunk.dtype.kind == "b" else chunk
        low = np.minimum.reduceat(chunk.min(axis=0), starts)
        high = np.maximum.reduceat(chunk.max(axis=0), starts)
        total = np.add.reduceat(chunk.sum(axis=0, dtype=np.float64), starts)
        if found is not None:
            low, high = np.minimum(found[0], low), np.maximum(found[2], high)
            total = total + found[1]
        found = low, total, high
    assert found is not None  # there is at least one row
    return found
