"""Between the values of a session and those of TVM's protocol."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from struct import Struct, error as StructError  # noqa: N812 -- a class of the wrong case
from typing import TYPE_CHECKING

from rpcnb.core.device import Device, DeviceType
from rpcnb.core.dtype import element_count
from rpcnb.core.errors import DeviceError, EncodeError
from rpcnb.core.values import (
    ArrayRef,
    CallbackRef,
    DenseArray,
    FunctionInfo,
    FunctionRef,
    Handle,
    ModuleRef,
    ObjectRef,
    Ref,
)
from rpcnb.wire.tvm.values import TVMDevice, TVMDType, TVMTensor, TypeIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.dtype import DType
    from rpcnb.core.values import Value
    from rpcnb.wire.tvm.packets import Packet

_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_KINDS = {code: kind for kind, code in _CODES.items()}
_RAW = {8: "|u1", 16: "<u2", 32: "<u4", 64: "<u8"}
_FORMATS = {"i": "bhiq", "u": "BHIQ", "f": " efd"}


@dataclass(slots=True)
class Held:
    """What one of our handles stands for."""

    ref: Ref
    type_index: int = TypeIndex.NONE
    pointer: int = 0
    tensor: TVMTensor | None = None
    release: Packet | None = None
    """What gives it up over there; None for what lives here."""
    run: Callable[..., Value] | None = None
    """For a function that the session itself offers."""
    module: Held | None = None
    """Where a function was found."""
    pins: deque[bool] = field(default_factory=lambda: deque([True]))
    """One entry per handle that needs the memory; who takes the last, which is True, frees it.
    Taking from a deque is atomic, so that finalizers need no lock."""
    base: Held | None = None
    """What a view is a view of."""


def to_tvm_dtype(dtype: DType) -> TVMDType:
    """Return TVM's spelling of an element type.

    Raises
    ------
    EncodeError
        TVM has none: records, strings, dates, foreign byte order.
    """
    if not isinstance(dtype, str) or dtype[0] == ">" or dtype[1] not in _CODES:
        message = f"TVM has no arrays of dtype {dtype!r}; it has b, i, u, f and c of native order"
        raise EncodeError(message)
    return TVMDType(_CODES[dtype[1]], 8 * int(dtype[2:]))


def from_tvm_dtype(dtype: TVMDType) -> tuple[str, tuple[int, ...]] | None:
    """Return the element type here and the dimensions that its lanes add.

    What NumPy does not have (bfloat16, eight-bit floats) comes as unsigned integers of its size:
    the raw bits. None for elements that do not fill bytes.
    """
    lanes = () if dtype.lanes == 1 else (dtype.lanes,)
    kind = _KINDS.get(dtype.code)
    if kind == "b" and dtype.bits == 8:
        return "|b1", lanes
    if kind in ("i", "u") and dtype.bits in _RAW:
        return f"{'|' if dtype.bits == 8 else '<'}{kind}{dtype.bits // 8}", lanes
    if (kind, dtype.bits) in {("f", 16), ("f", 32), ("f", 64), ("c", 64), ("c", 128)}:
        return f"<{kind}{dtype.bits // 8}", lanes
    return (_RAW[dtype.bits], lanes) if dtype.bits in _RAW else None


def to_tvm_device(device: Device) -> TVMDevice:
    """Return TVM's numbers for a device."""
    return TVMDevice(int(device.type), device.index)


def from_tvm_device(device: TVMDevice) -> Device:
    """Return the device.

    Raises
    ------
    DeviceError
        Of a kind that has no name here.
    """
    try:
        return Device(DeviceType(device.type), device.number)
    except ValueError:
        message = f"a device of DLPack's kind {device.type} has no name here"
        raise DeviceError(message) from None


def scalar(value: DenseArray) -> bool | int | float:
    """Return the number in a NumPy scalar.

    Raises
    ------
    EncodeError
        TVM passes booleans, integers of 64 bits and floats only.
    """
    form = _format(value.dtype)
    if form is None:
        message = f"TVM passes no scalars of dtype {value.dtype!r}; it passes bool, int and float"
        raise EncodeError(message)
    (number,) = form.unpack(value.data)
    return bool(number) if value.dtype == "|b1" else number


def pack_scalar(value: float, dtype: DType) -> bytes:
    """Return the bytes of one element.

    Raises
    ------
    EncodeError
        It does not fit into that dtype.
    """
    form = _format(dtype)
    try:
        if form is not None:
            return form.pack(value)
    except (StructError, OverflowError):
        pass
    message = f"{value!r} is no element of dtype {dtype!r}"
    raise EncodeError(message)


def _format(dtype: DType) -> Struct | None:
    if dtype == "|b1":
        return Struct("<?")
    if not isinstance(dtype, str) or dtype[0] == ">" or dtype[1] not in _FORMATS:
        return None
    size = int(dtype[2:])
    letter = _FORMATS[dtype[1]][size.bit_length() - 1] if size in (1, 2, 4, 8) else " "
    return None if letter == " " else Struct(f"<{letter}")


def refuse(value: object) -> EncodeError:
    """Return the error for an argument that TVM cannot be given."""
    if isinstance(value, CallbackRef):
        return EncodeError(
            "a TVM server cannot call functions of this side; pass the name of one of its own"
        )
    return EncodeError(
        f"TVM's protocol passes no {type(value).__name__}; it passes None, bool, int, float, str, "
        "bytes, arrays, devices, dtypes and what the server returned"
    )


def make_ref(handle: Handle, held_index: int, name: str = "") -> Ref:
    """Return the ref of something other than a tensor."""
    if held_index == TypeIndex.FUNCTION:
        return FunctionRef(handle, FunctionInfo(name or "function"))
    if held_index == TypeIndex.MODULE:
        return ModuleRef(handle, name or "module")
    known: dict[int, str] = {69: "Shape", 71: "Array", 72: "Map", 115: "Object"}  # as in 0.27
    return ObjectRef(handle, f"tvm.{known.get(held_index, f'object of type index {held_index}')}")


def make_array_ref(handle: Handle, tensor: TVMTensor, base: int) -> ArrayRef | None:
    """Return the ref of a tensor; None where its elements do not fill bytes."""
    spelled = from_tvm_dtype(tensor.dtype)
    if spelled is None:
        return None
    dtype, lanes = spelled
    return ArrayRef(handle, tensor.shape + lanes, dtype, from_tvm_device(tensor.device), base=base)


def nbytes_of(tensor: TVMTensor) -> int:
    """Return the bytes of a tensor's elements."""
    return element_count(tensor.shape) * tensor.dtype.lanes * ((tensor.dtype.bits + 7) // 8)
