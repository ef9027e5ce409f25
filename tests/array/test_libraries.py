"""SciPy, scikit-learn, xarray and einops, unmodified, on arrays that stay where they are.

Transfers are forbidden, as always: what passes here moved nothing but single numbers. The round
trips are those of the versions at hand and bound from above; a rise is a regression of ours.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from rpcnb.remote.array import RemoteArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.array.namespace import ArrayNamespace

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(100, 5))
LABELS = (X[:, 0] > 0).astype(int)
TARGET = X @ RANDOM.normal(size=5) + 0.1 * RANDOM.normal(size=100)


def pca(x: Any, *_: Any) -> Any:
    return import_module("sklearn.decomposition").PCA(2, svd_solver="full").fit_transform(x)


def lda(x: Any, labels: Any, _: Any) -> Any:
    model = import_module("sklearn.discriminant_analysis").LinearDiscriminantAnalysis()
    return model.fit(x, labels).predict(x)


def ridge(x: Any, _: Any, target: Any) -> Any:
    model = import_module("sklearn.pipeline").make_pipeline(
        import_module("sklearn.preprocessing").StandardScaler(),
        import_module("sklearn.linear_model").Ridge(solver="svd"),
    )
    return import_module("sklearn.model_selection").cross_val_score(model, x, target, cv=3)


def r2_score(_: Any, __: Any, target: Any) -> Any:
    return import_module("sklearn.metrics").r2_score(target, target * 0.9)


def zscore(x: Any, *_: Any) -> Any:
    return import_module("scipy.stats").zscore(x)


def describe(_: Any, __: Any, target: Any) -> Any:
    found = import_module("scipy.stats").describe(target)
    return [found.mean, found.variance, found.skewness, found.kurtosis, *found.minmax]


def ttest_ind(x: Any, *_: Any) -> Any:
    found = import_module("scipy.stats").ttest_ind(x[:, 0], x[:, 1])
    return [found.statistic, found.pvalue]


def pearsonr(x: Any, *_: Any) -> Any:
    found = import_module("scipy.stats").pearsonr(x[:, 0], x[:, 1])
    return [found.statistic, found.pvalue]


def fftconvolve(_: Any, __: Any, target: Any) -> Any:
    return import_module("scipy.signal").fftconvolve(target, target)


def rearrange(x: Any, *_: Any) -> Any:
    return import_module("einops.array_api").rearrange(x, "(a b) c -> a (c b)", a=4)


def xarray_arithmetic(x: Any, *_: Any) -> Any:
    data = import_module("xarray").DataArray(x, dims=("i", "j"))
    return np.sin(data * 2 + data.mean("i")).sel(i=slice(3, 9)).data


def xarray_groupby(x: Any, *_: Any) -> Any:
    xarray = import_module("xarray")
    data = xarray.DataArray(x, dims=("i", "j"), coords={"group": ("i", LABELS)})
    return data.groupby("group").mean().data


class Case(NamedTuple):
    """One use of a library."""

    run: Callable[..., Any]
    round_trips: int


CASES = [
    Case(pca, 60),
    Case(lda, 130),
    Case(ridge, 500),
    Case(r2_score, 45),
    Case(zscore, 50),
    Case(describe, 160),
    Case(ttest_ind, 110),
    Case(pearsonr, 95),
    Case(fftconvolve, 8),
    Case(rearrange, 4),
    Case(xarray_arithmetic, 8),
    Case(xarray_groupby, 16),
]


def on_host(value: Any) -> np.ndarray:
    if isinstance(value, list):
        return np.asarray([on_host(item) for item in value])
    return value.to_numpy() if isinstance(value, RemoteArray) else np.asarray(value)


def test_scipy_was_told_to_dispatch() -> None:
    override = sys.modules.get("scipy._lib._array_api_override") or import_module(
        "scipy._lib._array_api_override"
    )
    assert override.SCIPY_ARRAY_API, "SciPy was imported before this folder's conftest ran"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.run.__name__)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_libraries_run_where_the_arrays_are(
    xp: ArrayNamespace, case: Case, round_trips: Callable[[], int]
) -> None:
    expected = on_host(case.run(X, LABELS, TARGET))
    arrays = [xp.asarray(one) for one in (X, LABELS, TARGET)]
    before = round_trips()
    with import_module("sklearn").config_context(array_api_dispatch=True):
        found = case.run(*arrays)
    assert round_trips() - before <= case.round_trips
    np.testing.assert_allclose(on_host(found), expected, rtol=1e-7, atol=1e-10)


def test_the_refusal_names_the_switch(xp: ArrayNamespace) -> None:
    model = import_module("sklearn.decomposition").PCA(2)
    with pytest.raises(TypeError, match="array_api_dispatch=True"):
        model.fit(xp.asarray(X))


def test_a_function_that_does_not_dispatch_runs_as_a_call(xp: ArrayNamespace, remote) -> None:
    signal = import_module("scipy.signal")
    frequencies, power = remote.call(signal.welch, xp.asarray(TARGET), nperseg=32)
    expected = signal.welch(TARGET, nperseg=32)
    np.testing.assert_allclose(frequencies.to_numpy(), expected[0])
    np.testing.assert_allclose(power.to_numpy(), expected[1])


def test_pandas_is_refused(xp: ArrayNamespace) -> None:
    with pytest.raises(TypeError, match="would move unasked"):
        import_module("pandas").Series(xp.asarray(TARGET))
