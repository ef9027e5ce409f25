from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from rpcnb.core.device import CPU
from rpcnb.core.values import (
    OWNED_REFS,
    PLAIN_TYPES,
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
    Parameter,
    TypeCode,
)

REFS = {
    FunctionRef: TypeCode.FUNCTION,
    ArrayRef: TypeCode.ARRAY,
    ModuleRef: TypeCode.MODULE,
    ObjectRef: TypeCode.OBJECT,
    IteratorRef: TypeCode.ITERATOR,
    CallbackRef: TypeCode.CALLBACK,
}


@pytest.mark.parametrize(("ref", "code"), REFS.items())
def test_every_ref_is_made_of_a_handle_and_says_its_kind(ref: Any, code: TypeCode) -> None:
    made = ref(Handle(5))
    assert (made.handle, made.type_code) == (5, code)
    assert made == ref(Handle(5))
    assert hash(made) == hash(ref(Handle(5)))
    assert made != ref(Handle(6))


def test_a_lent_function_is_the_only_ref_its_receiver_does_not_free() -> None:
    assert set(REFS) - set(OWNED_REFS) == {CallbackRef}


@pytest.mark.parametrize(
    "value",
    [
        *(ref(Handle(1)) for ref in REFS),
        DTypeValue("<f4"),
        DenseArray("|u1", (1,), b"x"),
        FunctionInfo("f"),
        Parameter("x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_cannot_be_changed(value: Any) -> None:
    name = next(iter(type(value).__dataclass_fields__))
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, 0)
    assert not hasattr(value, "__dict__")


def test_an_array_is_contiguous_bytes_on_the_cpu_unless_told_otherwise() -> None:
    ref = ArrayRef(Handle(1))
    assert (ref.shape, ref.dtype, ref.device) == ((), "|u1", CPU)
    assert (ref.byte_offset, ref.base, ref.strides, ref.writeable) == (0, 0, None, True)


def test_the_data_of_a_small_array_is_not_shown() -> None:
    assert "secret" not in repr(DenseArray("|S6", (), b"secret"))


def test_plain_types_are_immutable_and_exact() -> None:
    assert {type(None), bool, int, float, complex, str, bytes} == PLAIN_TYPES
    assert list not in PLAIN_TYPES


def test_type_codes_are_the_wires() -> None:
    assert [(code.name, int(code)) for code in TypeCode] == [
        ("FUNCTION", 1),
        ("ARRAY", 2),
        ("MODULE", 3),
        ("OBJECT", 4),
        ("ITERATOR", 5),
        ("CALLBACK", 6),
        ("STREAM", 7),
    ]
