from __future__ import annotations

import math
from collections import OrderedDict, defaultdict, namedtuple
from enum import Enum, IntEnum
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from rpcnb.core.device import CPU
from rpcnb.core.errors import DecodeError, EncodeError, InvalidHandle, SessionError
from rpcnb.core.values import (
    ArrayRef,
    CallbackRef,
    DenseArray,
    DTypeValue,
    FunctionInfo,
    FunctionRef,
    Handle,
    IteratorRef,
    ModuleRef,
    ObjectRef,
    TypeCode,
)
from rpcnb.session.cpu import NumPyBackend
from rpcnb.session.handles import HandleTable
from rpcnb.session.marshal import Marshaller, module_functions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Point = namedtuple("Point", "x y")  # noqa: PYI024 -- its exact kind is the subject


class Colour(Enum):
    RED = 1


class Level(IntEnum):
    LOW = 1


class Thing:
    def __repr__(self) -> str:
        return "Thing()"


class Chatty:
    def __repr__(self) -> str:
        return "x" * 100_000


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr today")


class Surrogate:
    def __repr__(self) -> str:
        return "\udc80"


def nobody(ref: CallbackRef, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    raise AssertionError("nothing was lent")


@pytest.fixture
def handles() -> HandleTable:
    return HandleTable()


@pytest.fixture
def marshaller(handles: HandleTable) -> Marshaller:
    return make_marshaller(handles)


def make_marshaller(handles: HandleTable) -> Marshaller:
    return Marshaller(handles, (NumPyBackend(),), lambda f: FunctionInfo(f"described {f.__name__}"))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
SCALARS |= st.complex_numbers(allow_nan=False) | st.binary() | st.just(Ellipsis) | st.just(CPU)
SCALARS |= st.builds(slice, st.none() | st.integers(), st.integers(), st.none())
KEYS = st.integers() | st.text() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner),
    max_leaves=10,
)


@given(VALUES)
def test_what_goes_by_value_comes_back_equal_and_of_the_same_type(obj: Any) -> None:
    handles = HandleTable()
    marshaller = make_marshaller(handles)
    back = marshaller.to_object(marshaller.to_value(obj), nobody)
    assert back == obj
    assert type(back) is type(obj)
    assert len(handles) == 0


def test_containers_are_copied_so_that_neither_side_sees_the_others_changes(
    marshaller: Marshaller,
) -> None:
    mine = [1, 2]
    value = marshaller.to_value(mine)
    theirs = marshaller.to_object(value, nobody)
    mine.append(3)
    theirs.append(4)
    assert value == [1, 2]


@pytest.mark.parametrize(
    ("obj", "kind", "code"),
    [
        (np.arange(3), ArrayRef, TypeCode.ARRAY),
        (math.sin, FunctionRef, TypeCode.FUNCTION),
        (Thing, FunctionRef, TypeCode.FUNCTION),
        (math, ModuleRef, TypeCode.MODULE),
        ((i for i in range(3)), IteratorRef, TypeCode.ITERATOR),
        (Thing(), ObjectRef, TypeCode.OBJECT),
        ({1, 2}, ObjectRef, TypeCode.OBJECT),
        (bytearray(b"x"), ObjectRef, TypeCode.OBJECT),
        (Point(1, 2), ObjectRef, TypeCode.OBJECT),
        (OrderedDict(a=1), ObjectRef, TypeCode.OBJECT),
        (defaultdict(list), ObjectRef, TypeCode.OBJECT),
        (Colour.RED, ObjectRef, TypeCode.OBJECT),
        (Level.LOW, ObjectRef, TypeCode.OBJECT),
        (np.ma.masked_array([1], [0]), ObjectRef, TypeCode.OBJECT),
        (ArrayRef(Handle(1)), ObjectRef, TypeCode.OBJECT),
    ],
    ids=lambda p: getattr(p, "__name__", None) or type(p).__name__,
)
def test_everything_else_stays_and_comes_back_as_itself(
    marshaller: Marshaller, handles: HandleTable, obj: object, kind: type, code: TypeCode
) -> None:
    value = marshaller.to_value(obj)
    assert type(value) is kind
    assert handles.get(value.handle, code) is obj
    assert marshaller.to_object(value, nobody) is obj


def test_every_ref_is_a_handle_of_its_own(marshaller: Marshaller, handles: HandleTable) -> None:
    thing = Thing()
    one, other = marshaller.to_value([thing, {"k": (thing,)}])
    assert one.handle != other["k"][0].handle
    assert len(handles) == 2


def test_refs_say_what_they_name(marshaller: Marshaller) -> None:
    array = np.zeros((2, 3), ">f4")[:, ::2]
    ref = marshaller.to_value(array)
    assert (ref.shape, ref.dtype, ref.strides, ref.writeable) == ((2, 2), ">f4", (12, 8), True)
    assert marshaller.to_value(math.sin).info.name == "described sin"
    module = marshaller.to_value(math)
    assert (module.name, "sin" in module.names, "pi" in module.names) == ("math", True, False)
    assert module.doc == math.__doc__
    thing = marshaller.to_value(Thing())
    assert (thing.type_name.rpartition(".")[2], thing.summary) == ("Thing", "Thing()")
    assert marshaller.to_value({1}).type_name == "set"
    assert marshaller.to_value(x for x in ()).name.endswith("<genexpr>")


def test_a_summary_is_short_and_survives_any_repr(marshaller: Marshaller) -> None:
    assert len(marshaller.to_value(Chatty()).summary) <= 200
    assert marshaller.to_value(Broken()).summary.startswith("<Broken instance")
    impostor = type(
        "array", (), {"__repr__": lambda _: "so"}
    )()  # by its name taken for one that says more about itself
    assert "whose repr raised AttributeError" in marshaller.to_value(impostor).summary
    assert marshaller.to_value(Surrogate()).summary == "\\udc80"
    assert len(marshaller.to_value(set(range(100_000))).summary) <= 200


@pytest.mark.parametrize(
    "scalar",
    [
        np.float64(1.5),
        np.int8(-3),
        np.bool(True),
        np.complex64(1j),
        np.str_("é"),
        np.bytes_(b"ab"),
        np.datetime64("2026-11-22", "D"),
        np.timedelta64(3, "ns"),
        np.zeros(1, [("a", ">i2"), ("b", "S2")])[0],
    ],
    ids=repr,
)
def test_numpy_scalars_go_by_value(
    marshaller: Marshaller, handles: HandleTable, scalar: np.generic
) -> None:
    value = marshaller.to_value(scalar)
    assert value.is_scalar
    back = marshaller.to_object(value, nobody)
    assert back == scalar
    assert (type(back), back.dtype) == (type(scalar), scalar.dtype)
    assert len(handles) == 0


def test_dtypes_go_by_value(marshaller: Marshaller) -> None:
    dtype = np.dtype([("a", ">i2", (3,)), ("t", "M8[ns]")])
    value = marshaller.to_value(dtype)
    assert type(value) is DTypeValue
    assert marshaller.to_object(value, nobody) == dtype


def test_numpy_scalars_may_be_keys(marshaller: Marshaller) -> None:
    back = marshaller.to_object(marshaller.to_value({np.int64(3): "x"}), nobody)
    assert back == {np.int64(3): "x"}


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_a_small_array_arrives_as_one_of_its_own(
    marshaller: Marshaller, shape: tuple[int, ...]
) -> None:
    source = np.arange(np.prod(shape), dtype=">i2").reshape(shape)
    value = DenseArray(">i2", shape, source.tobytes())
    array = marshaller.to_object([value], nobody)[0]
    np.testing.assert_array_equal(array, source, strict=True)
    array[...] = 7  # writable
    assert value.data == source.tobytes()


@pytest.mark.parametrize(
    "value",
    [
        DenseArray("<f8", (2,), b"short"),
        DenseArray("<f8", (-1,), b""),
        DenseArray("|O8", (1,), bytes(8)),
        DTypeValue("|O8"),
        {1, 2},
        object(),
        slice(object()),
    ],
    ids=lambda v: str(v)[:30],
)
def test_what_is_no_value_is_refused(marshaller: Marshaller, value: Any) -> None:
    with pytest.raises(DecodeError):
        marshaller.to_object(value, nobody)


@pytest.mark.parametrize(
    "ref", [ObjectRef(Handle(99)), ArrayRef(Handle(1)), FunctionRef(Handle(-1))]
)
def test_a_ref_must_name_something_of_its_kind(marshaller: Marshaller, ref: Any) -> None:
    assert marshaller.to_value(Thing()).handle == 1
    with pytest.raises(InvalidHandle):
        marshaller.to_object([ref], nobody)


def nested(depth: int) -> list[Any]:
    inner: list[Any] = [Ellipsis]
    for _ in range(depth - 1):
        inner = [inner]
    return inner


def test_containers_may_be_16_deep_and_no_deeper(
    marshaller: Marshaller, handles: HandleTable
) -> None:
    assert marshaller.to_object(marshaller.to_value(nested(16)), nobody) == nested(16)
    with pytest.raises(EncodeError, match="deeper than 16"):
        marshaller.to_value(nested(17))
    with pytest.raises(DecodeError, match="deeper than 16"):
        marshaller.to_object(nested(17), nobody)
    circle: list[Any] = [Thing()]
    circle.append(circle)
    with pytest.raises(EncodeError, match="contain themselves"):
        marshaller.to_value(circle)
    assert len(handles) == 0


@pytest.mark.parametrize("last", [np.array([None]), np.dtype(object), nested(20)], ids=repr)
def test_after_a_failure_in_the_middle_nothing_is_held(
    marshaller: Marshaller, handles: HandleTable, last: Any
) -> None:
    with pytest.raises(EncodeError):
        marshaller.to_value([Thing(), {"f": math.sin}, last])
    with pytest.raises(EncodeError):
        marshaller.to_values((Thing(), last))
    assert len(handles) == 0
    assert handles.invalid_frees == 0


def test_the_limit_of_handles_leaves_nothing_behind() -> None:
    handles = HandleTable(limit=2)
    with pytest.raises(SessionError, match="its limit"):
        make_marshaller(handles).to_value([Thing(), Thing(), Thing()])
    assert len(handles) == 0


def test_a_callback_converts_what_it_passes_and_what_it_gets(
    marshaller: Marshaller, handles: HandleTable
) -> None:
    thing, seen = Thing(), []

    def call_back(ref: CallbackRef, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        seen.append((ref, args, kwargs))
        return [kwargs["thing"], DenseArray("<i2", (2,), b"\1\0\2\0")]

    ref = CallbackRef(Handle(5), FunctionInfo("on_step"))
    function = marshaller.to_object(ref, call_back)
    result = function(1, np.zeros(3), thing=thing, name="n")
    (_, args, kwargs) = seen[0]
    assert seen[0][0] is ref
    assert args[0] == 1
    assert (type(args[1]), args[1].shape) == (ArrayRef, (3,))
    assert type(kwargs["thing"]) is ObjectRef
    assert kwargs["name"] == "n"
    assert result[0] is thing
    assert result[1].tolist() == [1, 2]
    assert len(handles) == 2  # lent to the other side, which frees them
    assert (function.__name__, repr(function)) == ("on_step", "<callback on_step>")


def test_callbacks_may_lie_in_containers_and_return_callbacks(marshaller: Marshaller) -> None:
    def call_back(ref: CallbackRef, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return CallbackRef(Handle(2)) if ref.handle == 1 else (ref.handle, *args)

    outer = marshaller.to_object({"f": [CallbackRef(Handle(1))]}, call_back)["f"][0]
    assert outer()(7) == (2, 7)


def test_a_callback_whose_argument_cannot_cross_lends_nothing(
    marshaller: Marshaller, handles: HandleTable
) -> None:
    function = marshaller.to_object(CallbackRef(Handle(1)), nobody)
    with pytest.raises(EncodeError, match="Python objects"):
        function(Thing(), bad=np.array([None]))
    assert len(handles) == 0


def test_a_module_offers_what_it_says_or_what_it_defines() -> None:
    module = ModuleType("helpers")

    def own() -> None: ...
    def hidden() -> None: ...

    own.__module__ = hidden.__module__ = "helpers"
    vars(module).update(own=own, _hidden=hidden, sin=math.sin, constant=3)
    assert module_functions(module) == ("own",)
    vars(module)["__all__"] = ["sin", "constant", "missing", "_hidden", 3]
    assert module_functions(module) == ("sin",)


def test_the_names_of_a_module_are_bounded() -> None:
    module = ModuleType("large")
    vars(module)["__all__"] = [f"f{i}" for i in range(3000)]
    vars(module).update(dict.fromkeys(module.__all__, math.sin))
    assert len(module_functions(module)) == 1024


def test_a_module_without_a_doc_has_none(marshaller: Marshaller) -> None:
    assert marshaller.to_value(ModuleType("bare")).doc == ""
