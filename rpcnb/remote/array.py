"""`RemoteArray`: metadata here, data over there, and nothing moves unless asked to."""

from __future__ import annotations

import math
import operator
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.core.errors import ArrayMismatch, ImplicitTransferError
from rpcnb.core.values import ArrayRef
from rpcnb.remote import transfer
from rpcnb.remote.proxy import HandleProxy
from rpcnb.remote.wrap import SMALL_ARRAY
from rpcnb.session.dtypes import to_numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rpcnb.core.device import Device
    from rpcnb.remote.client import Remote
    from rpcnb.remote.transfer import Casting
    from rpcnb.session.space import RPCObjectRef


class RemoteArray(HandleProxy):
    """An array over there.

    Shape, dtype and device are known here. Data moves by `to_numpy`, `copy_from`, `copy_to` and
    `item` only; ``np.asarray(a)`` and everything else that would move it unasked is refused.

    Indexing with integers, slices, ``...`` and ``None`` gives a view: another `RemoteArray` of the
    same memory, which stays alive as long as any view of it. Arrays are hashed by identity; ``==``
    is refused rather than answered by identity, as long as arithmetic is.
    """

    def __init__(self, remote: Remote, owner: RPCObjectRef) -> None:
        super().__init__(remote, owner)
        ref = owner.ref
        assert isinstance(ref, ArrayRef)  # by the table that leads here
        self._dtype = to_numpy_dtype(ref.dtype)
        self._metadata = ref

    # --- what is known here ---------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements in each dimension."""
        return self._metadata.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return self._dtype

    @property
    def device(self) -> Device:
        """Where its memory is."""
        return self._metadata.device

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._metadata.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self._metadata.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self._dtype.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes to step in each dimension over there."""
        if self._metadata.strides is not None:
            return self._metadata.strides
        steps = [self._dtype.itemsize]
        for dimension in reversed(self.shape[1:]):
            steps.append(steps[-1] * dimension)
        return tuple(reversed(steps[: self.ndim]))

    @property
    def writeable(self) -> bool:
        """Whether it may be written to."""
        return self._metadata.writeable

    @property
    def base_id(self) -> int:
        """Number of the buffer it lies in, in its session; views of one array share it."""
        return self._metadata.base

    def shares_memory(self, other: RemoteArray) -> bool:
        """Tell whether both lie in the same buffer over there; they need not overlap."""
        return self._remote.session is other._remote.session and self.base_id == other.base_id

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a 0-d array has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        return (
            f"<RemoteArray {short_dtype(self._dtype)}{list(self.shape)} {short_size(self.nbytes)} "
            f"on {self._remote.name} {self.device}{' (freed)' if self.freed else ''}>"
        )

    # --- data moves: always by name -------------------------------------------------------------

    def to_numpy(self) -> NDArray[Any]:
        """Download it into a new host array."""
        target = np.empty(self.shape, self._dtype)
        transfer.download(self._remote.session, self.lowered(), self._dtype, target)
        return target

    numpy = to_numpy

    def copy_from(self, source: object) -> None:
        """Upload a host array of the same shape into this one.

        Parameters
        ----------
        source : array-like
            Its dtype must be the same or safely castable. Non-contiguous arrays and casts go
            through pieces of 8 MiB, never through a second copy of the whole.

        Raises
        ------
        ArrayMismatch
            Another shape, or a dtype that cannot be cast without loss.
        """
        self.fill_from(np.asarray(source), "safe")

    def fill_from(self, source: NDArray[Any], casting: Casting) -> None:
        """Do as `copy_from`, casting as told."""
        if not self.writeable:
            raise ArrayMismatch(f"{self!r} is read-only")
        transfer.upload(self._remote.session, self.lowered(), self._dtype, source, casting)

    def copy_to(self, out: NDArray[Any]) -> NDArray[Any]:
        """Download it into an existing host array of the same shape, and return that.

        Raises
        ------
        ArrayMismatch
            Another shape, or a dtype it cannot be cast to without loss.
        """
        transfer.download(self._remote.session, self.lowered(), self._dtype, out)
        return out

    def item(self, *index: int) -> Any:
        """Download one element as a Python scalar.

        Parameters
        ----------
        *index : int
            Which; may be left out for an array of one element.
        """
        if index:
            return self[index].item()
        if self.size != 1:
            raise ArrayMismatch(f"{self!r} has {self.size:,} elements; say which: a.item(0, 0)")
        return self.to_numpy().item()

    def copy(self) -> RemoteArray:
        """Copy it over there, into new memory in C order."""
        return self._made("rpcnb.array.copy", self)

    # --- views ----------------------------------------------------------------------------------

    def __getitem__(self, index: object) -> RemoteArray:
        """Return a view: no element is copied."""
        return self._made("rpcnb.array.view", self, basic_index(index))

    def __setitem__(self, index: object, value: object) -> None:
        """Assign a scalar, a small host array, or a remote array to a part of it.

        Raises
        ------
        ImplicitTransferError
            A host array of more than 64 KiB: a bulk transfer is written as one.
        """
        if isinstance(value, list | tuple):
            value = np.asarray(value, self._dtype)
        if isinstance(value, np.ndarray) and value.nbytes > SMALL_ARRAY:
            raise ImplicitTransferError(
                f"this would upload {short_size(value.nbytes)}; "
                "write a[index].copy_from(x), or a[index] = remote.array(x)"
            )
        assign = self._remote.builtin("rpcnb.array.assign")
        assign(self, basic_index(index), value)

    def __iter__(self) -> Iterator[RemoteArray]:
        """Iterate the first dimension as views, one round trip each.

        Raises
        ------
        TypeError
            It has no dimension.
        ImplicitTransferError
            It has one: single elements would come in as many round trips.
        """
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        if self.ndim == 1:
            raise self._refusal("iterating it would fetch one element per round trip")
        return (self[i] for i in range(self.shape[0]))

    def _made(self, builtin: str, *args: object) -> RemoteArray:
        array = self._remote.builtin(builtin)(*args)
        assert isinstance(array, RemoteArray)  # by the contract of these builtins
        return array

    def lowered(self) -> ArrayRef:
        """Return the ref; see `Proxy.lowered`."""
        ref = super().lowered()
        assert isinstance(ref, ArrayRef)  # as in __init__
        return ref

    # --- what would move data unasked -----------------------------------------------------------

    def _refusal(self, what: str) -> ImplicitTransferError:
        return ImplicitTransferError(
            f"{what}, and {short_size(self.nbytes)} of {self!r} would move unasked; "
            "download it with a.to_numpy(), into memory you have with a.copy_to(out), "
            "or one element with a.item(…)"
        )

    def __array__(self, *_: object, **__: object) -> NDArray[Any]:
        raise self._refusal("NumPy wants it as a host array")

    def __array_ufunc__(self, ufunc: np.ufunc, *_: object, **__: object) -> Any:
        raise self._refusal(f"np.{ufunc.__name__} runs here")

    def __array_function__(self, function: Any, *_: object) -> Any:
        raise self._refusal(f"np.{function.__name__} runs here")

    def __bool__(self) -> bool:
        raise self._refusal("its truth value depends on its data")

    def __int__(self) -> int:
        raise self._refusal("int() wants its data")

    def __float__(self) -> float:
        raise self._refusal("float() wants its data")

    def __complex__(self) -> complex:
        raise self._refusal("complex() wants its data")

    def __index__(self) -> int:
        raise self._refusal("an index must be known here")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RemoteArray | np.ndarray | np.generic | complex | float | int):
            raise TypeError(
                "== would compare by identity, not by element; "
                "compare a.to_numpy() == b, or write 'a is b'"
            )
        return NotImplemented

    __hash__ = object.__hash__


def basic_index(index: object) -> object:
    """Return an index of ints, slices, ``...`` and None as values; NumPy's integers become ints.

    Raises
    ------
    TypeError
        Any other index: arrays and lists as indices copy, a view cannot.
    """
    if isinstance(index, tuple):
        return tuple(basic_index(part) for part in index)
    if index is None or isinstance(index, EllipsisType):
        return index
    if isinstance(index, slice):
        parts = (index.start, index.stop, index.step)
        return slice(*(None if part is None else operator.index(part) for part in parts))
    if isinstance(index, bool | np.bool | np.ndarray) or not hasattr(index, "__index__"):
        raise TypeError(
            f"a remote array is indexed with integers, slices, ... and None, "
            f"not with a {type(index).__name__}"
        )
    return operator.index(index)


def short_dtype(dtype: np.dtype[Any]) -> str:
    """Write a dtype as in ``f32[4096, 4096]``; with its byte order only where it is foreign."""
    if dtype.kind in "iufc":
        order = "" if dtype.isnative else dtype.str[0]
        return f"{order}{dtype.kind}{8 * dtype.itemsize}"
    return "record" if dtype.fields else str(dtype)


def short_size(nbytes: float) -> str:
    """Write a number of bytes with the unit that fits: ``64.0 MiB``."""
    if nbytes < 1024:
        return f"{nbytes:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        nbytes /= 1024
        if nbytes < 1024:
            return f"{nbytes:.1f} {unit}"
    return f"{nbytes / 1024:.1f} TiB"
