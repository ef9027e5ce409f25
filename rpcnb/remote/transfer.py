"""Bulk data between host arrays and remote ones, without a second copy of the whole.

Rules for this file: contiguous host memory is sent from, and received into, where it is; anything
else goes through a piece of at most 8 MiB.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from rpcnb.core.errors import ArrayMismatch
from rpcnb.core.limits import MIB
from rpcnb.session.dtypes import raw_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rpcnb.core.values import ArrayRef
    from rpcnb.session.base import RPCSession

PIECE = 8 * MIB
"""Bytes of host memory used at a time for what is not contiguous or has another dtype."""

Casting: TypeAlias = Literal["safe", "same_kind", "unsafe"]


def pieces(array: NDArray[Any], nbytes: int = PIECE) -> Iterator[NDArray[Any]]:
    """Cut an array into views that follow each other in C order, of at most `nbytes` each."""
    if array.nbytes <= nbytes or array.ndim == 0:
        yield array
        return
    rows = nbytes // array[:1].nbytes
    for start in range(0, len(array), max(rows, 1)):
        if rows:
            yield array[start : start + rows]
        else:
            yield from pieces(array[start], nbytes)


def upload(
    session: RPCSession,
    target: ArrayRef,
    dtype: np.dtype[Any],
    source: NDArray[Any],
    casting: Casting = "safe",
) -> None:
    """Copy a host array into a remote one of the same shape.

    Parameters
    ----------
    session : RPCSession
        Of `target`.
    target : ArrayRef
        Written to.
    dtype : np.dtype
        Of `target`.
    source : ndarray
        Read, never kept; need not be contiguous.
    casting : str
        As NumPy's, where dtypes differ.

    Raises
    ------
    ArrayMismatch
        Shapes differ, or the dtypes cannot be cast that way.
    """
    check(source.shape, source.dtype, target.shape, dtype, casting)
    if source.dtype == dtype and source.flags.c_contiguous:
        session.copy_to_remote(raw_bytes(source), target, source.nbytes)
        return
    offset = target.byte_offset
    for piece in pieces(source, _piece_nbytes(source.dtype, dtype)):
        block = np.ascontiguousarray(piece.astype(dtype, copy=False))
        session.copy_to_remote(raw_bytes(block), replace(target, byte_offset=offset), block.nbytes)
        offset += block.nbytes


def download(
    session: RPCSession, source: ArrayRef, dtype: np.dtype[Any], target: NDArray[Any]
) -> None:
    """Copy a remote array into a host one of the same shape, which need not be contiguous.

    Raises
    ------
    ArrayMismatch
        Shapes differ, or `dtype` cannot be cast safely to `target`'s.
    ValueError
        `target` is read-only.
    """
    check(source.shape, dtype, target.shape, target.dtype, "safe")
    if not target.flags.writeable:
        raise ValueError("the array to copy into is read-only")
    if target.dtype == dtype and target.flags.c_contiguous:
        session.copy_from_remote(source, raw_bytes(target), target.nbytes)
        return
    offset = source.byte_offset
    for piece in pieces(target, _piece_nbytes(target.dtype, dtype)):
        block = np.empty(piece.shape, dtype)
        session.copy_from_remote(
            replace(source, byte_offset=offset), raw_bytes(block), block.nbytes
        )
        piece[...] = block
        offset += block.nbytes


def check(
    source_shape: tuple[int, ...],
    source_dtype: np.dtype[Any],
    target_shape: tuple[int, ...],
    target_dtype: np.dtype[Any],
    casting: Casting,
) -> None:
    """Raise `ArrayMismatch` unless one array can be copied into the other."""
    if source_shape != target_shape:
        raise ArrayMismatch(
            f"an array of shape {source_shape} does not fit into one of shape {target_shape}"
        )
    if source_dtype != target_dtype and not np.can_cast(source_dtype, target_dtype, casting):
        raise ArrayMismatch(
            f"{source_dtype} cannot be cast to {target_dtype} without loss; "
            f"convert first: x.astype({str(target_dtype)!r})"
        )


def _piece_nbytes(host: np.dtype[Any], remote: np.dtype[Any]) -> int:
    """Return how much of the host array makes a block of at most `PIECE` bytes over there."""
    if host.itemsize >= remote.itemsize:
        return PIECE
    return PIECE * max(host.itemsize, 1) // remote.itemsize
