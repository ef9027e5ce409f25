"""How arrays come to be over there: uploaded, made, drawn at random, or by the array API standard.

NumPy, and what arrays can do, are imported for the first of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeAlias, cast

from rpcnb.core.answers import expect
from rpcnb.core.device import Device
from rpcnb.core.values import DenseArray
from rpcnb.session.space import RPCObjectRef

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from rpcnb.array.namespace import ArrayNamespace
    from rpcnb.array.random import RandomNamespace
    from rpcnb.core.values import ArrayRef
    from rpcnb.remote.array import RemoteArray
    from rpcnb.remote.array_calls import ArrayCalls
    from rpcnb.remote.client import Remote
    from rpcnb.remote.function import RemoteFunction
    from rpcnb.session.base import RPCSession

Shape: TypeAlias = int | tuple[int, ...]


class Creation(ABC):
    """The part of a `Remote` that makes arrays.  Thread-safe."""

    session: RPCSession

    @property
    @abstractmethod
    def arrays(self) -> ArrayCalls:
        """Runs the operations of arrays."""

    @abstractmethod
    def builtin(self, name: str) -> RemoteFunction:
        """Return one of the functions every rpcnb server has."""

    def array(
        self, x: ArrayLike, device: str | Device = "cpu:0", dtype: DTypeLike | None = None
    ) -> RemoteArray:
        """Upload a host array.

        Parameters
        ----------
        x : array-like
            Need not be contiguous.
        device : str or Device
            Where it goes.
        dtype : dtype-like, optional
            To convert to on the way; by default that of `x`.

        Raises
        ------
        DeviceError
            No such device, or not enough memory on it.
        EncodeError
            An object dtype.
        """
        import numpy as np

        from rpcnb.session.dtypes import raw_bytes, to_dtype

        source = np.asarray(x)
        element = source.dtype if dtype is None else np.dtype(dtype)
        if element == source.dtype and source.flags.c_contiguous:
            value = DenseArray(to_dtype(element), source.shape, raw_bytes(source))
            self.arrays.settle()
            return self._own(self.session.make_array(value, Device.parse(device)))
        array = self.empty(source.shape, element, device)
        array.fill_from(source, "unsafe")  # a dtype that was asked for is no accident
        return array

    def empty(
        self, shape: Shape, dtype: DTypeLike = "float64", device: str | Device = "cpu:0"
    ) -> RemoteArray:
        """Make an uninitialised array."""
        import numpy as np

        from rpcnb.session.dtypes import to_dtype

        shape = (shape,) if isinstance(shape, int) else tuple(map(int, shape))
        where = Device.parse(device)
        api = self.session.get_device_api(where)
        assert api is not None  # allow_missing is off
        return self._own(api.alloc_data(where, shape, to_dtype(np.dtype(dtype))))

    def _own(self, ref: ArrayRef) -> RemoteArray:
        from rpcnb.remote.array import RemoteArray

        # This is the rest of a `Remote`, which the array keeps.
        return RemoteArray(cast("Remote", self), RPCObjectRef(self.session, ref))

    def zeros(
        self, shape: Shape, dtype: DTypeLike = "float64", device: str | Device = "cpu:0"
    ) -> RemoteArray:
        """Make an array of zeros; no data moves."""
        return self._create("zeros", shape, dtype, device)

    def ones(
        self, shape: Shape, dtype: DTypeLike = "float64", device: str | Device = "cpu:0"
    ) -> RemoteArray:
        """Make an array of ones; no data moves."""
        return self._create("ones", shape, dtype, device)

    def full(
        self,
        shape: Shape,
        fill_value: object,
        dtype: DTypeLike | None = None,
        device: str | Device = "cpu:0",
    ) -> RemoteArray:
        """Make an array filled with one value, of the value's dtype unless told otherwise."""
        return self._create("full", shape, dtype, device, fill_value)

    def arange(
        self,
        start: float,
        stop: float | None = None,
        step: float = 1,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device = "cpu:0",
    ) -> RemoteArray:
        """Make an array of evenly spaced numbers, as `numpy.arange`."""
        bounds = [0, start, step] if stop is None else [start, stop, step]
        return self._create("arange", bounds, dtype, device)

    def _create(
        self,
        kind: str,
        shape_or_args: Shape | list[float],
        dtype: DTypeLike | None,
        device: str | Device,
        fill: object = None,
    ) -> RemoteArray:
        import numpy as np

        from rpcnb.remote.array import RemoteArray

        if isinstance(shape_or_args, int):
            shape_or_args = (shape_or_args,)
        element = None if dtype is None else np.dtype(dtype)
        create = self.builtin("rpcnb.array.create")
        array = create(kind, shape_or_args, element, Device.parse(device), fill)
        return expect(array, RemoteArray, "an array")

    @property
    def random(self) -> RandomNamespace:
        """Random generators over there: ``remote.random.default_rng(1).normal(size=1000)``."""
        from rpcnb.array.random import RandomNamespace

        return RandomNamespace(self.arrays)

    @property
    def xp(self) -> ArrayNamespace:
        """The Python array API standard on the arrays over there: ``xp.linalg.svd(a)``."""
        return self.arrays.namespace
