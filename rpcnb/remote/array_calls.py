"""`ArrayCalls`: runs array operations over there; the `Engine` of a `Remote`'s arrays.

What may stand in an operation is stricter than in a call of a function: host arrays are refused
unless they are an index or have no dimension, since ``np.concatenate([remote, local])`` would
upload without saying so.
"""

from __future__ import annotations

from functools import cached_property
from types import EllipsisType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from rpcnb.array.namespace import ArrayNamespace
from rpcnb.array.numpy_errors import numpy_error
from rpcnb.array.policy import permit
from rpcnb.array.table import operations
from rpcnb.core.device import CPU, Device
from rpcnb.core.errors import EncodeError, RemoteError
from rpcnb.core.values import PLAIN_TYPES, ArrayRef, Value
from rpcnb.remote.array import RemoteArray, short_size
from rpcnb.remote.observer import BlockingObserver
from rpcnb.remote.output import give_warnings
from rpcnb.remote.wrap import SMALL_ARRAY, lift, lower
from rpcnb.session.space import RPCObjectRef

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from rpcnb.remote.client import Remote

CALL = "rpcnb.array.call"
_INDEXED = frozenset({"getitem", "setitem", "put"})
"""Operations among whose operands small host arrays may be."""
_PYTHON_DTYPES = frozenset({bool, int, float, complex})


class ArrayCalls:
    """Runs array operations.  Thread-safe.

    Parameters
    ----------
    remote : Remote
        Where the arrays are.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self.pinned: WeakKeyDictionary[RPCObjectRef, int] = WeakKeyDictionary()
        """Owner of a view -> bytes of the buffer it keeps alive, as far as this side has seen it."""

    @cached_property
    def namespace(self) -> ArrayNamespace:
        """What ``remote.xp`` is, and `__array_namespace__` of its arrays."""
        return ArrayNamespace(self, f"{self._remote.name}.xp")

    def run(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run an operation; see `Engine.run`."""
        remote = self._remote
        call = _Operands(remote, small=name in _INDEXED)
        values = [call.lower(arg) for arg in args]
        options = {key: call.lower(arg) for key, arg in kwargs.items()}
        observer = BlockingObserver(remote, name, {})
        try:
            found = remote.session.call_func(
                remote.builtin(CALL).lowered(), (name, *values), options, observer=observer
            )
        except RemoteError as error:
            raise numpy_error(error) from None
        else:
            return self._receive(found, name, call.arrays, kwargs.get("out"))
        finally:
            observer.close()
            if observer.warnings:
                give_warnings(observer.warnings, stacklevel=3)

    def _receive(self, value: Value, name: str, operands: list[RemoteArray], out: Any) -> Any:
        operation = operations()[name]
        if operation.writes:
            for array in operands:
                array.forget_content()
        result = self._lift(value, operands)
        if isinstance(out, RemoteArray):
            out.forget_content()
            return out
        if type(result) is tuple:
            return _named(name, result)
        return result

    def _lift(self, value: Value, operands: list[RemoteArray]) -> Any:
        if type(value) is ArrayRef:
            array = RemoteArray(self._remote, RPCObjectRef(self._remote.session, value))
            for operand in operands:
                if operand.base_id == array.base_id:  # a view: either may be written through
                    operand.forget_content()
                    self._note_view(array, operand)
            return array
        if type(value) is tuple:
            ref, content = value
            array = RemoteArray(self._remote, RPCObjectRef(self._remote.session, ref))
            array.know_content(content)
            return array
        if type(value) is list:
            return tuple([self._lift(item, operands) for item in value])
        return lift(value, self._remote)

    def _note_view(self, view: RemoteArray, base: RemoteArray) -> None:
        nbytes = max(base.nbytes, self.pinned.get(base.owner, 0))
        if nbytes > view.nbytes:
            self.pinned[view.owner] = nbytes

    def upload(self, host: NDArray[Any], device: Device | str | None) -> RemoteArray:
        """Upload a NumPy array; see `Engine.upload`."""
        where = CPU if device is None else Device.parse(device)
        if host.nbytes > SMALL_ARRAY:
            return self._remote.array(host, where)
        array = self.run("put", (host, where), {})
        assert isinstance(array, RemoteArray)  # by the contract of the operation
        return array

    def devices(self) -> tuple[Device, ...]:
        """Return the devices there are; see `Engine.devices`."""
        return (CPU,)


def _named(name: str, result: tuple[Any, ...]) -> Any:
    """Return several results as the tuple with names that the operation returns."""
    operation = operations().get(name.removeprefix("numpy."), operations()[name])
    make = operation.make_result
    return make(*result) if make is not None and len(make._fields) == len(result) else result


class _Operands:
    """Lowers what stands in one operation, and keeps it alive until that has ended."""

    def __init__(self, remote: Remote, *, small: bool) -> None:
        self._remote = remote
        self._small = small
        self.arrays: list[RemoteArray] = []

    def lower(self, value: Any) -> Value:  # noqa: PLR0911 -- one for each kind of value
        kind = type(value)
        if kind in PLAIN_TYPES or kind is EllipsisType or kind is Device:
            return value
        if isinstance(value, RemoteArray):
            self.arrays.append(value)
            return value.ref_for(self._remote)
        if isinstance(value, list | tuple):
            return (list if isinstance(value, list) else tuple)(map(self.lower, value))
        if kind is dict:
            return {key: self.lower(item) for key, item in value.items()}
        if kind is slice:
            return slice(*map(self.lower, (value.start, value.stop, value.step)))
        if isinstance(value, np.ndarray) and value.ndim:
            return self._host_array(value)
        if kind is type and value in _PYTHON_DTYPES:
            value = np.dtype(value)
        if callable(value) and not isinstance(value, type):
            raise EncodeError(f"{value!r} is a function of this process; it cannot be an operand")
        return lower(value, self._remote, {})

    def _host_array(self, value: NDArray[Any]) -> Value:
        if not self._small or value.nbytes > SMALL_ARRAY:
            permit(
                value.nbytes,
                f"a host array of {short_size(value.nbytes)} stands beside remote arrays "
                "and would be uploaded",
                "upload it with remote.array(x), write a[index].copy_from(x) to assign it",
            )
        if value.nbytes <= SMALL_ARRAY:
            return lower(value, self._remote, {})
        return self.lower(self._remote.array(value))
