"""A part of an array as a small picture in bytes, and what to say of the whole: for the inspector.

A picture is one byte for each block of elements, so that 256 by 256 blocks of three kinds are less
than 200 KiB. What matters most is not lost in that: a block with a NaN says so, and the extremes are
marked by their place.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.array.planes import reduce_rows
from rpcnb.array.statistics import array_statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

SIDE = 256
"""Blocks in each direction at most."""
NAN, LOW, HIGH = 0, 1, 255
"""Codes of what is no number between the ends of the range: NaN, below all numbers, above them."""
_FIRST, _LAST = 2, 254
BINS = 64
SAMPLE = 1 << 20
"""Elements of which quantiles and the histogram are made."""
MARKED = 32
"""Blocks with a NaN whose places are told."""
QUANTILES = (0.0, 0.005, 0.25, 0.5, 0.75, 0.995, 1.0)


def array_look(  # noqa: PLR0917 -- called by position from elsewhere
    array: Any,
    axes: Sequence[int],
    index: Sequence[Any],
    blocks: Sequence[int] | None,
    names: Sequence[str],
    clip: Sequence[float] | None,
) -> dict[str, Any]:
    """Return pictures of a part of an array.

    Parameters
    ----------
    array : array
        Of numbers; complex ones are shown by their absolute value.
    axes : sequence of int
        Which dimensions run down and across; one, for arrays that have one.
    index : sequence
        For each dimension an int, or ``[start, stop]`` for those that are shown.
    blocks : two int, optional
        Elements of a block down and across; by default so many that there are at most 256 blocks.
    names : sequence of str
        Of ``min``, ``mean``, ``max``: what to make of the elements of a block.
    clip : two float, optional
        What the codes 2 and 254 stand for. By default the range that nearly all elements lie in.

    Returns
    -------
    dict
        ``shape`` in blocks, ``clip``, the pictures by name, uint8 in C order, and under ``marks``
        the places of the extremes and of the first NaNs, in blocks.

    Raises
    ------
    TypeError
        Its elements are no numbers, or there are none.
    """
    if array.dtype.kind not in "biufc" or not array.size:
        raise TypeError(f"an array of {array.dtype} with {array.size} elements has no picture")
    part = _part(array, axes, index)
    rows, columns = map(_edges, part.shape, blocks or (None, None))
    planes = _planes(part, rows, columns)
    low, high = _range(part) if clip is None else (float(clip[0]), float(clip[1]))
    pictures = {name: _codes(planes[name], low, high).tobytes() for name in names}
    shape = [len(rows) - 1, len(columns) - 1]
    return {"shape": shape, "clip": [low, high], "marks": _marks(planes)} | pictures


def array_figures(array: Any) -> dict[str, Any]:
    """Return what to say of the whole: exact figures, and a histogram and quantiles of a sample.

    Returns
    -------
    dict
        That of `array_statistics`, with ``zero``, ``quantiles`` at `QUANTILES`, ``histogram`` counts,
        its ``edges`` (lowest and highest), and ``sampled``: of how many elements those are.
    """
    sample = _sample(array)
    finite = sample[np.isfinite(sample)]
    figures = array_statistics(array)
    figures |= {"zero": int(array.size - np.count_nonzero(array)), "sampled": int(sample.size)}
    if not finite.size:
        return figures | {"quantiles": [], "histogram": [], "edges": []}
    edges = _range(array)
    counts, _ = np.histogram(finite.clip(*edges), BINS, edges)
    quantiles = np.quantile(finite.astype(np.float64), QUANTILES)
    return figures | {
        "quantiles": quantiles.tolist(),
        "histogram": counts.tolist(),
        "edges": list(edges),
    }


def _part(array: Any, axes: Sequence[int], index: Sequence[Any]) -> Any:
    """Return the table of two dimensions that is to be shown; shares the array's memory."""
    chosen = tuple(slice(*item) if isinstance(item, list | tuple) else item for item in index)
    shown = [axis for axis, item in enumerate(chosen) if isinstance(item, slice)]
    part = array[chosen]
    if len(axes) < 2:
        return part.reshape(1, -1)
    return np.transpose(part, [shown.index(axis) for axis in axes])


def _edges(size: int, block: int | None) -> Any:
    if block is None:
        return np.unique(np.linspace(0, size, min(size, SIDE) + 1).astype(int))
    edges = np.arange(0, size, max(1, block))[:SIDE]
    return np.append(edges, min(size, int(edges[-1]) + max(1, block)))


def _planes(part: Any, rows: Any, columns: Any) -> dict[str, Any]:
    planes = {n: np.empty((len(rows) - 1, len(columns) - 1)) for n in ("min", "mean", "max")}
    part = part[:, : columns[-1]]
    with np.errstate(all="ignore"):
        for i, (start, stop) in enumerate(pairwise(rows)):
            low, total, high = reduce_rows(part[start:stop], columns[:-1])
            planes["min"][i], planes["max"][i] = low, high
            planes["mean"][i] = total / ((stop - start) * np.diff(columns))
    return planes


def _codes(plane: Any, low: float, high: float) -> Any:
    """Return one byte for each number of a plane."""
    span = (high - low) or 1.0
    with np.errstate(all="ignore"):
        scaled = (plane - low) * ((_LAST - _FIRST) / span) + _FIRST
        codes = np.clip(np.rint(scaled), _FIRST, _LAST)
    codes[plane < low], codes[plane > high] = LOW, HIGH
    codes[np.isnan(plane)] = NAN
    return codes.astype(np.uint8)


def _marks(planes: dict[str, Any]) -> dict[str, list[list[int]]]:
    """Return where the extremes are, and where NaNs are: places in blocks."""
    lost = np.isnan(planes["max"])
    marks = {"nan": np.argwhere(lost)[:MARKED].tolist(), "min": [], "max": []}
    if not lost.all():
        for name, find in (("min", np.nanargmin), ("max", np.nanargmax)):
            place = np.unravel_index(find(planes[name]), lost.shape)
            marks[name] = [[int(place[0]), int(place[1])]]
    return marks


def _range(array: Any) -> tuple[float, float]:
    """Return the range that nearly all of the finite elements lie in."""
    sample = _sample(array)
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.quantile(finite.astype(np.float64), (QUANTILES[1], QUANTILES[-2])).tolist()
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _sample(array: Any) -> Any:
    """Return elements from all over an array, flat; all of them where there are few."""
    sample = array
    while sample.size > SAMPLE:
        longest = max(range(sample.ndim), key=lambda axis: sample.shape[axis])
        sample = sample[(slice(None),) * longest + (slice(None, None, 2),)]
    sample = sample.reshape(-1)
    return np.abs(sample) if sample.dtype.kind == "c" else sample + np.uint8(0)
