"""`NumPyBackend`: arrays in this process's memory."""

from __future__ import annotations

import os
import platform
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rpcnb.core.device import CPU, Device, DeviceAttr
from rpcnb.core.dtype import DType, element_count
from rpcnb.core.errors import ArrayMismatch, DeviceError, EncodeError
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.session.backend import ArrayBackend, ArrayDescription, c_order_blocks
from rpcnb.session.dtypes import raw_bytes, to_dtype, to_numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from rpcnb.core.values import Value

HostArray: TypeAlias = "NDArray[Any]"


class NumPyBackend(ArrayBackend):
    """NumPy on ``cpu:0``.

    Subclasses of `numpy.ndarray` are arrays like any other, save masked arrays: their data alone
    is not what they mean, so that they stay objects.
    """

    def owns(self, obj: object) -> bool:
        if type(obj) is np.ndarray:  # most are, and `np.ma` is looked up at length
            return True
        return isinstance(obj, np.ndarray) and not isinstance(obj, np.ma.MaskedArray)

    def describe(self, array: HostArray) -> ArrayDescription:
        if array.ndim > DEFAULT_LIMITS.ndim:
            raise EncodeError(f"arrays of {array.ndim} dimensions cannot cross a session")
        base, nbytes = _buffer(array)
        return ArrayDescription(
            array.shape,
            to_dtype(array.dtype),
            CPU,
            None if array.flags.c_contiguous else array.strides,
            base,
            nbytes,
            array.flags.writeable,
        )

    # --- making arrays ----------------------------------------------------------------------------

    def empty(self, shape: tuple[int, ...], dtype: DType, device: Device) -> HostArray:
        return self.create("empty", shape, dtype, device, None)

    def create(
        self, kind: str, args: Sequence[Any], dtype: DType | None, device: Device, fill: Any
    ) -> HostArray:
        _check_device(device)
        element_type = None if dtype is None else to_numpy_dtype(dtype)
        make = _MAKERS.get(kind)
        if make is None:
            raise ValueError(f"{kind!r} makes no array; use one of {', '.join(_MAKERS)}")
        if kind != "arange":
            _check_shape(tuple(args), element_type)
        with _memory(args):
            array = make(args, element_type, fill)
        to_dtype(array.dtype)  # the fill value may have been anything
        return array

    def over(
        self, memory: memoryview, shape: tuple[int, ...], dtype: DType, device: Device
    ) -> HostArray | None:
        _check_device(device)
        return np.frombuffer(memory, to_numpy_dtype(dtype)).reshape(shape)

    def from_host(self, host: HostArray, device: Device) -> HostArray:
        _check_device(device)
        return host

    def to_host(self, array: HostArray) -> HostArray:
        return np.asarray(array)

    # --- the bytes of an array ------------------------------------------------------------------------

    def host_view(self, array: HostArray) -> memoryview | None:
        return raw_bytes(array) if array.flags.c_contiguous else None

    def read(self, array: HostArray, offset: int, out: memoryview) -> None:
        _check_range(array, offset, out.nbytes)

        def get(elements: HostArray, host: HostArray) -> None:
            np.copyto(host, elements)

        _transfer(array, offset, out, get)

    def write(self, array: HostArray, offset: int, source: memoryview) -> None:
        _check_range(array, offset, source.nbytes)
        _check_writeable(array)

        def put(elements: HostArray, host: HostArray) -> None:
            np.copyto(elements, host)

        _transfer(array, offset, source, put)

    # --- work where the arrays are ----------------------------------------------------------------------

    def copy(self, source: HostArray, target: HostArray) -> None:
        _check_writeable(target)
        if source.shape != target.shape:
            raise ArrayMismatch(f"shape {source.shape} cannot be copied into {target.shape}")
        try:
            np.copyto(target, source, casting="same_kind")
        except TypeError as error:
            raise ArrayMismatch(str(error)) from None

    def duplicate(self, array: HostArray) -> HostArray:
        with _memory(array.shape):
            return np.array(array, order="C", copy=True)

    def view(self, array: HostArray, index: Any) -> HostArray:
        index = index if isinstance(index, tuple) else (index,)
        if Ellipsis not in index:
            index = (*index, ...)  # without it, a single element comes as a copy of its own
        part: HostArray = np.asarray(array)[index]
        return part

    def assign(self, array: HostArray, index: Any, value: Any) -> None:
        _check_writeable(array)
        try:
            array[index] = value
        except (TypeError, ValueError) as error:
            raise ArrayMismatch(str(error)) from None

    # --- devices --------------------------------------------------------------------------------------

    def devices(self) -> tuple[Device, ...]:
        return (CPU,)

    def get_attr(self, device: Device, kind: DeviceAttr) -> Value:
        _check_device(device)
        ask = _ATTRIBUTES.get(kind)
        return None if ask is None else ask()


_MAKERS: dict[str, Callable[[Sequence[Any], np.dtype[Any] | None, Any], HostArray]] = {
    # Not np.empty: that hands out what this process freed, and a peer could read it. A large array
    # costs the same, since the system gives fresh pages zeroed.
    "empty": lambda args, dtype, _: np.zeros(tuple(args), dtype),
    "zeros": lambda args, dtype, _: np.zeros(tuple(args), dtype),
    "ones": lambda args, dtype, _: np.ones(tuple(args), dtype),
    "full": lambda args, dtype, fill: np.full(tuple(args), fill, dtype),
    "arange": lambda args, dtype, _: np.arange(*args, dtype=dtype),
}


def _check_shape(shape: tuple[int, ...], dtype: np.dtype[Any] | None) -> None:
    itemsize = np.dtype(float).itemsize if dtype is None else dtype.itemsize
    if element_count(shape) * itemsize >= 1 << 63:
        raise DeviceError(f"no device has memory for an array of {shape}")


def _check_device(device: Device) -> None:
    if device != CPU:
        raise DeviceError(f"NumPy keeps arrays on {CPU}, not on {device}")


@contextmanager
def _memory(shape: Sequence[Any]) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise DeviceError(f"{CPU} has not enough memory for an array of {tuple(shape)}") from None


def _check_writeable(array: HostArray) -> None:
    if not array.flags.writeable:
        raise ArrayMismatch("this array is read-only")


def _check_range(array: HostArray, offset: int, nbytes: int) -> None:
    if not 0 <= offset <= array.nbytes - nbytes:
        raise ArrayMismatch(
            f"{nbytes:,} bytes at offset {offset:,} do not lie in an array of {array.nbytes:,}"
        )


def _buffer(array: HostArray) -> tuple[int, int]:
    """Return the number and the bytes of the memory an array lies in, whoever owns that."""
    owner = _owner(array)
    if isinstance(owner, np.ndarray):
        nbytes = owner.nbytes
    else:
        try:
            nbytes = memoryview(owner).nbytes
        except TypeError:  # an owner that does not say, such as a DLPack capsule
            low, high = np.lib.array_utils.byte_bounds(array)
            nbytes = high - low
    # An identity is an address; hashed with this process's random key it tells a peer nothing.
    return hash(id(owner).to_bytes(8, "little")) & (1 << 63) - 1, nbytes


def _owner(array: HostArray) -> Any:
    """Return the object at the end of the chain of bases."""
    owner: Any = array
    while True:
        base = getattr(owner, "base", None)
        # Behind a foreign object there may be an array again: np.lib.stride_tricks puts one there.
        if base is None or not (isinstance(owner, np.ndarray) or isinstance(base, np.ndarray)):
            return owner
        owner = base


def _transfer(
    array: HostArray,
    offset: int,
    memory: memoryview,
    move: Callable[[HostArray, HostArray], None],
) -> None:
    """Move bytes between a part of an array's C-order content and `memory`, without temporaries."""
    size = array.dtype.itemsize
    if memory.nbytes == 0:
        return
    host = np.frombuffer(memory, np.uint8)
    # As raw bytes: all dtypes alike, and paddings and odd values come through as they are.
    raw = np.asarray(array).view(np.dtype((np.void, size)))
    first, last = -(-offset // size), (offset + memory.nbytes) // size
    for begin, end in _edges(offset, offset + memory.nbytes, size):
        number = begin // size
        element = raw[(*np.unravel_index(number, raw.shape), None)].view(np.uint8)
        within = number * size
        move(element[begin - within : end - within], host[begin - offset : end - offset])
    for index, start, stop in c_order_blocks(raw.shape, first, last):
        elements = raw[(*index, ...)]
        part = host[start * size - offset : stop * size - offset]
        move(elements, part.view(raw.dtype).reshape(elements.shape))


def _edges(begin: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a byte range that are not whole elements."""
    first, last = -(-begin // size) * size, end // size * size
    if first > last:  # inside one element
        yield begin, end
        return
    if begin < first:
        yield begin, first
    if last < end:
        yield last, end


# --- attributes -----------------------------------------------------------------------------------


@cache
def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _processor_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pages(name: str) -> int | None:
    """Return memory in bytes as the system configuration counts it; None where it does not."""
    try:
        return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _available_memory() -> int | None:
    # Free pages alone would leave out what the system gives up as soon as it is asked.
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return _pages("SC_AVPHYS_PAGES")


_ATTRIBUTES: dict[DeviceAttr, Callable[[], Value]] = {
    DeviceAttr.EXIST: lambda: True,
    DeviceAttr.DEVICE_NAME: _processor_name,
    DeviceAttr.MULTI_PROCESSOR_COUNT: _processor_count,
    DeviceAttr.TOTAL_GLOBAL_MEMORY: lambda: _pages("SC_PHYS_PAGES"),
    DeviceAttr.AVAILABLE_GLOBAL_MEMORY: _available_memory,
}
