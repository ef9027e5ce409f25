"""`TorchBackend`: PyTorch tensors, on the CPU and on CUDA devices.

Chosen with ``rpcnb serve --device-backend torch``. The package does not depend on PyTorch: nothing
else imports this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rpcnb.core.device import CPU, Device, DeviceAttr, DeviceType
from rpcnb.core.errors import ArrayMismatch, DeviceError, EncodeError
from rpcnb.session.backend import ArrayBackend, ArrayDescription, c_order_blocks
from rpcnb.session.cpu import NumPyBackend
from rpcnb.session.dtypes import to_dtype, to_numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from rpcnb.core.dtype import DType
    from rpcnb.core.values import Value

_NAMES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
_TO_TORCH = {np.dtype(name): getattr(torch, name) for name in _NAMES if hasattr(torch, name)}
_TO_NUMPY = {ours: theirs for theirs, ours in _TO_TORCH.items()}


class TorchBackend(ArrayBackend):
    """PyTorch on ``cpu:0`` and on every CUDA device.

    Gradients are not kept: an array that crosses is data. What PyTorch has no view for, such as a
    slice with a negative step, raises as PyTorch does.
    """

    def __init__(self) -> None:
        self._host = NumPyBackend()

    def owns(self, obj: object) -> bool:
        return isinstance(obj, torch.Tensor)

    def describe(self, array: Any) -> ArrayDescription:
        dtype = _TO_NUMPY.get(array.dtype)
        if dtype is None or array.layout is not torch.strided:
            raise EncodeError(f"tensors of {array.dtype}, {array.layout} cannot cross a session")
        storage = array.untyped_storage()
        address = hash(storage.data_ptr().to_bytes(8, "little")) & (1 << 63) - 1
        strides = tuple(step * dtype.itemsize for step in array.stride())
        return ArrayDescription(
            tuple(array.shape),
            to_dtype(dtype),
            _our_device(array.device),
            None if array.is_contiguous() else strides,
            address,
            storage.nbytes(),
            writeable=not array.is_inference(),
        )

    # --- making arrays ----------------------------------------------------------------------------

    def empty(self, shape: tuple[int, ...], dtype: DType, device: Device) -> Any:
        return self.create("empty", shape, dtype, device, None)

    def create(
        self, kind: str, args: Sequence[Any], dtype: DType | None, device: Device, fill: Any
    ) -> Any:
        make = _MAKERS.get(kind)
        if make is None:
            raise ValueError(f"{kind!r} makes no array; use one of {', '.join(_MAKERS)}")
        options = {"device": self._device(device)}
        if dtype is not None:
            options["dtype"] = _torch_dtype(to_numpy_dtype(dtype))
        try:
            return make(args, fill, options)
        except (MemoryError, RuntimeError) as error:  # PyTorch says both in its own words
            if "memory" in str(error) or "Storage size" in str(error):
                message = f"{device} has not enough memory for an array of {tuple(args)}"
                raise DeviceError(message) from None
            raise

    def from_host(self, host: Any, device: Device) -> Any:
        _torch_dtype(host.dtype)
        native = np.require(host, host.dtype.newbyteorder("="), ["W"])
        positive = native if all(step >= 0 for step in native.strides) else native.copy()
        return torch.from_numpy(positive).to(self._device(device))

    def to_host(self, array: Any) -> Any:
        return array.detach().cpu().resolve_conj().resolve_neg().numpy()

    # --- the bytes of an array ------------------------------------------------------------------------

    def host_view(self, array: Any) -> memoryview | None:
        return self._host.host_view(self.to_host(array)) if _is_plain(array) else None

    def read(self, array: Any, offset: int, out: memoryview) -> None:
        if _is_plain(array):
            self._host.read(self.to_host(array), offset, out)
            return
        start, staged = self._stage(array, offset, out.nbytes)
        begin = offset - start * staged.itemsize
        out.cast("B")[:] = staged.view(np.uint8).data[begin : begin + out.nbytes]

    def write(self, array: Any, offset: int, source: memoryview) -> None:
        if _is_plain(array):
            self._host.write(self.to_host(array), offset, source)
            return
        start, staged = self._stage(array, offset, source.nbytes)
        begin = offset - start * staged.itemsize
        staged.view(np.uint8).data[begin : begin + source.nbytes] = source.cast("B")
        for index, first, last in _blocks(array, start, staged.size):
            part = array[(*index, ...)]
            part.copy_(torch.from_numpy(staged[first:last]).reshape(part.shape))

    def _stage(self, array: Any, offset: int, nbytes: int) -> tuple[int, Any]:
        """Return the elements that a range of bytes touches as a host array, and the first's number."""
        size = array.element_size()
        if not 0 <= offset <= array.numel() * size - nbytes:
            raise ArrayMismatch(f"{nbytes:,} bytes at offset {offset:,} do not lie in the array")
        start, stop = offset // size, -(-(offset + nbytes) // size)
        staged = np.empty(stop - start, _TO_NUMPY[array.dtype])
        for index, first, last in _blocks(array, start, staged.size):
            staged[first:last] = self.to_host(array[(*index, ...)]).reshape(-1)
        return start, staged

    # --- work where the arrays are ----------------------------------------------------------------------

    def copy(self, source: Any, target: Any) -> None:
        if source.shape != target.shape:
            raise ArrayMismatch(
                f"shape {tuple(source.shape)} cannot be copied into {tuple(target.shape)}"
            )
        if not np.can_cast(_TO_NUMPY[source.dtype], _TO_NUMPY[target.dtype], "same_kind"):
            raise ArrayMismatch(f"{source.dtype} cannot be cast to {target.dtype}")
        with torch.no_grad():
            target.copy_(source)

    def duplicate(self, array: Any) -> Any:
        return array.detach().clone(memory_format=torch.contiguous_format)

    def view(self, array: Any, index: Any) -> Any:
        return array.detach()[index]

    def assign(self, array: Any, index: Any, value: Any) -> None:
        if isinstance(value, np.ndarray | np.generic):
            value = torch.as_tensor(np.asarray(value), device=array.device)
        try:
            with torch.no_grad():
                array[_torch_index(index)] = value
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArrayMismatch(str(error)) from None

    # --- devices and streams --------------------------------------------------------------------------

    def devices(self) -> tuple[Device, ...]:
        found = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
        return (CPU, *(Device(DeviceType.CUDA, index) for index in found))

    def get_attr(self, device: Device, kind: DeviceAttr) -> Value:
        self._device(device)
        if device.type is DeviceType.CPU:
            return self._host.get_attr(device, kind)
        if kind is DeviceAttr.EXIST:
            return True
        if kind is DeviceAttr.AVAILABLE_GLOBAL_MEMORY:
            return int(torch.cuda.mem_get_info(device.index)[0])
        ask = _CUDA_ATTRIBUTES.get(kind)
        return None if ask is None else ask(torch.cuda.get_device_properties(device.index))

    def make_stream(self, device: Device) -> object:
        on_gpu = device.type is DeviceType.CUDA
        return torch.cuda.Stream(self._device(device)) if on_gpu else None

    def synchronize(self, device: Device, stream: object) -> None:
        if isinstance(stream, torch.cuda.Stream):
            stream.synchronize()
        elif device.type is DeviceType.CUDA:
            torch.cuda.synchronize(device.index)

    def stream_context(self, stream: object) -> AbstractContextManager[object]:
        if isinstance(stream, torch.cuda.Stream):
            context: AbstractContextManager[object] = torch.cuda.stream(stream)
            return context
        return super().stream_context(stream)

    def _device(self, device: Device) -> Any:
        if device not in self.devices():
            raise DeviceError(f"PyTorch has no device {device} here")
        return torch.device(str(device))


_MAKERS: dict[str, Callable[[Sequence[Any], Any, dict[str, Any]], Any]] = {
    # Not torch.empty, for the reason given in cpu.py: it shows what was freed.
    "empty": lambda args, _, options: torch.zeros(tuple(args), **options),
    "zeros": lambda args, _, options: torch.zeros(tuple(args), **_float64(options)),
    "ones": lambda args, _, options: torch.ones(tuple(args), **_float64(options)),
    "full": lambda args, fill, options: torch.full(tuple(args), fill, **options),
    "arange": lambda args, _, options: torch.arange(*args, **options),
}

_CUDA_ATTRIBUTES: dict[DeviceAttr, Callable[[Any], Value]] = {
    DeviceAttr.DEVICE_NAME: lambda found: found.name,
    DeviceAttr.COMPUTE_VERSION: lambda found: f"{found.major}.{found.minor}",
    DeviceAttr.MULTI_PROCESSOR_COUNT: lambda found: found.multi_processor_count,
    DeviceAttr.TOTAL_GLOBAL_MEMORY: lambda found: found.total_memory,
    DeviceAttr.WARP_SIZE: lambda found: getattr(found, "warp_size", 32),
    DeviceAttr.MAX_THREADS_PER_BLOCK: lambda found: getattr(found, "max_threads_per_block", None),
    DeviceAttr.MAX_SHARED_MEMORY_PER_BLOCK: lambda found: getattr(
        found, "shared_memory_per_block", None
    ),
}


def _float64(options: dict[str, Any]) -> dict[str, Any]:
    return {"dtype": torch.float64, **options}


def _torch_dtype(dtype: np.dtype[Any]) -> Any:
    found = _TO_TORCH.get(dtype.newbyteorder("="))
    if found is None:
        raise DeviceError(f"PyTorch has no dtype {dtype}")
    return found


def _our_device(device: Any) -> Device:
    kind = DeviceType.CPU if device.type == "cpu" else DeviceType.CUDA
    return Device(kind, device.index or 0)


def _is_plain(array: Any) -> bool:
    """Tell whether NumPy can work on the tensor's own memory."""
    return array.device.type == "cpu" and not array.is_conj() and not array.is_neg()


def _blocks(array: Any, start: int, count: int) -> Iterator[tuple[Any, int, int]]:
    for index, first, last in c_order_blocks(tuple(array.shape), start, start + count):
        yield index, first - start, last - start


def _torch_index(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(map(_torch_index, index))
    return torch.as_tensor(index) if isinstance(index, np.ndarray) else index
