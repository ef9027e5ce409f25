"""`ArrayCalls`: runs array operations over there; the `Engine` of a `Remote`'s arrays.

What may stand in an operation is stricter than in a call of a function: host arrays are refused
unless they are an index or have no dimension, since ``np.concatenate([remote, local])`` would
upload without saying so.
"""

from __future__ import annotations

import math
from functools import cached_property
from types import EllipsisType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from rpcnb.array.inference import predict
from rpcnb.array.namespace import ArrayNamespace
from rpcnb.array.numpy_errors import numpy_error
from rpcnb.array.policy import permit
from rpcnb.array.replies import promise_text
from rpcnb.array.table import operations
from rpcnb.core.answers import expect
from rpcnb.core.device import CPU, Device
from rpcnb.core.errors import EncodeError, RemoteError, RemoteInterrupted, RpcnbError
from rpcnb.core.values import PLAIN_TYPES, ArrayRef, Value
from rpcnb.remote.array import RemoteArray, short_size
from rpcnb.remote.handles import HandleRow, handle_row
from rpcnb.remote.observer import BlockingObserver
from rpcnb.remote.output import give_warnings
from rpcnb.remote.promises import Pipeline, Promise, PromisedRef, known_ref
from rpcnb.remote.wrap import SMALL_ARRAY, lift, lower
from rpcnb.session.dtypes import to_dtype
from rpcnb.session.space import RPCObjectRef

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from rpcnb.array.prediction import Prediction
    from rpcnb.remote.client import Remote

CALL = "rpcnb.array.call"
_INDEXED = frozenset({"getitem", "setitem", "put"})
"""Operations among whose operands small host arrays may be."""
_WRITE = frozenset({"setitem", "inplace"})
"""Operations that return nothing."""
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
        self.pipeline = Pipeline(remote)
        """The operations that were sent and are not waited for."""
        self.pinned: WeakKeyDictionary[RPCObjectRef, int] = WeakKeyDictionary()
        """Owner of a view -> bytes of the buffer it keeps alive, as far as this side has seen it."""

    @cached_property
    def namespace(self) -> ArrayNamespace:
        """What ``remote.xp`` is, and `__array_namespace__` of its arrays."""
        return ArrayNamespace(self, f"{self._remote.name}.xp")

    def run(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run an operation; see `Engine.run`.

        It is not waited for where its result has a known shape and dtype.
        """
        pipeline = self.pipeline
        if self._remote.batching is not None:
            self._remote.batching.send()  # what was called before comes before
        if pipeline.is_open():
            found = predict(name, args, kwargs, on_numpy=pipeline.on_numpy)
            if found is not None:
                return self._send(name, found, args, kwargs)
        return self._run(name, args, kwargs)

    def _send(
        self, name: str, found: Prediction, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> RemoteArray | None:
        """Send an operation ahead; return the array it will give."""
        call = _Operands(self._remote, small=name in _INDEXED)
        arrays, operands = 0, []
        for i, arg in enumerate(args):
            value = call.lower(arg)
            if type(value) is ArrayRef:
                arrays |= 1 << i
                value = value.handle
            operands.append(value)
        options = {key: call.lower(arg) for key, arg in kwargs.items()}
        if name in _WRITE or found.aliases:
            for array in call.arrays:
                array.forget_content()
        if name in _WRITE:
            promise = Promise(self.pipeline, name, 0, "", [a.owner for a in call.arrays], 0)
            self.pipeline.send(promise, arrays, operands, options)
            return None
        owner = self._promise(name, found, call.arrays)
        self.pipeline.send(owner.promise, arrays, operands, options)
        result = RemoteArray.promised(self._remote, owner, found.shape, found.dtype)
        if found.aliases:
            self._note_view(result, call.arrays[0])
        return result

    def _promise(self, name: str, found: Prediction, operands: list[RemoteArray]) -> PromisedRef:
        """Return the owner of what an operation will give."""
        shape, dtype, aliases = found
        owners = [array.owner for array in operands]
        pipeline, session = self.pipeline, self._remote.session
        first: Any = known_ref(owners[0]) if owners else None
        spelling = to_dtype(dtype)
        handle = pipeline.new_handle()
        promise = Promise(
            pipeline,
            name,
            handle,
            promise_text(spelling, shape),
            owners,
            math.prod(shape) * dtype.itemsize,
        )
        promise.is_new = not aliases
        device, base = (CPU, 0) if first is None else (first.device, first.base * aliases)
        return PromisedRef(session, ArrayRef(handle, shape, spelling, device, base=base), promise)

    def row_of(self, owner: RPCObjectRef) -> HandleRow:
        """Return what is known of a handle, for `Remote.handles`."""
        pins = self.pinned.get(owner, 0)
        if isinstance(owner, PromisedRef) and owner.assumed_base not in {0, owner.know().base}:
            pins = 0  # what was taken for a view is a copy
        return handle_row(known_ref(owner), pins)

    def settle(self) -> None:
        """Wait for the operations that were sent ahead, and raise what failed."""
        self.pipeline.settle()

    def _run(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run an operation and wait for its result."""
        remote = self._remote
        call = _Operands(remote, small=name in _INDEXED)
        values = [call.lower(arg) for arg in args]
        options = {key: call.lower(arg) for key, arg in kwargs.items()}
        observer = BlockingObserver(remote, name, {})
        try:
            found = remote.session.call_func(
                remote.builtin(CALL).lowered(), (name, *values), options, observer=observer
            )
        except RemoteInterrupted:
            self.pipeline.cancel()
            raise
        except RpcnbError as error:
            call.raise_failed()  # it was built on what had failed: that is the error
            if isinstance(error, RemoteError):
                raise numpy_error(error) from None
            raise
        else:
            result = self._receive(found, name, call.arrays, kwargs.get("out"))
            self.pipeline.check()
            return result
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
        return expect(array, RemoteArray, "an array")

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

    def raise_failed(self) -> None:
        """Raise what failed of the operations whose results are operands."""
        for array in self.arrays:
            promise = array.promise
            if promise is not None and promise.cause is not None:
                promise.cause.fail()

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
