"""`TorchBackend`: PyTorch tensors, on the CPU and on CUDA devices.

Chosen with ``rpcnb serve --device-backend torch``. The package does not depend on PyTorch: nothing
else imports this file.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

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
        self._pinned: dict[int, PinnedCopies] = {}

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
        if _is_plain_on_cuda(array):
            source = _bytes_of(array, offset, out.nbytes)
            self._copies(array.device.index).download(source, out.cast("B"))
            return
        start, staged = self._stage(array, offset, out.nbytes)
        begin = offset - start * staged.itemsize
        out.cast("B")[:] = staged.view(np.uint8).data[begin : begin + out.nbytes]

    def write(self, array: Any, offset: int, source: memoryview) -> None:
        if _is_plain(array):
            self._host.write(self.to_host(array), offset, source)
            return
        if _is_plain_on_cuda(array):
            target = _bytes_of(array, offset, source.nbytes)
            self._copies(array.device.index).upload(source.cast("B"), target)
            return
        start, staged = self._stage(array, offset, source.nbytes)
        begin = offset - start * staged.itemsize
        staged.view(np.uint8).data[begin : begin + source.nbytes] = source.cast("B")
        for index, first, last in _blocks(array, start, staged.size):
            part = array[(*index, ...)]
            part.copy_(torch.from_numpy(staged[first:last]).reshape(part.shape))

    def _copies(self, index: int) -> PinnedCopies:
        copies = self._pinned.get(index)
        if copies is None:
            copies = self._pinned.setdefault(index, PinnedCopies(torch.device("cuda", index)))
        return copies

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
            return self._on_stream(stream)
        return super().stream_context(stream)

    @contextmanager
    def _on_stream(self, stream: torch.cuda.Stream) -> Iterator[None]:
        """Run on a stream what comes after the default stream's work, and before later copies."""
        stream.wait_stream(torch.cuda.default_stream(stream.device))
        try:
            with torch.cuda.stream(stream):
                yield
        finally:
            self._copies(stream.device.index).note_end(stream)

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


def _is_plain_on_cuda(array: Any) -> bool:
    """Tell whether the tensor's content is memory of a CUDA device as it lies there."""
    lies_there = array.device.type == "cuda" and array.is_contiguous()
    return lies_there and not array.is_conj() and not array.is_neg()


def _bytes_of(array: Any, offset: int, nbytes: int) -> Any:
    """Return a part of a contiguous tensor as a flat tensor of bytes."""
    if not 0 <= offset <= array.numel() * array.element_size() - nbytes:
        raise ArrayMismatch(f"{nbytes:,} bytes at offset {offset:,} do not lie in the array")
    return array.detach().view(-1).view(torch.uint8)[offset : offset + nbytes]


def _blocks(array: Any, start: int, count: int) -> Iterator[tuple[Any, int, int]]:
    for index, first, last in c_order_blocks(tuple(array.shape), start, start + count):
        yield index, first - start, last - start


def _torch_index(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(map(_torch_index, index))
    return torch.as_tensor(index) if isinstance(index, np.ndarray) else index


# --- copies to and from CUDA devices -------------------------------------------------------------

SLOT_NBYTES = 512 * 1024
SLOTS = 4


class Slot(NamedTuple):
    """A piece of pinned memory."""

    memory: Any
    """Tensor of bytes."""
    done: Any
    """Event: the last copy from or to it has finished."""


class PinnedCopies:
    """Copies from and to one CUDA device, on its default stream.  Thread-safe.

    The device copies out of pinned memory by itself, so that filling one slot overlaps with the
    copy of the one before; from ordinary memory PyTorch would make a pinned copy each time, and wait.

    Parameters
    ----------
    device : torch.device

    Notes
    -----
    `upload` returns when the source may be reused; the device has the bytes before anything that
    is started on its default stream later. Streams that ran calls are waited for, on the device.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._slots: list[Slot] = []
        self._next = 0
        self._ends: dict[Any, Any] = {}

    def note_end(self, stream: Any) -> None:
        """Take note that a call has started work on a stream, for later copies to wait for."""
        event = torch.cuda.Event()
        event.record(stream)
        with self._lock:
            self._ends[stream] = event

    def upload(self, source: memoryview, target: Any) -> None:
        """Copy bytes into a flat tensor of as many bytes on the device."""
        with self._lock, torch.cuda.device(self._device):
            queue = self._default_stream()
            for begin in range(0, source.nbytes, SLOT_NBYTES):
                part = source[begin : begin + SLOT_NBYTES]
                slot = self._take()
                slot.done.synchronize()
                pinned = slot.memory[: part.nbytes]
                memoryview(pinned.numpy())[:] = part
                target[begin : begin + part.nbytes].copy_(pinned, non_blocking=True)
                slot.done.record(queue)

    def download(self, source: Any, target: memoryview) -> None:
        """Copy a flat tensor of bytes into host memory."""
        with self._lock, torch.cuda.device(self._device):
            queue = self._default_stream()
            waiting: list[tuple[int, Any, Slot]] = []
            for begin in range(0, target.nbytes, SLOT_NBYTES):
                if len(waiting) == SLOTS:
                    _finish(target, *waiting.pop(0))
                slot = self._take()
                slot.done.synchronize()
                part = source[begin : begin + SLOT_NBYTES]
                pinned = slot.memory[: part.numel()]
                pinned.copy_(part, non_blocking=True)
                slot.done.record(queue)
                waiting.append((begin, pinned, slot))
            for piece in waiting:
                _finish(target, *piece)

    def _default_stream(self) -> Any:
        """Return the default stream, having it wait for the streams that ran calls."""
        queue = torch.cuda.current_stream(self._device)
        while self._ends:
            queue.wait_event(self._ends.popitem()[1])
        return queue

    def _take(self) -> Slot:
        """Return the slot that was used longest ago."""
        if len(self._slots) < SLOTS:
            memory = torch.empty(SLOT_NBYTES, dtype=torch.uint8, pin_memory=True)
            self._slots.append(Slot(memory, torch.cuda.Event()))
            return self._slots[-1]
        self._next = (self._next + 1) % SLOTS
        return self._slots[self._next]


def _finish(target: memoryview, begin: int, pinned: Any, slot: Slot) -> None:
    slot.done.synchronize()
    target[begin : begin + pinned.numel()] = memoryview(pinned.numpy())
