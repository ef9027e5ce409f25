from __future__ import annotations

import numpy as np
import pytest

from rpcnb.array.host import serve
from rpcnb.core.device import CPU, Device, DeviceType
from rpcnb.core.errors import DeviceError, PermissionDenied
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession


@pytest.fixture(scope="module")
def call():
    with LocalSession(FunctionRegistry()) as session:
        yield serve(session)


def test_small_results_come_with_their_content(call) -> None:
    array, content = call("add", np.ones(8), 1)
    assert content == array.tobytes()


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("add", (np.ones(9), 1)),
        ("getitem", (np.ones(4), slice(1, 2))),
        ("reshape", (np.ones(4), (2, 2))),
        ("method.view", (np.ones(2), np.dtype("u1"))),
        ("real", (np.ones(2),)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_large_and_shared_results_come_without(call, name: str, args: tuple) -> None:
    assert isinstance(call(name, *args), np.ndarray)


def test_an_operand_that_comes_back_comes_without_its_content(call) -> None:
    array = np.ones(3)
    assert call("method.astype", array, np.dtype("f8"), copy=False) is array


def test_results_are_arrays_never_scalars(call) -> None:
    (total, _), pair = call("sum", np.ones(3)), call("linalg.slogdet", np.eye(2))
    assert type(total) is np.ndarray
    assert type(pair) is list


@pytest.mark.parametrize("name", ["save", "numpy.save", "os.system", "method.tofile", "__class__"])
def test_what_is_not_in_the_table_is_refused(call, name: str) -> None:
    with pytest.raises(PermissionDenied, match="no array operation"):
        call(name, np.ones(3))


@pytest.mark.parametrize(
    ("name", "method"), [("frompyfunc", "__call__"), ("add", "__reduce__"), ("load", "__call__")]
)
def test_only_ufuncs_and_their_methods_run_as_such(call, name: str, method: str) -> None:
    with pytest.raises(PermissionDenied, match="no ufunc"):
        call("ufunc", name, method, (np.ones(3),), {}, ())


def test_only_generators_draw(call) -> None:
    with pytest.raises(PermissionDenied, match="no method of a random generator"):
        call("random", np.ones(3), None, "normal", (), {})
    with pytest.raises(PermissionDenied):
        call("random", np.random.default_rng(), None, "spawn", (2,), {})


def test_devices_that_do_not_exist_are_refused(call) -> None:
    assert isinstance(call("zeros", (9,), device=CPU), np.ndarray)
    missing = Device(DeviceType.CUDA, 3)
    with pytest.raises(DeviceError, match="cuda:3"):
        call("zeros", (9,), device=missing)
    with pytest.raises(DeviceError, match="cuda:3"):
        call("zeros_like", np.ones(9), device=missing)


def test_in_place_works_in_place(call) -> None:
    array = np.arange(3)
    call("inplace", "iadd", array, 2)
    np.testing.assert_array_equal(array, [2, 3, 4])
    with pytest.raises(TypeError):
        call("inplace", "itruediv", array, 2)
