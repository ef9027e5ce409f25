"""The rules against NumPy itself: what is predicted is what comes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import array_api_compat.numpy as xp
import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as arrays

from rpcnb.array.inference import RULES, predict
from rpcnb.array.methods import ArrayMethods
from rpcnb.array.table import WAITS, operations

if TYPE_CHECKING:
    from collections.abc import Callable

DTYPES = ["?", "i1", "i4", "i8", "u1", "u8", "f2", "f4", "f8", "c8", "c16"]
SCALARS = [True, 0, 1, -1, 3, 127, 128, 300, -(2**40), 2**63, 0.5, float("inf"), 2j, np.float32(2), np.int8(3)]  # fmt: skip


class There(ArrayMethods):
    """Stands for a remote array: its metadata."""

    shape = dtype = writeable_known = None  # type: ignore[assignment]

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.writeable_known = array.flags.writeable

    @property
    def ndim(self) -> int:
        return len(self.shape)


def there(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return There(value)
    return [there(one) for one in value] if isinstance(value, list) else value


def run(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name.startswith("method."):
        return getattr(args[0], name.partition(".")[2])(*args[1:], **kwargs)
    found: Any = xp
    for part in name.split("."):
        found = getattr(found, part)
    return found(*args, **kwargs)


def agree(name: str, *args: Any, **kwargs: Any) -> None:
    """What is predicted comes; where NumPy raises, nothing is predicted."""
    told = predict(name, [there(one) for one in args], {k: there(v) for k, v in kwargs.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = np.asarray(run(name, args, kwargs))
        except Exception:  # noqa: BLE001 -- whatever it is
            found = None
    if found is None:
        assert told is None
    elif told is not None:
        assert (told.shape, told.dtype) == (found.shape, found.dtype)


def small(draw: Callable[[Any], Any], dtype: str | None = None, **limits: Any) -> np.ndarray:
    shape = draw(
        arrays.array_shapes(**{"min_dims": 0, "max_dims": 3, "min_side": 0, "max_side": 3} | limits)
    )
    return np.ones(shape, dtype or draw(st.sampled_from(DTYPES)))


def named(rule: str) -> list[str]:
    return [one.name for one in operations().values() if one.rule == rule]


@given(data=st.data())
@settings(max_examples=400)
def test_element_by_element(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(named("elementwise")))
    count = len(operations()[name].signature.parameters)
    args: list[Any] = [small(data.draw)]
    for _ in range(count - 1):
        other = data.draw(st.one_of(st.just("array"), st.sampled_from(SCALARS)))
        args.append(small(data.draw) if isinstance(other, str) else other)
    assume(name != "where" or isinstance(args[1], np.ndarray) or isinstance(args[2], np.ndarray))
    turned = data.draw(st.booleans()) and count == 2
    agree(name, *(args[::-1] if turned else args))


@given(data=st.data())
@settings(max_examples=300)
def test_reductions(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(named("reduction")))
    array = small(data.draw)
    axis = data.draw(
        st.one_of(
            st.none(), st.integers(-4, 3), st.lists(st.integers(-3, 2), max_size=3).map(tuple)
        )
    )
    options: dict[str, Any] = {"axis": axis} if data.draw(st.booleans()) else {}
    if data.draw(st.booleans()):
        options["keepdims"] = data.draw(st.booleans())
    if "dtype" in operations()[name].names and data.draw(st.booleans()):
        options["dtype"] = np.dtype(data.draw(st.sampled_from(DTYPES)))
    agree(name, array, **options)


@given(data=st.data())
@settings(max_examples=200)
def test_views_and_shapes(data: st.DataObject) -> None:
    array = small(data.draw)
    number = st.integers(-4, 4)
    shape = data.draw(st.lists(st.integers(-1, 4), max_size=3))
    for name, args in (
        ("reshape", (tuple(shape),)),
        ("method.reshape", tuple(shape)),
        ("expand_dims", (data.draw(number),)),
        ("squeeze", (data.draw(number),)),
        ("method.squeeze", ()),
        ("permute_dims", (tuple(data.draw(st.permutations(range(array.ndim)))),)),
        ("method.transpose", ()),
        ("method.swapaxes", (data.draw(number), data.draw(number))),
        ("matrix_transpose", ()),
        ("moveaxis", (data.draw(number), data.draw(number))),
        ("broadcast_to", ((2, *array.shape),)),
        ("flip", ()),
        ("method.ravel", ()),
        ("method.flatten", ()),
        ("astype", (np.dtype(data.draw(st.sampled_from(DTYPES))),)),
        ("sort", ()),
        ("argsort", ()),
        ("linalg.det", ()),
    ):
        agree(name, array, *args)


@given(data=st.data())
@settings(max_examples=200)
def test_basic_indices(data: st.DataObject) -> None:
    array = small(data.draw, min_dims=1)
    key = data.draw(arrays.basic_indices(array.shape, allow_newaxis=True))
    told = predict("getitem", [There(array), key], {})
    found = np.asarray(array[key])
    assert told is not None
    assert (told.shape, told.dtype, told.aliases) == (found.shape, found.dtype, True)


@given(data=st.data())
@settings(max_examples=150)
def test_several_arrays_in_one(data: st.DataObject) -> None:
    first = small(data.draw, max_side=2)
    others = [small(data.draw, max_side=2) for _ in range(data.draw(st.integers(0, 2)))]
    alike = [np.ones(first.shape, one.dtype) for one in others]
    axis = data.draw(st.one_of(st.none(), st.integers(-3, 3)))
    for name in ("concat", "stack"):
        for parts in ([first, *others], [first, *alike]):
            agree(name, parts, axis=axis)
    x, y = small(data.draw, max_side=2), small(data.draw, max_side=2)
    agree("matmul", x, y)
    agree("matmul", x, np.ones((*x.shape[-1:], 2), y.dtype))


@pytest.mark.parametrize("dtype", [None, np.float32, np.dtype("i2"), np.bool])
def test_new_arrays(dtype: Any) -> None:
    like = np.ones((2, 3), "f4")
    for name, args in (
        ("zeros", ((2, 3),)), ("ones", (4,)), ("empty", ((),)), ("full", ((2,), 1)),
        ("full", (2, 1.5)), ("full", (2, 300)), ("full", (2, 2j)), ("arange", (5,)),
        ("arange", (1, 7, 2)), ("arange", (7, 1, -2)), ("arange", (0,)), ("arange", (1, 5, 0)),
        ("arange", (1.5,)), ("linspace", (0, 1, 5)), ("linspace", (0, 1j, 0)), ("linspace", (0, 1, -1)),
        ("eye", (3,)), ("eye", (3, 4)), ("eye", (-1,)), ("zeros", (-1,)), ("zeros", ((2, 1.5),)),
        ("zeros_like", (like,)), ("full_like", (like, 7)), ("full_like", (like, 2j)),
    ):  # fmt: skip
        agree(name, *args, **({} if dtype is None else {"dtype": dtype}))


@pytest.mark.parametrize(
    "operator", ["iadd", "isub", "imul", "itruediv", "ipow", "ilshift", "iand"]
)
@pytest.mark.parametrize("dtype", ["?", "i4", "u1", "f4", "c8"])
def test_in_place_is_sent_ahead_only_where_it_cannot_fail(operator: str, dtype: str) -> None:
    for value in (*SCALARS, np.ones(3), np.ones(2), np.ones((2, 3), "i8"), np.ones((), "f4")):
        array = np.ones((2, 3), dtype)
        told = predict("inplace", [operator, There(array), there(value)], {})
        if told is not None:
            before = array
            with np.errstate(all="ignore"):
                array = getattr(array, f"__{operator}__")(value)
            assert array is before


def test_assignment_is_sent_ahead_only_where_it_cannot_fail() -> None:
    array = np.zeros((3, 4), "u1")
    for key in (0, (1, 2), slice(1), ..., (slice(None), 9), 7, [1], "f"):
        for value in (1, 300, -1, 1.5, np.ones(4), np.ones((3, 4)), np.ones(5), "text", None):
            if predict("setitem", [There(array), key, there(value)], {}) is not None:
                array[key] = value
    fixed = np.broadcast_to(np.zeros(3), (2, 3))
    assert predict("setitem", [There(fixed), 0, 1], {}) is None
    assert predict("setitem", [There(array), 0, 1], {}) is not None


def test_ufuncs_are_known_by_their_names() -> None:
    array = There(np.ones((2, 3), "f4"))
    assert predict("ufunc", ["sin", "__call__", (array,), {}, ()], {}) is not None
    assert predict("ufunc", ["add", "__call__", (array, 2), {}, ()], {}) is not None
    for call in (
        ["add", "reduce", (array,), {}, ()],
        ["modf", "__call__", (array,), {}, ()],
        ["matmul", "__call__", (array, array), {}, ()],
        ["add", "__call__", (array, 2), {"dtype": "f8"}, ()],
        ["erf", "__call__", (array,), {}, ()],
    ):
        assert predict("ufunc", call, {}) is None


def test_every_row_names_a_rule_that_there_is() -> None:
    assert {one.rule for one in operations().values()} == {*RULES, WAITS}


def test_of_other_libraries_only_what_all_agree_on_is_told() -> None:
    x, whole = There(np.ones((2, 3), "f4")), There(np.ones((2, 3), "i4"))

    def told(name: str, *args: Any) -> bool:
        return predict(name, args, {}, on_numpy=False) is not None

    assert told("add", x, x)
    assert told("add", x, 1.5)
    assert told("getitem", x, (0, slice(1, None)))
    assert not told("getitem", x, slice(None, None, -1))
    assert not told("add", x, whole)
    assert not told("sin", whole)
    assert not told("maximum", x, 1.0)
    assert not told("add", x, 2j)
