from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from rpcnb.array.statistics import array_statistics, array_text


@given(
    hnp.arrays(st.sampled_from(["f4", "f8", "i4", "u1", "?", "c16"]), hnp.array_shapes(min_dims=0))
)
def test_figures_are_those_of_numpy(array: np.ndarray) -> None:
    figures = array_statistics(array)
    with np.errstate(over="ignore"):
        values = np.abs(array) if array.dtype.kind == "c" else array.astype("f8")
    finite = values[np.isfinite(values)]
    assert figures["size"] == array.size
    assert figures["nan"] == np.isnan(values).sum()
    if finite.size and np.abs(finite).max() < 1e100:
        assert figures["min"] == finite.min()
        assert figures["max"] == finite.max()
        mean, std = finite.mean(dtype="f8"), finite.std(dtype="f8")
        scale = max(1.0, float(np.abs(finite).max()))
        assert figures["mean"] == pytest.approx(mean, abs=1e-6 * scale)
        assert figures["std"] == pytest.approx(std, abs=1e-6 * scale)


def test_large_arrays_are_scanned_in_pieces() -> None:
    array = np.random.default_rng(1).normal(3, 2, (5, 700_000)).astype("f4")
    array[2, 5] = np.inf
    figures = array_statistics(array)
    finite = array[np.isfinite(array)].astype("f8")
    assert figures["mean"] == pytest.approx(finite.mean(), rel=1e-6)
    assert figures["std"] == pytest.approx(finite.std(), rel=1e-6)
    assert figures["inf"] == 1


def test_what_is_no_number_has_no_figures() -> None:
    assert array_statistics(np.array(["a"]))["min"] is None
    assert array_statistics(np.array([np.nan]))["mean"] is None


def test_text_is_bounded() -> None:
    assert len(array_text(np.zeros((1000, 1000)))) < 1000
    assert len(array_text(np.array(["x" * 100_000]))) <= 4096
