from __future__ import annotations

import io
import operator
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.array.numpy_protocol import functions, ufunc_name
from rpcnb.array.policy import implicit_transfers
from rpcnb.core.errors import ImplicitTransferError
from rpcnb.remote.array import RemoteArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.array.namespace import ArrayNamespace
    from rpcnb.remote.client import Remote

VALUE = np.arange(1.0, 13).reshape(3, 4)

STAY = {
    "ufunc": np.sin,
    "ufunc of two": lambda x: np.add(x, x),
    "ufunc with a number": lambda x: np.hypot(x, 2),
    "ufunc with a scalar": lambda x: np.float64(2) * x,
    "two results": lambda x: np.divmod(x, 5),
    "reduce": lambda x: np.add.reduce(x, axis=1),
    "accumulate": lambda x: np.multiply.accumulate(x, axis=0),
    "outer": lambda x: np.subtract.outer(x[0], x[1]),
    "reduceat": lambda x: np.add.reduceat(x, [0, 2], axis=1),
    "where": lambda x: np.add.reduce(x, axis=0, where=x > 2),
    "mean": lambda x: np.mean(x, axis=0),
    "concatenate": lambda x: np.concatenate([x, x]),
    "stack": lambda x: np.stack((x, x), axis=-1),
    "where of three": lambda x: np.where(x > 3, x, 0),
    "where of one": lambda x: np.where(x > 3),
    "percentile": lambda x: np.percentile(x, [25, 75]),
    "median": np.median,
    "histogram": lambda x: np.histogram(x, bins=4),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "svd": lambda x: np.linalg.svd(x, compute_uv=False),
    "norm": np.linalg.norm,
    "fft": np.fft.fft,
    "split": lambda x: np.split(x, 3),
    "pad": lambda x: np.pad(x, 1),
    "zeros_like": np.zeros_like,
    "transpose": np.transpose,
    "copy": np.copy,
}


def downloaded(value: object) -> object:
    if isinstance(value, tuple | list):
        return [downloaded(item) for item in value]
    assert isinstance(value, RemoteArray)
    return value.to_numpy()


@pytest.mark.parametrize("run", STAY.values(), ids=STAY)
def test_numpys_functions_run_over_there(
    xp: ArrayNamespace, run: Callable[[object], object]
) -> None:
    found, expected = downloaded(run(xp.asarray(VALUE))), run(VALUE)
    if not isinstance(expected, tuple | list):
        found, expected = [found], [expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_functions_with_a_python_result(xp: ArrayNamespace) -> None:
    array = xp.asarray(VALUE)
    assert np.array_equal(array, array) is True
    assert np.allclose(array, array + 1) is False


def test_out_is_written_and_returned(xp: ArrayNamespace) -> None:
    array, out = xp.asarray([1.0, 4.0]), xp.asarray([0.0, 0.0])
    assert np.sqrt(array, out=out) is out
    assert out.tolist() == [1, 2]
    assert np.sqrt(array, out=out, where=xp.asarray([True, False])) is out
    assert np.sum(xp.reshape(array, (2, 1)), axis=1, out=out) is out
    assert out.tolist() == [1, 4]
    np.add.at(out, xp.asarray([0, 0]), 1)
    assert out.tolist() == [3, 4]


def test_like_makes_arrays_over_there(xp: ArrayNamespace) -> None:
    array = xp.asarray(1)
    for made in (
        np.asarray([1, 1, 1], like=array),
        np.ones(3, like=array),
        np.ones((3,), int, like=array),
        np.full(3, 1, like=array),
    ):
        assert isinstance(made, RemoteArray)
        assert made.tolist() == [1, 1, 1]


def local() -> np.ndarray:
    return np.zeros((3, 4))


REFUSED = {
    "asarray": np.asarray,
    "save": lambda r: np.save(io.BytesIO(), r),
    "savetxt": lambda r: np.savetxt(io.StringIO(), r),
    "copyto": lambda r: np.copyto(local(), r),
    "put": lambda r: np.put(local(), [0], r),
    "putmask": lambda r: np.putmask(local(), r > 1, r),
    "place": lambda r: np.place(local(), r > 1, r),
    "add.at": lambda r: np.add.at(local(), 0, r),
    "out=local": lambda r: np.add(r, 1, out=local()),
    "sum(out=local)": lambda r: np.sum(r, axis=0, out=np.zeros(4)),
    "local += r": lambda r: operator.iadd(local(), r),
    "local + r": lambda r: local() + r,
    "r + local": lambda r: r + local(),
    "local[...] = r": lambda r: operator.setitem(local(), ..., r),
    "concatenate": lambda r: np.concatenate([r, local()]),
    "stack": lambda r: np.stack((local(), r)),
    "where": lambda r: np.where(r > 1, r, local()),
    "vectorize": np.vectorize(abs),
    "frompyfunc": np.frompyfunc(abs, 1, 1),
    "apply_along_axis": lambda r: np.apply_along_axis(sum, 0, r),
    "matplotlib": lambda r: import_module("matplotlib.figure").Figure().subplots().imshow(r),
    "assert_allclose": lambda r: np.testing.assert_allclose(r, r),
    "masked": np.ma.masked_array,
}


@pytest.mark.parametrize("use", REFUSED.values(), ids=REFUSED)
def test_what_would_move_data_is_refused_before_any_moves(
    remote: Remote, use: Callable[[RemoteArray], object]
) -> None:
    array = remote.ones((3, 4)) * 2
    before = remote.session.statistics()
    with pytest.raises(ImplicitTransferError):
        use(array)
    after = remote.session.statistics()
    assert after["bytes_received"] - before["bytes_received"] < 1000
    assert after["calls"] - before["calls"] <= 1  # the mask of some of them


def test_what_is_allowed_moves(xp: ArrayNamespace) -> None:
    array, out = xp.asarray(VALUE), np.zeros((3, 4))
    with implicit_transfers("allow"):
        np.copyto(out, array)
        np.testing.assert_array_equal(out, VALUE)
        out += array
        np.testing.assert_array_equal(out, 2 * VALUE)
        np.testing.assert_array_equal(np.concatenate([array, VALUE]).to_numpy()[3:], VALUE)
        np.testing.assert_array_equal(np.vectorize(abs)(array), VALUE)


def test_ufuncs_are_known_by_identity() -> None:
    special = import_module("scipy.special")
    assert ufunc_name(np.add) == "add"
    assert ufunc_name(special.agm) == "agm"
    assert ufunc_name(np.frompyfunc(abs, 1, 1)) is None


def test_every_listed_function_exists() -> None:
    assert functions()[np.linalg.norm] == "numpy.linalg.norm"
    assert not {np.save, np.copyto, np.savetxt, np.load, np.put} & set(functions())
