"""Tests of `rpcnb.endpoint.tvm.values`: our values as TVM's, and back."""

from __future__ import annotations

import pytest

from rpcnb.core.device import Device, DeviceType
from rpcnb.core.dtype import RecordDType
from rpcnb.core.errors import DeviceError, EncodeError
from rpcnb.core.values import ArrayRef, CallbackRef, DenseArray, FunctionRef, Handle, ModuleRef
from rpcnb.endpoint.tvm.values import (
    from_tvm_device,
    from_tvm_dtype,
    make_array_ref,
    make_ref,
    nbytes_of,
    pack_scalar,
    refuse,
    scalar,
    to_tvm_device,
    to_tvm_dtype,
)
from rpcnb.wire.tvm.values import TVMDevice, TVMDType, TVMTensor

SHARED = ["|b1", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8"]


@pytest.mark.parametrize("dtype", [*SHARED, "<c8", "<c16"])
def test_every_shared_dtype_survives(dtype) -> None:
    assert from_tvm_dtype(to_tvm_dtype(dtype)) == (dtype, ())


@pytest.mark.parametrize("dtype", [">f4", "|S3", "<U2", "<M8[s]", RecordDType(0, ())])
def test_other_dtypes_are_refused(dtype) -> None:
    with pytest.raises(EncodeError, match="TVM has no arrays of dtype"):
        to_tvm_dtype(dtype)


@pytest.mark.parametrize(
    ("dtype", "spelled"),
    [
        (TVMDType(4, 16), ("<u2", ())),
        (TVMDType(7, 8), ("|u1", ())),
        (TVMDType(3, 64), ("<u8", ())),
        (TVMDType(2, 32, 4), ("<f4", (4,))),
        (TVMDType(17, 4), None),
        (TVMDType(1, 1), None),
    ],
)
def test_what_numpy_does_not_have_comes_raw(dtype, spelled) -> None:
    assert from_tvm_dtype(dtype) == spelled


def test_devices_have_the_same_numbers() -> None:
    device = Device(DeviceType.VULKAN, 3)
    assert from_tvm_device(to_tvm_device(device)) == device
    with pytest.raises(DeviceError, match="kind 99"):
        from_tvm_device(TVMDevice(99, 0))


@pytest.mark.parametrize("dtype", SHARED)
def test_a_scalar_is_packed_and_read(dtype) -> None:
    value = scalar(DenseArray(dtype, (), pack_scalar(1, dtype), is_scalar=True))
    assert value == 1
    assert isinstance(value, {"b": bool, "f": float}.get(dtype[1], int))


def test_a_scalar_that_does_not_fit_is_refused() -> None:
    with pytest.raises(EncodeError, match="no element of dtype"):
        pack_scalar(300, "|u1")
    with pytest.raises(EncodeError, match="no scalars of dtype"):
        scalar(DenseArray("<c16", (), bytes(16), is_scalar=True))


def test_refs_are_made_by_type_index() -> None:
    assert isinstance(make_ref(Handle(1), 68, "f"), FunctionRef)
    assert isinstance(make_ref(Handle(1), 73), ModuleRef)
    assert make_ref(Handle(1), 72).type_name == "tvm.Map"
    assert make_ref(Handle(1), 200).type_name == "tvm.object of type index 200"


def test_lanes_are_a_dimension() -> None:
    tensor = TVMTensor(1, TVMDevice(1, 0), TVMDType(2, 32, 4), (2, 3))
    assert make_array_ref(Handle(5), tensor, 5) == ArrayRef(Handle(5), (2, 3, 4), "<f4", base=5)
    assert nbytes_of(tensor) == 96
    odd = tensor._replace(dtype=TVMDType(17, 4))
    assert make_array_ref(Handle(5), odd, 5) is None


def test_a_refusal_says_what_may_be_passed() -> None:
    assert "functions of this side" in str(refuse(CallbackRef(Handle(1))))
    assert "passes no list" in str(refuse([]))
