from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, strategies as st

from rpcnb.remote import transfer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote

small_shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)


@given(small_shapes, st.integers(4, 100), st.booleans())
def test_pieces_follow_each_other_in_c_order(
    shape: tuple[int, ...], nbytes: int, transposed: bool
) -> None:
    array = np.arange(np.prod(shape, dtype=int), dtype="i4").reshape(shape)
    array = array.T if transposed else array
    found = list(transfer.pieces(array, nbytes))
    assert all(piece.nbytes <= nbytes for piece in found)
    joined = np.concatenate([np.empty(0, "i4"), *(piece.ravel() for piece in found)])
    np.testing.assert_array_equal(joined, array.ravel())


def test_pieces_are_views() -> None:
    array = np.zeros((10, 10))
    assert all(np.shares_memory(piece, array) for piece in transfer.pieces(array, 100))


def test_contiguous_memory_moves_in_one_go(
    remote: Remote, crossings: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PIECE", 64)
    array = remote.empty(100)
    array.copy_from(array.to_numpy())  # looks up what small copies need
    before = crossings()
    array.copy_from(np.arange(100.0))
    array.to_numpy()
    assert crossings() == before + 2


def test_other_memory_moves_in_pieces(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer.pieces, "__defaults__", (64,))
    monkeypatch.setattr(transfer, "PIECE", 64)
    source = np.arange(200.0).reshape(10, 20)[:, ::2]
    array = remote.array(source)
    out = np.zeros((10, 20))[:, ::2]
    array.copy_to(out)
    np.testing.assert_array_equal(out, source)
    widened = np.zeros((10, 10), "c16")
    array.copy_to(widened)
    np.testing.assert_array_equal(widened, source)


def test_part_of_a_view_is_written(remote: Remote) -> None:
    array = remote.zeros((4, 4))
    array[::2, 1:3].copy_from(np.ones((2, 4))[:, ::2])
    expected = np.zeros((4, 4))
    expected[::2, 1:3] = 1
    np.testing.assert_array_equal(array.to_numpy(), expected)


def test_a_read_only_target_is_refused(remote: Remote) -> None:
    out = np.zeros(3)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        remote.zeros(3).copy_to(out)
