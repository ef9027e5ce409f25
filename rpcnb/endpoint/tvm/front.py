"""`TVMFront`: serves any `RPCSession` to one client that speaks TVM's RPC.

What a client takes for addresses are numbers of a table that belongs to its connection.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Self

from rpcnb.core.device import DeviceAttr
from rpcnb.core.errors import (
    DeviceError,
    EncodeError,
    InvalidHandle,
    LocalProtocolError,
    ProtocolError,
    RemoteError,
    RemoteProtocolError,
    TransportError,
)
from rpcnb.core.values import (
    OWNED_REFS,
    ArrayRef,
    DenseArray,
    DTypeValue,
    FunctionRef,
    ModuleRef,
)
from rpcnb.endpoint.tvm import offers, values as tvm_values
from rpcnb.endpoint.tvm.table import Entry, NumberTable, Offer, SystemLibrary
from rpcnb.session.refs import release_refs
from rpcnb.wire.tvm.packets import (
    Call,
    Code,
    CopyAck,
    CopyFrom,
    CopyTo,
    InitServer,
    Packet,
    Raised,
    Result,
    Shutdown,
    SystemCall,
    encode,
)
from rpcnb.wire.tvm.parser import TVMWire
from rpcnb.wire.tvm.values import (
    TVMDevice,
    TVMDType,
    TVMHandle,
    TVMPointer,
    TVMTensor,
    TVMValue,
    TypeIndex,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.device import Device
    from rpcnb.core.values import Value
    from rpcnb.session.base import RPCSession
    from rpcnb.session.device_api import DeviceAPI
    from rpcnb.transport.base import Transport

LOG = logging.getLogger(__name__)
OPAQUE = 74
"""Type index of an object that is nothing more special."""
EXPIRED = (
    "RPCSessionTimeoutError: Your {seconds}s session has expired, try to increase the "
    '"session_timeout" value.'
)
"""What TVM's servers say when a session's time is up; its clients know the class by it."""
PATIENCE = 1.0
"""Seconds that a client which does not read may keep its own end waiting."""
_INDEX: dict[type, TypeIndex] = {
    type(None): TypeIndex.NONE,
    bool: TypeIndex.BOOL,
    int: TypeIndex.INT,
    float: TypeIndex.FLOAT,
    str: TypeIndex.STR,
    bytes: TypeIndex.BYTES,
}
_KIND_INDEX: dict[type, int] = {
    FunctionRef: TypeIndex.FUNCTION,
    Offer: TypeIndex.FUNCTION,
    ModuleRef: TypeIndex.MODULE,
    SystemLibrary: TypeIndex.MODULE,
}


class TVMFront:
    """Serves one connection.  A context manager: leaving it ends the session.

    Parameters
    ----------
    open_session : callable
        Makes what is served, when the client begins.
    transport : Transport
        After the greeting.
    seconds : float [s], optional
        How long the session may last, whatever it does.
    on_expired : callable
        Told that its time was up, after the client was.
    """

    def __init__(
        self,
        open_session: Callable[[], RPCSession],
        transport: Transport,
        seconds: float | None = None,
        *,
        on_expired: Callable[[], None] = lambda: None,
    ) -> None:
        self._open_session = open_session
        self._transport = transport
        self._wire = TVMWire(self._sink)
        self._opened: RPCSession | None = None
        self._sending = threading.Lock()
        self._in_place = False
        self.table = NumberTable()
        self._on_expired = on_expired
        self._clock: threading.Timer | None = None
        if seconds is not None:
            self._clock = threading.Timer(seconds, self._expire, (seconds,))
            self._clock.daemon = True
            self._clock.start()

    @property
    def _session(self) -> RPCSession:
        if self._opened is None:
            message = "the first request of a session must be InitServer"
            raise LocalProtocolError(message)
        return self._opened

    def serve(self) -> None:
        """Answer requests until the client leaves, or sends what makes no sense."""
        try:
            while nbytes := self._transport.receive_into(self._wire.receive_buffer()):
                for packet in self._wire.received(nbytes):
                    if isinstance(packet, Shutdown):
                        return
                    buffers = self._encoded(self._answer(packet))
                    with self._sending:
                        self._transport.send(buffers)
        except (TransportError, ProtocolError) as error:
            LOG.info("a TVM client's connection ended: %s", error)

    def _expire(self, seconds: float) -> None:
        """End the session because its time is up; the client is told why, in TVM's words."""
        if self._sending.acquire(timeout=PATIENCE):  # else the client does not read its answer
            try:
                self._transport.send(encode(Raised(EXPIRED.format(seconds=seconds))))
            except TransportError as error:
                LOG.info("a TVM client left as its time was up: %s", error)
            finally:
                self._sending.release()
        self._transport.close()
        self._on_expired()
        self._end_session()

    def _end_session(self) -> None:
        if self._opened is not None:
            self._opened.shutdown()

    def close(self) -> None:
        """End the session.  Idempotent."""
        if self._clock is not None:
            self._clock.cancel()
        self._end_session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _encoded(self, answer: Packet) -> Any:
        try:
            return encode(answer)
        except EncodeError as error:
            return encode(Raised(str(error)))

    def _answer(self, packet: Packet) -> Packet:
        try:
            if isinstance(packet, InitServer):
                self._begin(packet)
                return Result((None,))
            return self._serve(packet)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the client is told
            return Raised(error_text(error))

    def _begin(self, packet: InitServer) -> None:
        if self._opened is not None:
            message = "a connection has one session, which has begun"
            raise LocalProtocolError(message)
        if packet.constructor:
            self._opened = offers.construct(self._open_session, *packet.constructor)
        else:
            self._opened = self._open_session()

    def _serve(self, packet: Packet) -> Packet:
        match packet:
            case Call(function, args):
                return Result(tuple(self._call(function, args)))
            case SystemCall(code, args):
                return Result((_SYSTEM[code](self, *args),))
            case CopyTo(tensor, payload):
                self._upload(tensor, payload)
                return Result((None,))
            case CopyFrom(tensor, nbytes):
                return CopyAck(self._download(tensor, nbytes))
            case _:
                message = f"a client may not send a {type(packet).__name__}"
                raise LocalProtocolError(message)

    # --- calls --------------------------------------------------------------------------------

    def _call(self, function: int, args: tuple[TVMValue, ...]) -> list[TVMValue]:
        session, entry = self._session, self.table.find(function)
        values = [self._lift(value) for value in args]
        if isinstance(entry, Offer):
            return self._lower(entry.run(*values))
        if not isinstance(entry, FunctionRef):
            message = f"number {function:#x} is no function"
            raise InvalidHandle(message, handle=function)
        if any(isinstance(value, Offer | SystemLibrary) for value in values):
            message = "a function of the server's own front cannot be passed to the server's"
            raise EncodeError(message)
        return self._lower(session.call_func(entry, values))

    def _lift(self, value: TVMValue) -> Value | Entry:
        match value:
            case TVMTensor():
                return self._array(value, whole=True)
            case TVMHandle(_, pointer) | TVMPointer(pointer):
                return self.table.find(pointer) if pointer else None
            case TVMDevice():
                return tvm_values.from_tvm_device(value)
            case TVMDType():
                return DTypeValue(dtype_of(value))
            case _:
                return value

    def _lower(self, value: Value | Entry) -> list[TVMValue]:
        if isinstance(value, DenseArray) and value.is_scalar:
            value = tvm_values.scalar(value)
        index = _INDEX.get(type(value))
        if index is not None:
            return [int(index), value]
        if isinstance(value, ArrayRef):
            tensor = self._tensor(value)
            return [int(TypeIndex.TENSOR), tensor, TVMPointer(tensor.data)]
        if isinstance(value, (*OWNED_REFS, Offer, SystemLibrary)):
            return [int(_KIND_INDEX.get(type(value), OPAQUE)), TVMPointer(self.table.give(value))]
        release_refs(value, self._session)
        message = f"a {type(value).__name__} cannot be returned to a TVM client"
        raise EncodeError(message)

    # --- what the client holds ----------------------------------------------------------------

    def _free(self, *args: TVMValue) -> None:
        self.table.free(args[-1].value, self._session)

    def _tensor(self, array: ArrayRef) -> TVMTensor:
        if array.strides is not None:
            release_refs(array, self._session)
            message = "a TVM client is given arrays without gaps only; return a copy"
            raise EncodeError(message)
        try:
            dtype = tvm_values.to_tvm_dtype(array.dtype)
        except EncodeError:
            release_refs(array, self._session)
            raise
        device = tvm_values.to_tvm_device(array.device)
        return TVMTensor(self.table.give(array), device, dtype, array.shape)

    def _array(self, tensor: TVMTensor, *, whole: bool = False) -> ArrayRef:
        entry = self.table.find(tensor.data)
        if not isinstance(entry, ArrayRef):
            message = f"number {tensor.data:#x} is no array"
            raise InvalidHandle(message, handle=tensor.data)
        same = (tensor.shape, tensor.byte_offset) == (entry.shape, 0)
        if whole and not (same and tvm_values.to_tvm_dtype(entry.dtype) == tensor.dtype):
            message = "views made by the client cannot be passed; pass the whole array"
            raise EncodeError(message)
        return entry

    # --- copies -------------------------------------------------------------------------------

    def _sink(self, tensor: TVMTensor | None, nbytes: int) -> memoryview:
        """Give memory for an upload, the array's own where it can be; never more than it has."""
        if tensor is None:
            message = "a client may not send a CopyAck"
            raise RemoteProtocolError(message)
        try:
            array = self._array(tensor)
            self._check_size(array, tensor.byte_offset, nbytes)
            own = self._own_memory(array, tensor.byte_offset, nbytes)
        except Exception as error:
            message = f"an upload that cannot be: {error}"
            raise RemoteProtocolError(message) from error
        self._in_place = own is not None and not own.readonly
        return own if own is not None and self._in_place else memoryview(bytearray(nbytes))

    def _own_memory(self, array: ArrayRef, offset: int, nbytes: int) -> memoryview | None:
        whole = self._session.host_memory(array.handle)
        return None if whole is None else whole[offset : offset + nbytes]

    def _upload(self, tensor: TVMTensor, payload: Any) -> None:
        if not self._in_place:
            array = offset_by(self._array(tensor), tensor)
            self._session.copy_to_remote(payload, array, len(payload))

    def _download(self, tensor: TVMTensor, nbytes: int) -> memoryview | bytearray:
        array = self._array(tensor)
        self._check_size(array, tensor.byte_offset, nbytes)
        own = self._own_memory(array, tensor.byte_offset, nbytes)
        if own is not None:
            return own
        target = bytearray(nbytes)
        self._session.copy_from_remote(offset_by(array, tensor), target, nbytes)
        return target

    @staticmethod
    def _check_size(array: ArrayRef, offset: int, nbytes: int) -> None:
        whole = tvm_values.nbytes_of(
            TVMTensor(0, TVMDevice(1, 0), tvm_values.to_tvm_dtype(array.dtype), array.shape)
        )
        if offset + nbytes > whole:
            message = f"{nbytes:,} bytes from {offset:,} on are not in an array of {whole:,}"
            raise InvalidHandle(message)

    # --- system calls -------------------------------------------------------------------------

    def _get_function(self, name: str) -> TVMPointer:
        found = self._session.get_function(name) or offers.find(self._session, name)
        return TVMPointer(0 if found is None else self.table.give(found))

    def _api(self, device: TVMDevice) -> tuple[DeviceAPI, Device]:
        where = tvm_values.from_tvm_device(device)
        api = self._session.get_device_api(where)
        assert api is not None  # allow_missing is off
        return api, where

    def _get_attr(self, device: TVMDevice, kind: int) -> TVMValue:
        try:
            api, where = self._api(device)
        except DeviceError:
            if kind == DeviceAttr.EXIST:
                return 0
            raise
        value = api.get_attr(where, DeviceAttr(kind)) if kind in _KINDS else None
        return int(value) if isinstance(value, bool) else value

    def _alloc(self, tensor: TVMTensor, _scope: str | None) -> TVMPointer:
        api, where = self._api(tensor.device)
        return TVMPointer(
            self.table.give(api.alloc_data(where, tensor.shape, dtype_of(tensor.dtype)))
        )

    def _alloc_bytes(
        self, device: TVMDevice, nbytes: int, _alignment: int, _dtype: TVMDType
    ) -> TVMPointer:
        return self._alloc(TVMTensor(0, device, TVMDType(1, 8), (nbytes,)), None)

    def _copy_among(self, source: TVMTensor, target: TVMTensor, _stream: TVMPointer) -> None:
        from_, to = self._array(source, whole=True), self._array(target, whole=True)
        api, _ = self._api(target.device)
        api.copy_data(from_, to)

    def _sync(self, device: TVMDevice, _stream: TVMPointer | None) -> None:
        api, where = self._api(device)
        api.stream_sync(where, 0)

    def _ignore(self, *_: TVMValue) -> None:
        """Accept streams as TVM's CPU does: there is one, the null stream."""

    def _null(self, *_: TVMValue) -> TVMPointer:
        return TVMPointer(0)


_KINDS = frozenset(int(kind) for kind in DeviceAttr)
_SYSTEM: dict[Code, Callable[..., TVMValue]] = {
    Code.GET_GLOBAL_FUNC: TVMFront._get_function,  # noqa: SLF001 -- the class above
    Code.FREE_HANDLE: TVMFront._free,  # noqa: SLF001
    Code.DEV_SET_DEVICE: TVMFront._ignore,  # noqa: SLF001
    Code.DEV_GET_ATTR: TVMFront._get_attr,  # noqa: SLF001
    Code.DEV_ALLOC_DATA: TVMFront._alloc_bytes,  # noqa: SLF001
    Code.DEV_FREE_DATA: TVMFront._free,  # noqa: SLF001
    Code.DEV_STREAM_SYNC: TVMFront._sync,  # noqa: SLF001
    Code.COPY_AMONG_REMOTE: TVMFront._copy_among,  # noqa: SLF001
    Code.DEV_ALLOC_DATA_WITH_SCOPE: TVMFront._alloc,  # noqa: SLF001
    Code.DEV_CREATE_STREAM: TVMFront._null,  # noqa: SLF001
    Code.DEV_FREE_STREAM: TVMFront._ignore,  # noqa: SLF001
    Code.DEV_SET_STREAM: TVMFront._ignore,  # noqa: SLF001
    Code.DEV_GET_CURRENT_STREAM: TVMFront._null,  # noqa: SLF001
}


def offset_by(array: ArrayRef, tensor: TVMTensor) -> ArrayRef:
    """Return an array from which a copy starts where a tensor's does."""
    return ArrayRef(
        array.handle, array.shape, array.dtype, array.device, tensor.byte_offset, array.base
    )


def dtype_of(dtype: TVMDType) -> str:
    """Return our spelling of an element type.

    Raises
    ------
    EncodeError
        There is none: vectors, bfloat16 and the like.
    """
    spelled = tvm_values.from_tvm_dtype(dtype)
    if spelled is None or spelled[1] or tvm_values.to_tvm_dtype(spelled[0]) != dtype:
        message = f"there are no arrays of TVM's dtype {tuple(dtype)} here"
        raise EncodeError(message)
    return spelled[0]


def error_text(error: Exception) -> str:
    """Return what a TVM client is told of an error: its class, its text, its remote traceback."""
    if isinstance(error, RemoteError):
        text = f"{error.type_name}: {error.message}"
        return f"{text}\n\n{error.remote_traceback}".rstrip()
    return f"{type(error).__name__}: {error}"
