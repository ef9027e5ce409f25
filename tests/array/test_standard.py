"""The array API standard, function by function: the same as NumPy's view of it, over there."""

from __future__ import annotations

import inspect
import operator
from typing import TYPE_CHECKING, Any

import array_api_compat.numpy as here
import numpy as np
import pytest

from rpcnb.array.methods import BINARY, COMPARISONS, UNARY
from rpcnb.array.table import operations
from rpcnb.remote.array import RemoteArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.array.namespace import ArrayNamespace

DTYPES = ("bool", "int8", "uint16", "int64", "float32", "float64", "complex64", "complex128")
SPECIAL = [0.0, -0.0, 1.0, -2.5, 0.25, np.inf, -np.inf, np.nan]

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def values(dtype: str, shape: tuple[int, ...] = (2, 4)) -> np.ndarray:
    kind = np.dtype(dtype).kind
    if kind in "fc":
        return np.resize(np.asarray(SPECIAL, dtype), shape)
    return np.resize(np.asarray([0, 1, 2, 3, 5, 7, 11, 13]), shape).astype(dtype)


def same(found: Any, expected: Any) -> None:
    if isinstance(expected, tuple | list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
        return
    assert isinstance(found, RemoteArray)
    expected = np.asarray(expected)
    np.testing.assert_array_equal(found.to_numpy(), expected, strict=True)


def outcome(run: Callable[[], Any]) -> Any:
    """Return the result, or the class of builtin error."""
    try:
        return run()
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        builtins = (TypeError, OverflowError, ValueError, IndexError, ArithmeticError)
        return next(cls for cls in builtins if isinstance(error, cls))


def compare(run_there: Callable[[], Any], run_here: Callable[[], Any]) -> None:
    expected = outcome(run_here)
    found = outcome(run_there)
    if isinstance(expected, type):
        assert found is expected
    else:
        same(found, expected)


def arity(name: str) -> int:
    names = operations()[name].signature.parameters
    return sum(
        one.default is inspect.Parameter.empty
        for one in names.values()
        if one.kind is inspect.Parameter.POSITIONAL_ONLY
    )


ELEMENTWISE = [o.name for o in operations().values() if o.group == "elementwise"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if arity(name) == 1])
def test_functions_of_one_array(xp: ArrayNamespace, name: str, dtype: str) -> None:
    x = values(dtype)
    there = xp.asarray(x)
    compare(lambda: getattr(xp, name)(there), lambda: getattr(here, name)(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if arity(name) == 2])
def test_functions_of_two_arrays_broadcast(xp: ArrayNamespace, name: str, dtype: str) -> None:
    x, y = values(dtype, (8, 1)), values(dtype, (8,))
    x_there, y_there = xp.asarray(x), xp.asarray(y)
    compare(lambda: getattr(xp, name)(x_there, y_there), lambda: getattr(here, name)(x, y))
    scalar = x.ravel()[3].item()
    compare(lambda: getattr(xp, name)(y_there, scalar), lambda: getattr(here, name)(y, scalar))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*BINARY, *COMPARISONS])
def test_operators_with_arrays_and_numbers(xp: ArrayNamespace, name: str, dtype: str) -> None:
    if name in {"and", "or"}:
        name = f"{name}_"
    run = getattr(operator, name)
    x = values(dtype, (4, 4))
    there = xp.asarray(x)
    compare(lambda: run(there, there), lambda: run(x, x))
    two = x.ravel()[2].item()
    compare(lambda: run(there, two), lambda: run(x, two))
    compare(lambda: run(two, there), lambda: run(two, x))
    compare(lambda: run(x[0, 0], there), lambda: run(x[0, 0], x))


@pytest.mark.parametrize("name", [*UNARY])
def test_operators_of_one_array(xp: ArrayNamespace, name: str) -> None:
    run = getattr(operator, name)
    for dtype in DTYPES:
        x = values(dtype)
        there = xp.asarray(x)
        compare(lambda run=run, x=there: run(x), lambda run=run, x=x: run(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_operators_in_place(xp: ArrayNamespace, name: str, dtype: str) -> None:
    run = getattr(operator, f"i{name}")
    x, there = values(dtype, (4, 4)), xp.asarray(values(dtype, (4, 4)))
    if name == "matmul":
        x = x.copy()
    expected = outcome(lambda: run(x, x.copy()))
    found = outcome(lambda: run(there, xp.asarray(there, copy=True)))
    if isinstance(expected, type):
        assert found is expected
    else:
        assert found is there
        same(there, x)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1), 5])
@pytest.mark.parametrize("name", [o.name for o in operations().values() if o.group == "reduction"])
def test_reductions(xp: ArrayNamespace, name: str, axis: Any, keepdims: bool) -> None:
    for dtype in ("bool", "int8", "float32", "float64", "complex128"):
        x = values(dtype, (2, 3, 4))
        there = xp.asarray(x)
        options = {"axis": axis, "keepdims": keepdims}
        compare(
            lambda there=there: getattr(xp, name)(there, **options),  # noqa: B023
            lambda x=x: getattr(here, name)(x, **options),  # noqa: B023
        )


CALLS = {
    "astype": lambda xp, x, _: xp.astype(x, xp.float32),
    "broadcast_to": lambda xp, x, _: xp.broadcast_to(x, (2, 3, 4)),
    "broadcast_arrays": lambda xp, x, y: xp.broadcast_arrays(x, y),
    "concat": lambda xp, x, y: xp.concat([x, y], axis=1),
    "cumulative_sum": lambda xp, x, _: xp.cumulative_sum(x, axis=0, include_initial=True),
    "cumulative_prod": lambda xp, x, _: xp.cumulative_prod(x, axis=1),
    "diff": lambda xp, x, y: xp.diff(x, axis=1, prepend=y),
    "empty_like": lambda xp, x, _: xp.empty_like(x) * 0,
    "expand_dims": lambda xp, x, _: xp.expand_dims(x, (0, -1)),
    "flip": lambda xp, x, _: xp.flip(x, axis=0),
    "full": lambda xp, *_: xp.full((2, 2), 7, dtype=xp.int16),
    "full_like": lambda xp, x, _: xp.full_like(x, 2),
    "isin": lambda xp, x, y: xp.isin(x, y),
    "matmul": lambda xp, x, y: xp.matmul(x, y.T),
    "matmul of wrong shapes": lambda xp, x, y: xp.matmul(x, y),
    "matrix_transpose": lambda xp, x, _: xp.matrix_transpose(x),
    "meshgrid": lambda xp, x, y: xp.meshgrid(x[0, :], y[:, 0], indexing="ij"),
    "moveaxis": lambda xp, x, _: xp.moveaxis(x, 0, 1),
    "nonzero": lambda xp, x, _: xp.nonzero(x),
    "ones_like": lambda xp, x, _: xp.ones_like(x, dtype=xp.bool),
    "permute_dims": lambda xp, x, _: xp.permute_dims(x, (1, 0)),
    "permute_dims of wrong axes": lambda xp, x, _: xp.permute_dims(x, (1, 1)),
    "repeat": lambda xp, x, _: xp.repeat(x, 2, axis=0),
    "reshape": lambda xp, x, _: xp.reshape(x, (2, -1)),
    "reshape to a wrong size": lambda xp, x, _: xp.reshape(x, (5,)),
    "roll": lambda xp, x, _: xp.roll(x, 1, axis=1),
    "searchsorted": lambda xp, x, y: xp.searchsorted(x[0, :], y),
    "sort": lambda xp, x, _: xp.sort(x, axis=0, descending=True),
    "argsort": lambda xp, x, _: xp.argsort(x, axis=0, descending=True),
    "squeeze": lambda xp, x, _: xp.squeeze(x[:1, :], axis=0),
    "squeeze of two": lambda xp, x, _: xp.squeeze(x, axis=0),
    "stack": lambda xp, x, y: xp.stack([x, y], axis=-1),
    "stack of wrong shapes": lambda xp, x, y: xp.stack([x, y[:1, :]]),
    "take": lambda xp, x, _: xp.take(x, xp.asarray([0, 2]), axis=1),
    "take_along_axis": lambda xp, x, _: xp.take_along_axis(x, xp.argsort(x, axis=1), axis=1),
    "tensordot": lambda xp, x, y: xp.tensordot(x, y, axes=((0, 1), (0, 1))),
    "tile": lambda xp, x, _: xp.tile(x, (2, 1)),
    "tril": lambda xp, x, _: xp.tril(x, k=1),
    "triu": lambda xp, x, _: xp.triu(x, k=-1),
    "unique_all": lambda xp, x, _: xp.unique_all(x),
    "unique_counts": lambda xp, x, _: xp.unique_counts(x),
    "unique_inverse": lambda xp, x, _: xp.unique_inverse(x),
    "unique_values": lambda xp, x, _: xp.unique_values(x),
    "unstack": lambda xp, x, _: xp.unstack(x, axis=1),
    "vecdot": lambda xp, x, y: xp.vecdot(x, y),
    "where": lambda xp, x, y: xp.where(x > 4, x, y),
    "where with numbers": lambda xp, x, _: xp.where(x > 4, x, 0),
    "zeros_like": lambda xp, x, _: xp.zeros_like(x),
    "linalg.cholesky": lambda xp, x, _: xp.linalg.cholesky(x @ x.T + xp.eye(3)),
    "linalg.cross": lambda xp, x, y: xp.linalg.cross(x[:, :3], y[:, :3]),
    "linalg.det": lambda xp, x, _: xp.linalg.det(x[:, :3]),
    "linalg.det of no square": lambda xp, x, _: xp.linalg.det(x),
    "linalg.diagonal": lambda xp, x, _: xp.linalg.diagonal(x, offset=1),
    "linalg.eigh": lambda xp, x, _: xp.linalg.eigh(x @ x.T)[0],
    "linalg.eigvalsh": lambda xp, x, _: xp.linalg.eigvalsh(x @ x.T),
    "linalg.eigvals": lambda xp, x, _: xp.linalg.eigvals(x[:, :3]),
    "linalg.inv": lambda xp, x, _: xp.linalg.inv(x @ x.T + xp.eye(3)),
    "linalg.inv of a singular": lambda xp, *_: xp.linalg.inv(xp.zeros((2, 2))),
    "linalg.matrix_norm": lambda xp, x, _: xp.linalg.matrix_norm(x, ord=1),
    "linalg.matrix_power": lambda xp, x, _: xp.linalg.matrix_power(x[:, :3], 3),
    "linalg.matrix_rank": lambda xp, x, _: xp.linalg.matrix_rank(x),
    "linalg.outer": lambda xp, x, y: xp.linalg.outer(x[0, :], y[0, :]),
    "linalg.pinv": lambda xp, x, _: xp.linalg.pinv(x),
    "linalg.qr": lambda xp, x, _: xp.linalg.qr(x, mode="complete"),
    "linalg.slogdet": lambda xp, x, _: xp.linalg.slogdet(x[:, :3]),
    "linalg.solve": lambda xp, x, y: xp.linalg.solve(x @ x.T + xp.eye(3), y),
    "linalg.svd": lambda xp, x, _: xp.linalg.svd(x, full_matrices=False),
    "linalg.svdvals": lambda xp, x, _: xp.linalg.svdvals(x),
    "linalg.trace": lambda xp, x, _: xp.linalg.trace(x),
    "linalg.vector_norm": lambda xp, x, _: xp.linalg.vector_norm(x, axis=1, ord=3),
    **{
        f"fft.{name}": lambda xp, x, _, name=name: getattr(xp.fft, name)(x)
        for name in [
            "fft",
            "ifft",
            "fftn",
            "ifftn",
            "rfft",
            "rfftn",
            "irfft",
            "irfftn",
            "hfft",
            "ihfft",
        ]
    },
    "fft.fftshift": lambda xp, x, _: xp.fft.fftshift(x, axes=0),
    "fft.ifftshift": lambda xp, x, _: xp.fft.ifftshift(x),
    "fft.fftfreq": lambda xp, *_: xp.fft.fftfreq(5, d=0.1, dtype=xp.float32),
    "fft.rfftfreq": lambda xp, *_: xp.fft.rfftfreq(6),
    "a name that is missing": lambda xp, x, _: xp.add(x),
    "an option that is missing": lambda xp, x, _: xp.sum(x, along=1),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_other_functions(xp: ArrayNamespace, name: str) -> None:
    x = np.asarray([[3, 1, 4, 1], [5, 9, 2, 6], [5, 3, 5, 8]], np.float64)
    y = np.asarray([[2, 7, 1, 8], [2, 8, 1, 8], [2, 8, 4, 5]], np.float64)
    run = CALLS[name]
    x_there, y_there = xp.asarray(x), xp.asarray(y)
    compare(lambda: run(xp, x_there, y_there), lambda: run(here, x, y))
