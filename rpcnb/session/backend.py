"""`ArrayBackend`: what an array library must offer so that sessions can hold its arrays.

One library = one subclass in one file; nothing else in the package names a library's class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from rpcnb.core.frozen import frozen
from rpcnb.core.values import ArrayRef, Handle, TypeCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcnb.core.device import Device, DeviceAttr
    from rpcnb.core.dtype import DType
    from rpcnb.core.values import Value
    from rpcnb.session.handles import HandleTable

Array: TypeAlias = Any
"""An array of the backend's library."""
Block: TypeAlias = tuple[int | slice, ...]


@frozen
class ArrayDescription:
    """What is known about an array without its data."""

    shape: tuple[int, ...]
    dtype: DType
    device: Device
    strides: tuple[int, ...] | None
    """Bytes to step in each dimension; None for C order without gaps."""
    base: int
    """Number of the buffer it lies in; the same for all views, as long as the buffer lives."""
    buffer_nbytes: int
    """Bytes of that whole buffer."""
    writeable: bool

    def ref(self, handle: Handle) -> ArrayRef:
        """Return the ref that names the array as `handle`."""
        return ArrayRef(
            handle,
            self.shape,
            self.dtype,
            self.device,
            base=self.base,
            strides=self.strides,
            writeable=self.writeable,
        )


class ArrayBackend(ABC):
    """One array library.  Thread-safe.

    Arguments called `array`, `source` and `target` are arrays it `owns`. Byte offsets count the
    array's content in C order, whatever its strides.
    """

    @abstractmethod
    def owns(self, obj: object) -> bool:
        """Tell whether `obj` is an array of this library."""

    @abstractmethod
    def describe(self, array: Array) -> ArrayDescription:
        """Return what is known about an array without its data.

        Raises
        ------
        EncodeError
            Arrays of its dtype cannot cross.
        """

    # --- making arrays ----------------------------------------------------------------------------

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: DType, device: Device) -> Array:
        """Make an array whose content nobody relies on; it must not show freed memory.

        Raises
        ------
        DecodeError
            `shape` or `dtype` is not allowed.
        DeviceError
            No such device, or not enough memory on it.
        """

    @abstractmethod
    def create(
        self, kind: str, args: Sequence[Any], dtype: DType | None, device: Device, fill: Any
    ) -> Array:
        """Make a filled array.

        Parameters
        ----------
        kind : str
            ``empty``, ``zeros``, ``ones`` or ``full``: `args` is the shape; or ``arange``: `args`
            is ``stop``, or ``start, stop[, step]``.
        dtype : DType, optional
            By default the library's for what it is filled with.
        fill : scalar
            For ``full`` only.

        Raises
        ------
        DeviceError
            As `empty`.
        """

    def over(
        self, memory: memoryview, shape: tuple[int, ...], dtype: DType, device: Device
    ) -> Array | None:
        """Return an array that lies in `memory`, which has its size, and keeps that alive.

        None where the library cannot do that.

        Raises
        ------
        DecodeError
            `shape` or `dtype` is not allowed.
        DeviceError
            No such device.
        """
        del memory, shape, dtype, device
        return None

    @abstractmethod
    def from_host(self, host: Array, device: Device) -> Array:
        """Return an array with the content of a NumPy array; it may share the memory."""

    @abstractmethod
    def to_host(self, array: Array) -> Array:
        """Return a NumPy array with the content; it may share the memory."""

    # --- the bytes of an array ------------------------------------------------------------------------

    @abstractmethod
    def host_view(self, array: Array) -> memoryview | None:
        """Return the content as flat bytes that *are* the array, to receive into and send from.

        None when it is not host memory or its elements do not lie one after the other. Read-only
        if the array is.
        """

    @abstractmethod
    def read(self, array: Array, offset: int, out: memoryview) -> None:
        """Copy content, from byte `offset` on, until `out` is full.

        Takes at most 1 MiB of memory, however large the array.

        Raises
        ------
        ArrayMismatch
            The bytes asked for do not lie inside.
        """

    @abstractmethod
    def write(self, array: Array, offset: int, source: memoryview) -> None:
        """Copy all of `source` into the content, from byte `offset` on.  As `read`.

        Raises
        ------
        ArrayMismatch
            Also for an array that is read-only.
        """

    # --- work where the arrays are ----------------------------------------------------------------------

    @abstractmethod
    def copy(self, source: Array, target: Array) -> None:
        """Copy one array's content into another.

        Raises
        ------
        ArrayMismatch
            Shapes differ, dtypes cannot be cast the same-kind way, or `target` is read-only.
        """

    @abstractmethod
    def duplicate(self, array: Array) -> Array:
        """Return a copy in new memory, in C order."""

    @abstractmethod
    def view(self, array: Array, index: Any) -> Array:
        """Return a part that shares memory, also for a single element.

        Parameters
        ----------
        index : int, slice, Ellipsis, None, or tuple of these
            Nothing else, so that the result is never a copy; see `array_functions`.
        """

    @abstractmethod
    def assign(self, array: Array, index: Any, value: Any) -> None:
        """Set a part, as ``array[index] = value``; `value` is a scalar or an array of its own.

        Raises
        ------
        ArrayMismatch
            It cannot be broadcast or cast, or the array is read-only.
        """

    # --- devices and streams --------------------------------------------------------------------------

    @abstractmethod
    def devices(self) -> tuple[Device, ...]:
        """Return the devices that exist."""

    @abstractmethod
    def get_attr(self, device: Device, kind: DeviceAttr) -> Value:
        """Return an attribute of one of `devices`; None when it does not have it."""

    def make_stream(self, device: Device) -> object:
        """Return the library's own queue for a new execution stream; None where it has none."""
        del device
        return None

    def synchronize(self, device: Device, stream: object) -> None:  # noqa: B027 -- a CPU's is done
        """Wait until what code on `stream` started has finished; a CPU has finished already."""

    def stream_context(self, stream: object) -> AbstractContextManager[object]:
        """Return what makes `stream` the library's current queue within a ``with`` block."""
        del stream
        return nullcontext()


OFFERED = {
    "numpy": "rpcnb.session.cpu:NumPyBackend",
    "torch": "rpcnb.session.pytorch:TorchBackend",
}
"""Names for `make_backends`: ``module:Class`` of the libraries known here."""


def backend_module(name: str) -> str:
    """Return the module of a backend, for whoever loads it beforehand."""
    return OFFERED.get(name, name).partition(":")[0]


def make_backends(names: Sequence[str]) -> tuple[ArrayBackend, ...]:
    """Make backends by name, NumPy's last: a device belongs to the first that has it.

    Parameters
    ----------
    names : sequence of str
        Of `OFFERED`, or any ``module:Class``.

    Raises
    ------
    ImportError
        The library is not installed.
    """
    made = []
    for name in dict.fromkeys((*names, "numpy")):
        module, _, kind = OFFERED.get(name, name).partition(":")
        made.append(getattr(import_module(module), kind)())
    return tuple(made)


def backend_of(backends: Sequence[ArrayBackend], obj: object) -> ArrayBackend | None:
    """Return the backend whose array `obj` is; None when it is no array."""
    for backend in backends:
        if backend.owns(obj):
            return backend
    return None


def held_nbytes(handles: HandleTable, backends: Sequence[ArrayBackend]) -> int:
    """Return the bytes that held arrays keep alive; a buffer counts once, whole, for all its views."""
    buffers = {}
    for entry in handles.entries():
        if entry.type_code is TypeCode.ARRAY:
            backend = backend_of(backends, entry.object)
            assert backend is not None  # else it would not have been issued as an array
            description = backend.describe(entry.object)
            buffers[description.base] = description.buffer_nbytes
    return sum(buffers.values())


def c_order_blocks(
    shape: tuple[int, ...], start: int, stop: int
) -> Iterator[tuple[Block, int, int]]:
    """Cut a range of an array's elements, counted in C order, into blocks of basic indices.

    Yields
    ------
    index : tuple of int and slice
        What selects a block; its C order is the range's order.
    start, stop : int
        The elements of the range it holds.

    Notes
    -----
    At most two blocks a dimension, so that a piece of any array is copied by a few strided copies
    and without temporary memory.
    """
    if start >= stop:
        return
    if not shape:
        yield (), start, stop
        return
    row = 1
    for dimension in shape[1:]:
        row *= dimension
    first, last = -(-start // row), stop // row  # the rows that lie in the range as a whole
    if first > last:  # within one row
        yield from _in_row(shape, last, start, stop, row)
        return
    if start < first * row:
        yield from _in_row(shape, first - 1, start, first * row, row)
    if first < last:
        yield (slice(first, last),), first * row, last * row
    if last * row < stop:
        yield from _in_row(shape, last, last * row, stop, row)


def _in_row(
    shape: tuple[int, ...], number: int, start: int, stop: int, row: int
) -> Iterator[tuple[Block, int, int]]:
    skipped = number * row
    for index, begin, end in c_order_blocks(shape[1:], start - skipped, stop - skipped):
        yield (number, *index), begin + skipped, end + skipped
