"""`RemoteArray`: metadata here, data and work over there, and nothing moves unless asked to."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.array.methods import ArrayMethods
from rpcnb.core.answers import expect
from rpcnb.core.errors import ArrayMismatch
from rpcnb.core.values import ArrayRef
from rpcnb.core.visible import visible
from rpcnb.remote import transfer
from rpcnb.remote.promises import PromisedRef
from rpcnb.remote.proxy import HandleProxy
from rpcnb.session.dtypes import to_numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rpcnb.core.device import Device
    from rpcnb.core.values import Value
    from rpcnb.remote.array_calls import ArrayCalls
    from rpcnb.remote.client import Remote
    from rpcnb.remote.promises import Promise
    from rpcnb.remote.transfer import Casting
    from rpcnb.session.space import RPCObjectRef


class RemoteArray(ArrayMethods, HandleProxy):
    """An array over there.

    Shape, dtype and device are known here. Operators, methods and the functions of ``remote.xp``
    and NumPy run over there and give other remote arrays. Data moves by `to_numpy`, `copy_from`,
    `copy_to`, `tolist` and `item`, and by ``bool float int`` of an array of one element without
    dimensions; ``np.asarray(a)`` and everything else that would move it unasked is refused, unless
    `rpcnb.implicit_transfers` says otherwise.

    Indexing with integers, slices, ``...`` and ``None`` gives a view: another `RemoteArray` of the
    same memory, which stays alive as long as any view of it; any other index gives a copy. ``==``
    compares element by element, so that arrays are not hashable.
    """

    def __init__(self, remote: Remote, owner: RPCObjectRef) -> None:
        super().__init__(remote, owner)
        ref = owner.ref
        assert isinstance(ref, ArrayRef)  # by the table that leads here
        self._shape = ref.shape
        self._dtype = to_numpy_dtype(ref.dtype)
        self._content: bytes | Promise | None = None
        """What came with it, or is to come with its reply."""
        self._promise: Promise | None = None
        """What has to end before anything but shape and dtype is known."""

    @classmethod
    def promised(
        cls, remote: Remote, owner: PromisedRef, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> RemoteArray:
        """Make the array that an operation will give, which was sent and is not waited for."""
        array = cls.__new__(cls)
        array.__dict__.update(
            _remote=remote,
            owner=owner,
            _shape=shape,
            _dtype=dtype,
            _content=owner.promise,
            _promise=owner.promise,
        )
        return array

    @property
    def engine(self) -> ArrayCalls:
        """What runs its operations."""
        return self._remote.arrays

    # --- what is known here ---------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements in each dimension."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return self._dtype

    @property
    def device(self) -> Device:
        """Where its memory is."""
        device: Device = self.owner.ref.device
        return device

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self._shape)

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
        known = self._known().strides
        if known is not None:
            return known
        steps = [self._dtype.itemsize]
        for dimension in reversed(self.shape[1:]):
            steps.append(steps[-1] * dimension)
        return tuple(reversed(steps[: self.ndim]))

    @property
    def writeable(self) -> bool:
        """Whether it may be written to."""
        return self._known().writeable

    @property
    def base_id(self) -> int:
        """Number of the buffer it lies in, in its session; views of one array share it."""
        return self._known().base

    @property
    def writeable_known(self) -> bool:
        """Whether it is known, without waiting, that it may be written to."""
        promise = self._promise
        if promise is None or promise.done:
            return promise is None or (promise.cause is None and self.writeable)
        return promise.is_new

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

    def to_numpy(self, *, copy: bool | None = True) -> NDArray[Any]:
        """Download it into a new host array.

        Parameters
        ----------
        copy : bool, optional
            False gives a read-only view instead, for an array whose memory this process shares:
            made here, of 64 KiB or more, on a server of yours on this machine. None gives it where
            that is so, and a new array elsewhere. The view shows what is written over there later,
            and can be read as long as you keep it.

        Raises
        ------
        ValueError
            With ``copy=False``, for any other array.
        """
        view = None if copy else self._shared_view()
        if view is not None:
            return view
        if copy is False:
            raise ValueError(f"{self!r} is not in memory that is shared here; use copy=None")
        content = self._known_content()
        if content is not None:
            return np.frombuffer(content, self._dtype).reshape(self.shape).copy()
        target = np.empty(self.shape, self._dtype)
        self._remote.settle()
        transfer.download(self._remote.session, self.lowered(), self._dtype, target)
        return target

    numpy = to_numpy

    def _shared_view(self) -> NDArray[Any] | None:
        self._remote.settle()
        ref, session = self.lowered(), self._remote.session
        memory = session.host_memory(ref.handle)
        if memory is None or self.nbytes == 0:
            return None
        session.copy_from_remote(ref, bytearray(), 0)  # what writes to it at the moment comes first
        flat = np.frombuffer(memory.toreadonly(), self._dtype, self.size)
        return flat.reshape(self.shape)

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
        self._content = None
        self._remote.settle()
        ref = self.lowered()
        if not ref.writeable:
            raise ArrayMismatch(f"{self!r} is read-only")
        transfer.upload(self._remote.session, ref, self._dtype, source, casting)

    def copy_to(self, out: NDArray[Any]) -> NDArray[Any]:
        """Download it into an existing host array of the same shape, and return that.

        Raises
        ------
        ArrayMismatch
            Another shape, or a dtype it cannot be cast to without loss.
        """
        self._remote.settle()
        transfer.download(self._remote.session, self.lowered(), self._dtype, out)
        return out

    def item(self, *index: int) -> Any:
        """Return one element as a Python scalar; no round trip where it came with the array.

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

    def summary(self) -> str:
        """Return one sentence about it: dtype, shape, size, range, mean, deviation, what is not finite.

        One round trip; the scan over there takes no memory to speak of.
        """
        return summary_of(self, self.statistics())

    def statistics(self) -> dict[str, Any]:
        """Return ``min max mean std`` of its finite elements, ``size``, and how many are ``nan inf``."""
        found: dict[str, Any] = self.engine.run("statistics", (self,), {})
        return found

    def planes(self, side: int = 256) -> dict[str, NDArray[Any]]:
        """Return ``min mean max`` of its blocks, as pictures of at most `side` by `side`.

        One round trip of at most a megabyte, however large the array; NaN where a block has one.
        """
        found = self.engine.run("planes", (self, side), {})
        shape = found.pop("shape")
        return {name: np.frombuffer(data, "f4").reshape(shape) for name, data in found.items()}

    def inspect(self) -> None:
        """Show what is in it: a picture, figures and, in a notebook, a live view to zoom into.

        Moves less than 200 KiB, however large it is. Without a notebook, print `summary`.
        """
        show_inspector(self)

    def __str__(self) -> str:
        # Shift-Tab and ``a?`` call this, too, and looking sends nothing.
        asker = sys._getframe(1).f_globals.get("__name__")  # noqa: SLF001 -- as `inspect` does
        if asker == "IPython.core.oinspect":
            return repr(self)
        return visible(expect(self.engine.run("text", (self,), {}), str, "text"))

    # --- for those who run operations -------------------------------------------------------------

    def _known(self) -> ArrayRef:
        """Return all that is known of it, having waited for it to be there."""
        promise = self._promise
        if promise is None:
            ref: ArrayRef = self.owner.ref
            return ref
        promise.wait()
        owner = self.owner
        assert isinstance(owner, PromisedRef)  # as `promised` has it
        return owner.know()

    def _known_content(self) -> bytes | None:
        content = self._content
        if content is None or isinstance(content, bytes):
            return content
        content.wait()
        self.engine.pipeline.check()
        reply = content.reply
        if self._content is content:  # nothing was written to it meanwhile
            self._content = None if reply is None else reply.content
        return None if reply is None else reply.content

    def lowered(self) -> ArrayRef:
        """Return the ref, once it is there; see `Proxy.lowered`."""
        owner = self.owner
        if self._promise is None and not owner.freed:
            known: ArrayRef = owner.ref  # as below, without its three calls
            return known
        ref = super().lowered()
        if self._promise is not None:
            ref = self._known()
        assert isinstance(ref, ArrayRef)  # as in __init__
        return ref

    def lowered_for(self, remote: Remote) -> Value:
        """Return the ref for a call of any function, which may write to it; see `Proxy`."""
        self._content = None
        owner = self.owner
        if self._promise is None and self._remote is remote and not owner.freed:
            return owner.ref  # as below, without its four calls
        return super().lowered_for(remote)

    def ref_for(self, remote: Remote) -> Value:
        """Return the ref for an operation that says whether it writes to it.

        Such operations run in the order in which they are sent: it need not be there yet.
        """
        promise = self._promise
        if promise is None:
            return super().lowered_for(remote)
        if promise.cause is not None:
            promise.cause.fail()
        self._check_session(remote)
        return super().lowered()

    @property
    def promise(self) -> Promise | None:
        """The operation that it is the result of, if that was not waited for."""
        return self._promise

    def know_content(self, content: bytes) -> None:
        """Take what came with it: its elements in C order."""
        self._content = content

    def forget_content(self) -> None:
        """Something may have been written to it: fetch what is wanted."""
        self._content = None


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


def summary_of(array: RemoteArray, figures: dict[str, Any]) -> str:
    """Write figures of an array as one sentence: ``f32[4096, 4096] 64.0 MiB ∈ [-4.9, 4.7] μ=…``."""
    text = f"{short_dtype(array.dtype)}{list(array.shape)} {short_size(array.nbytes)}"
    if figures["min"] is not None:
        text += f" ∈ [{figures['min']:.4g}, {figures['max']:.4g}]"
        text += f" μ={figures['mean']:.4g} σ={figures['std']:.4g}"  # noqa: RUF001 -- sigma
    counts = (("NaN", figures["nan"]), ("∞", figures["inf"]))
    return text + "".join(f" {sign}×{count:,}" for sign, count in counts if count)  # noqa: RUF001


def print_summary(array: RemoteArray) -> None:
    """Print one sentence about an array."""
    print(array.summary())


show_inspector: Callable[[RemoteArray], object] = print_summary
"""What `RemoteArray.inspect` does; a notebook's extension puts its view here."""
