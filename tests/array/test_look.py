from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rpcnb.array.look import HIGH, NAN, SAMPLE, array_figures, array_look

WHOLE = ("min", "mean", "max")


def picture(found: dict[str, Any], name: str) -> np.ndarray:
    return np.frombuffer(found[name], np.uint8).reshape(found["shape"])


def look(array: np.ndarray, **changes: Any) -> dict[str, Any]:
    axes = list(range(array.ndim))[-2:]
    index = [[0, n] if axis in axes else 0 for axis, n in enumerate(array.shape)]
    how = {"axes": axes, "index": index, "blocks": None, "names": WHOLE, "clip": None} | changes
    return array_look(array, *how.values())


def test_one_nan_and_one_hot_pixel_are_seen_among_millions() -> None:
    array = np.linspace(0, 1, 1000 * 2000, dtype=np.float32).reshape(1000, 2000)
    array[500, 700] = np.nan
    array[10, 20] = 1e6
    found = look(array)
    assert found["shape"] == [256, 256]
    assert sum(len(found[name]) for name in WHOLE) == 3 * 256 * 256
    assert (picture(found, "mean") == NAN).sum() == 1
    (place,) = found["marks"]["nan"]
    assert picture(found, "max")[tuple(place)] == NAN
    (hot,) = found["marks"]["max"]
    assert hot == [2, 2]
    assert picture(found, "max")[2, 2] == HIGH
    assert 0 <= found["clip"][0] < found["clip"][1] <= 1


def test_codes_stand_for_values_between_the_ends_of_the_clip() -> None:
    array = np.array([[-5.0, 0.0, 0.5, 1.0, 9.0, np.nan, np.inf, -np.inf]])
    codes = picture(look(array, clip=[0, 1]), "mean")
    assert codes.tolist() == [[1, 2, 128, 254, 255, 0, 255, 1]]


def test_a_part_in_blocks_is_what_numpy_says() -> None:
    array = np.random.default_rng(1).normal(size=(50, 60))
    found = look(array, index=[[10, 30], [5, 26]], blocks=[4, 10], clip=[-4, 4])
    assert found["shape"] == [5, 3]
    block = array[14:18, 15:25]
    values = {"min": block.min(), "mean": block.mean(), "max": block.max()}
    for name, value in values.items():
        assert picture(found, name)[1, 1] == round((value + 4) * 252 / 8 + 2)


def test_axes_may_be_turned_and_other_dimensions_sliced() -> None:
    array = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    found = look(array, axes=[2, 0], index=[[0, 2], 1, [0, 4]], clip=[0, 252])
    assert picture(found, "mean").tolist() == (array[:, 1].T + 2).astype(int).tolist()


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f2", "f8", "c8"])
def test_numbers_of_every_kind_have_a_picture(dtype: str) -> None:
    array = np.ones(300, dtype)
    found = look(array)
    assert found["shape"] == [1, 256]
    assert array_figures(array)["zero"] == 0


def test_what_has_no_numbers_has_no_picture() -> None:
    for array in (np.array(["a"]), np.empty((0, 3))):
        with pytest.raises(TypeError, match="has no picture"):
            look(array)


def test_figures_are_those_of_numpy() -> None:
    array = np.random.default_rng(2).normal(size=5000)
    array[:3] = np.nan, np.inf, 0
    found = array_figures(array)
    finite = array[np.isfinite(array)]
    assert (found["nan"], found["inf"], found["zero"], found["sampled"]) == (1, 1, 1, 5000)
    assert np.allclose(found["quantiles"][3], np.median(finite))
    assert sum(found["histogram"]) == finite.size
    assert len(found["histogram"]) == 64
    empty = array_figures(np.full(3, np.nan))
    assert (empty["histogram"], empty["quantiles"]) == ([], [])


def test_large_arrays_are_sampled_from_all_over() -> None:
    array = np.arange(SAMPLE * 3, dtype=np.int32).reshape(3, -1)
    found = array_figures(array)
    assert SAMPLE // 2 < found["sampled"] <= SAMPLE
    assert abs(found["quantiles"][3] - array.size / 2) < array.size / 4
