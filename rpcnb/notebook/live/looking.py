"""Answers to what an inspector in the browser asks about an array: pictures and values, no more.

Everything that is asked for is checked against the array's shape. Bulk is one byte for a block of
elements; values come for the few cells of the table alone.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from rpcnb.core.errors import RpcnbError
from rpcnb.notebook.live import holders
from rpcnb.remote.array import RemoteArray, short_dtype, short_size, summary_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rpcnb.remote.client import Remote

PLANES = ("min", "mean", "max")
MOST_VALUES = 1024
"""Cells of the table."""

Answer = tuple[dict[str, Any], list[bytes]]


def answer(remote: Remote, message: Mapping[str, Any]) -> Answer:
    """Return what to tell the browser, and the bytes that go with it."""
    about = {"handle": message.get("handle"), "seq": message.get("seq", 0), "type": "inspector"}
    try:
        array = array_of(remote, message["handle"])
        told, buffers = ASKED[str(message["ask"])](array, message)
    except (RpcnbError, LookupError, TypeError, ValueError) as error:
        return about | {"error": f"{type(error).__name__}: {error}"}, []
    else:
        return about | {"ask": message["ask"]} | told, buffers


def array_of(remote: Remote, handle: Any) -> RemoteArray:
    """Return a proxy for an array that is held here."""
    array = remote.handle(int(handle))
    if not isinstance(array, RemoteArray):
        raise TypeError(f"handle {handle} is no array")
    return array


def whole_of(array: RemoteArray) -> dict[str, Any]:
    """Return which part is shown first: the last two dimensions, the first of all others."""
    axes = list(range(array.ndim))[-2:]
    index = [[0, n] if axis in axes else 0 for axis, n in enumerate(array.shape)]
    return {"axes": axes, "index": index, "blocks": None, "names": PLANES, "clip": None}


def overview(array: RemoteArray, _: Mapping[str, Any]) -> Answer:
    """Tell what it is, and give the first picture."""
    if not array.size:
        raise ValueError(f"{array!r} has no elements to show")
    told, buffers = look(array, whole_of(array))
    name = holders.variable_of(array.owner)
    return told | {
        "name": name or f"remote.handle({array.handle})",
        "what": f"{short_dtype(array.dtype)}{list(array.shape)} {short_size(array.nbytes)}",
        "shape": list(array.shape),
        "nbytes": array.nbytes,
        "axes": whole_of(array)["axes"],
    }, buffers


def figures(array: RemoteArray, _: Mapping[str, Any]) -> Answer:
    """Give extremes, quantiles and the histogram."""
    found, cost = _costing(array, "figures", ())
    return {"figures": found, "sentence": summary_of(array, found)} | cost, []


def look(array: RemoteArray, message: Mapping[str, Any]) -> Answer:
    """Give pictures of a part."""
    axes, index = checked(array, message)
    names = [name for name in PLANES if name in message["names"]]
    blocks = message["blocks"] and [max(1, int(n)) for n in message["blocks"]]
    clip = message["clip"] and [float(end) for end in message["clip"]]
    found, cost = _costing(array, "look", (axes, index, blocks, names, clip))
    picture = {"size": found["shape"], "clip": found["clip"], "marks": found["marks"]}
    return picture | {"names": names} | cost, [found[name] for name in names]


def values(array: RemoteArray, message: Mapping[str, Any]) -> Answer:
    """Give the values of a few cells, written as NumPy writes them."""
    axes, index = checked(array, message)
    part = array[tuple(slice(*item) if isinstance(item, list) else item for item in index)]
    if part.size > MOST_VALUES:
        raise ValueError(f"{part.size} values are more than a table shows")
    host = part.to_numpy()
    if len(axes) == 2 and axes[0] > axes[1]:
        host = host.T
    rows = host.reshape(-1, host.shape[-1]) if host.ndim else host.reshape(1, 1)
    return {"index": index, "values": [[str(value) for value in row] for row in rows]}, []


ASKED = {"figures": figures, "look": look, "overview": overview, "values": values}


def checked(array: RemoteArray, message: Mapping[str, Any]) -> tuple[list[int], list[Any]]:
    """Return axes and index of a message, within the array's bounds.

    Raises
    ------
    ValueError
        They do not fit the array.
    """
    axes = [int(axis) for axis in message["axes"]]
    index = [_bounded(item, n) for item, n in zip(message["index"], array.shape, strict=True)]
    ranges = [axis for axis, item in enumerate(index) if isinstance(item, list)]
    if sorted(axes) != ranges or len(axes) > 2:
        raise ValueError(f"axes {axes} do not fit the index {index}")
    return axes, index


def _bounded(item: Any, size: int) -> int | list[int]:
    if isinstance(item, list):
        start, stop = (min(max(int(end), 0), size) for end in item)
        if start >= stop:
            raise ValueError(f"nothing lies between {start} and {stop}")
        return [start, stop]
    if not 0 <= int(item) < size:
        raise ValueError(f"{item} lies outside of {size}")
    return int(item)


def _costing(array: RemoteArray, name: str, args: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
    """Run an operation; return its result, and the seconds and bytes it took."""
    counters = array.remote.session.statistics
    before, began = counters(), perf_counter()
    found = array.engine.run(name, (array, *args), {})
    after = counters()
    keys = ("bytes_sent", "bytes_received")
    moved = sum(int(str(after.get(key, 0))) - int(str(before.get(key, 0))) for key in keys)
    return found, {"moved": moved, "seconds": perf_counter() - began}
