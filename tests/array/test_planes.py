from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from rpcnb.array.planes import array_planes
from rpcnb.array.synchrony import sync_mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote


def plane(found: dict, name: str) -> np.ndarray:
    return np.frombuffer(found[name], np.float32).reshape(found["shape"])


@given(hnp.arrays("f4", hnp.array_shapes(max_dims=3, max_side=9), elements=st.integers(-99, 99)))
def test_planes_hold_the_extremes_and_the_mean(array: np.ndarray) -> None:
    found = array_planes(array, side=4)
    assert max(found["shape"]) <= 4
    assert plane(found, "min").min() == array.min()
    assert plane(found, "max").max() == array.max()
    assert (plane(found, "min") <= plane(found, "mean") + 1e-4).all()
    assert (plane(found, "mean") <= plane(found, "max") + 1e-4).all()


def test_a_small_array_is_its_own_picture() -> None:
    array = np.arange(12.0).reshape(3, 4)
    for name in ("min", "mean", "max"):
        np.testing.assert_array_equal(plane(array_planes(array), name), array)


def test_blocks_are_those_of_numpy() -> None:
    array = np.random.default_rng(2).normal(size=(600, 1000))
    found = array_planes(array, side=10)
    blocks = array.reshape(10, 60, 10, 100)
    np.testing.assert_allclose(plane(found, "mean"), blocks.mean(axis=(1, 3)), atol=1e-6)
    np.testing.assert_allclose(plane(found, "max"), blocks.max(axis=(1, 3)), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f8", "c8"])
def test_all_numbers_have_pictures(dtype: str) -> None:
    found = array_planes(np.ones((30, 30), dtype).T[::2], side=8)
    assert found["shape"] == [8, 8]
    assert (plane(found, "mean") == 1).all()


@pytest.mark.parametrize("array", [np.array(["a"]), np.empty((0, 3))], ids=["text", "empty"])
def test_what_is_no_number_has_none(array: np.ndarray) -> None:
    with pytest.raises(TypeError, match="no picture"):
        array_planes(array)


def test_the_scan_takes_little_memory() -> None:
    array = np.zeros((4000, 4000), "f4")
    tracemalloc.start()
    array_planes(array)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < array.nbytes / 4


def test_pictures_come_in_one_round_trip(remote: Remote, round_trips: Callable[[], int]) -> None:
    with sync_mode():  # else it may be sent with what is counted
        array = remote.zeros((1000, 2000), "f4")
    before = round_trips()
    planes = array.planes()
    assert round_trips() == before + 1
    assert planes["mean"].shape == (256, 256)
