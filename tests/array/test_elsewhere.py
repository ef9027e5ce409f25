"""Checked on NumPy's own namespace, where the method says what the answer is."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest

from rpcnb.array.elsewhere import UFUNCS, creation_dtype, method_elsewhere, ufunc_elsewhere

VALUE = np.arange(24.0).reshape(2, 3, 4)
CALLS = {
    "all": [(), {"axis": 1}],
    "any": [()],
    "argmax": [(), {"axis": 0}],
    "astype": [(np.float32,), ("f4",)],
    "clip": [(2, 5)],
    "conj": [()],
    "cumprod": [(), {"axis": 1}],
    "cumsum": [(), {"axis": 0}],
    "flatten": [()],
    "max": [(), {"axis": (0, 1)}],
    "mean": [(), {"axis": 1, "keepdims": True}],
    "nonzero": [()],
    "ravel": [()],
    "reshape": [(4, 6), ((4, -1),)],
    "squeeze": [()],
    "std": [(), {"ddof": 1}],
    "sum": [(), {"axis": 2}],
    "swapaxes": [(0, 1)],
    "take": [(np.array([1, 0]), 1)],
    "transpose": [(), (2, 0, 1), ((1, 0, 2),)],
    "var": [(), {"axis": 0}],
}
CASES = [(name, call) for name, calls in CALLS.items() for call in calls]


@pytest.mark.parametrize(("name", "call"), CASES, ids=str)
def test_methods_do_what_numpys_do(name: str, call: tuple | dict) -> None:
    args, kwargs = (call, {}) if isinstance(call, tuple) else ((), call)
    found = method_elsewhere(xp, name)(VALUE, *args, **kwargs)
    np.testing.assert_array_equal(found, getattr(VALUE, name)(*args, **kwargs))


def test_matrices_are_multiplied() -> None:
    found = method_elsewhere(xp, "dot")(VALUE[0], VALUE[0].T)
    np.testing.assert_array_equal(found, VALUE[0].dot(VALUE[0].T))


def test_a_squeezed_axis_may_be_named() -> None:
    assert method_elsewhere(xp, "squeeze")(VALUE[:1], axis=0).shape == (3, 4)


def test_what_the_standard_does_not_have_is_refused() -> None:
    with pytest.raises(NotImplementedError, match=r"trace\(\)"):
        method_elsewhere(xp, "trace")
    with pytest.raises(NotImplementedError, match=r"add\.reduce"):
        ufunc_elsewhere(xp, "add", "reduce")
    with pytest.raises(NotImplementedError, match="unheard_of"):
        ufunc_elsewhere(xp, "unheard_of", "__call__")


@pytest.mark.parametrize(("numpys", "standard"), UFUNCS.items())
def test_other_names_mean_the_same(numpys: str, standard: str) -> None:
    assert ufunc_elsewhere(xp, numpys, "__call__") is getattr(xp, standard)


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("ones", ((2,),), {}),
        ("eye", (2,), {}),
        ("linspace", (0, 1, 3), {}),
        ("linspace", (0, 1j, 3), {}),
        ("full", ((2,), 3), {}),
        ("full", ((2,),), {"fill_value": True}),
        ("arange", (3,), {}),
        ("arange", (0,), {"stop": 2.0}),
        ("fft.fftfreq", (4,), {}),
    ],
)
def test_new_arrays_have_numpys_dtypes(name: str, args: tuple, kwargs: dict) -> None:
    part = xp.fft if name.startswith("fft.") else xp
    made = getattr(part, name.removeprefix("fft."))(*args, **kwargs)
    assert creation_dtype(name, args, kwargs) == made.dtype


def test_other_operations_keep_their_dtype() -> None:
    assert creation_dtype("sum", (VALUE,), {}) is None
