"""`TVMSession`: an `RPCSession` whose other half is a server of TVM's own RPC.

What TVM's protocol has is here; what it lacks is refused with a sentence that says so: keyword
arguments, containers, callbacks, progress, cancelling, time-outs of single calls.
"""

from __future__ import annotations

import re
import time
from itertools import count
from typing import TYPE_CHECKING

from rpcnb.core.device import Device, DeviceAttr
from rpcnb.core.errors import (
    ArrayMismatch,
    DeadlineExceeded,
    DeviceError,
    ErrorInfo,
    RemoteProtocolError,
    SessionClosed,
    SessionError,
    WorkerDied,
    rebuild_exception,
)
from rpcnb.core.events import EVENTS, SessionChanged, SessionState
from rpcnb.core.forks import forget_in_children
from rpcnb.core.values import (
    ArrayRef,
    DTypeValue,
    FunctionRef,
    Handle,
)
from rpcnb.endpoint.client.housekeeper import HOUSEKEEPER
from rpcnb.endpoint.client.watch import WatchedCopy
from rpcnb.endpoint.transfer import host_view
from rpcnb.endpoint.tvm import builtins as tvm_builtins, values as tvm_values
from rpcnb.endpoint.tvm.calls import CANNOT_STOP, Caller
from rpcnb.endpoint.tvm.device import TVMDeviceAPI
from rpcnb.endpoint.tvm.holdings import Holdings
from rpcnb.endpoint.tvm.link import Progress, TVMLink, Undo, nothing_to_undo
from rpcnb.session.base import CallCallback, HostBuffer, RPCSession
from rpcnb.session.observer import (
    DEFAULT_OPTIONS,
    NO_OBSERVER,
    CallObserver,
    CallOptions,
    RunningCall,
)
from rpcnb.wire.tvm.packets import (
    Code,
    CopyAck,
    CopyFrom,
    CopyTo,
    InitServer,
    Packet,
    Raised,
    Result,
    SystemCall,
)
from rpcnb.wire.tvm.values import (
    TVMDevice,
    TVMDType,
    TVMObject,
    TVMPointer,
    TVMTensor,
    TVMValue,
    TypeIndex,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rpcnb.core.values import Ref, TypeCode, Value
    from rpcnb.endpoint.tvm.values import Held
    from rpcnb.session.device_api import DeviceAPI
    from rpcnb.transport.base import Transport

_AS_IT_IS = frozenset({type(None), bool, int, float, str, bytes})
_ERROR_NAME = re.compile(r"(\w*(?:Error|Exception)): (.*)", re.DOTALL)
_BYTE = TVMDType(1, 8)


class TVMSession(RPCSession):
    """A session on a TVM server.  One request at a time is out; threads wait for each other.

    Parameters
    ----------
    transport : Transport
        After the greeting.
    name : str
        What the server calls itself.
    url : str
        How it was reached; for messages.
    constructor : sequence
        Name of a function over there that makes the session to serve, and its arguments:
        ``("rpc.Connect", host, port, key, False)`` goes on to another server. Not for servers
        before 0.21: which dialect a server speaks is known by its answer to this only.

    Raises
    ------
    RemoteError
        The constructor raised.
    """

    whole_files = True

    def __init__(
        self,
        transport: Transport,
        *,
        name: str = "tvm",
        url: str = "",
        constructor: Sequence[TVMValue] = (),
    ) -> None:
        self.name = name
        self.url = url
        self.link = TVMLink(transport, name, self._note_end)
        self._transfers = count(1)
        self.holdings = Holdings(self.link)
        self._caller = Caller(self)
        self.began = time.monotonic()
        self._devices: dict[Device, DeviceAPI] = {}
        try:
            self.ask(InitServer(tuple(constructor)), "the first request")
        except BaseException:
            self.link.close()
            raise
        HOUSEKEEPER.register(self.link)
        forget_in_children(self.link)

    # --- asking -------------------------------------------------------------------------------

    def ask(self, packet: Packet, what: str, undo: Undo = nothing_to_undo) -> tuple[TVMValue, ...]:
        """Send one request and return the values of its answer."""
        (answer,) = self.link.ask(packet, what=what, undo=undo)
        return self.values_of(answer)

    def system_call(self, code: Code, *args: TVMValue, undo: Undo = nothing_to_undo) -> TVMValue:
        """Make one of the protocol's own calls; return its one value."""
        values = self.ask(SystemCall(code, args), code.name.lower(), undo)
        if len(values) != 1:
            message = f"{code.name} was answered with {len(values)} values"
            raise self.link.end(RemoteProtocolError(message))
        return values[0]

    def values_of(self, answer: Packet) -> tuple[TVMValue, ...]:
        """Return the values of an answer, or raise what the server raised."""
        if isinstance(answer, Result):
            return answer.values
        if isinstance(answer, Raised):
            raise rebuild_exception(describe_error(answer.message, self.name))
        message = f"{self.name} answered with a {type(answer).__name__}"
        raise self.link.end(RemoteProtocolError(message))

    # --- functions ----------------------------------------------------------------------------

    def get_function(self, name: str) -> FunctionRef | None:
        """Look a function up over there; ``rpcnb.*`` are offered by this session itself."""
        if name.startswith("rpcnb."):
            self._check_open()
            run = tvm_builtins.find(self, name)
            return None if run is None else self.holdings.add_local(name, run)
        if not name:  # what a ping asks for
            name = "\x01"
        pointer = self.system_call(Code.GET_GLOBAL_FUNC, name, undo=self._undo_pointer)
        if not isinstance(pointer, TVMPointer) or not pointer.value:
            return None
        found = self.holdings.add_object(TVMObject(TypeIndex.FUNCTION, pointer.value), name)
        assert isinstance(found, FunctionRef)  # by its type index
        return found

    def call_func(
        self,
        func: FunctionRef,
        args: Sequence[Value] = (),
        kwargs: Mapping[str, Value] | None = None,
        *,
        options: CallOptions = DEFAULT_OPTIONS,
        observer: CallObserver = NO_OBSERVER,
    ) -> Value:
        """Call over there and wait; an interrupt stops the waiting, TVM cannot stop the call."""
        call = self._caller.prepare(func, args, kwargs, options)
        return self._caller.run(call, observer)

    def is_async(self) -> bool:
        """Tell that `async_call_func` returns at once; copies and streams do not."""
        return True

    def async_call_func(
        self,
        func: FunctionRef,
        args: Sequence[Value],
        kwargs: Mapping[str, Value] | None,
        callback: CallCallback,
        *,
        options: CallOptions = DEFAULT_OPTIONS,
        observer: CallObserver = NO_OBSERVER,
    ) -> RunningCall:
        """Put a call at the end of those that wait for the connection."""
        call = self._caller.prepare(func, args, kwargs, options)
        return self._caller.start(call, callback, observer)

    # --- values -------------------------------------------------------------------------------

    def lift(self, values: Sequence[TVMValue]) -> Value:
        """Turn what a call returned into a value."""
        value = self.read_result(values)
        match value:
            case TVMObject():
                return self.holdings.add_object(value)
            case TVMDType():
                spelled = tvm_values.from_tvm_dtype(value)
                return DTypeValue(spelled[0]) if spelled else str(tuple(value))
            case TVMDevice():
                return tvm_values.from_tvm_device(value)
            case TVMPointer():
                return value.value
            case _:
                return value

    # --- handles ------------------------------------------------------------------------------

    def held(self, ref: Ref) -> Held:
        """Return what a ref of this session stands for.

        Raises
        ------
        InvalidHandle
            It was freed, is unknown, or of another kind.
        SessionClosed
            The session is over.
        """
        self._check_open()
        return self.holdings.find(ref)

    def tensor(self, array: ArrayRef) -> TVMTensor:
        """Return the tensor of an array of this session."""
        tensor = self.held(array).tensor
        assert tensor is not None  # every array has one
        return tensor

    def free_handle(self, handle: Handle, type_code: TypeCode, count: int = 1) -> None:
        """Leave it for the next request to take along.  Safe in finalizers."""
        del type_code
        if self.link.reason is not None:
            return
        self.holdings.free(handle, count)

    def _undo_pointer(self, answer: Packet) -> None:
        if isinstance(answer, Result) and isinstance(answer.values[0], TVMPointer):
            self.holdings.release(answer.values[0].value, TypeIndex.FUNCTION)

    def read_result(self, values: Sequence[TVMValue]) -> TVMValue:
        """Return the one value that the return list of a call stands for."""
        return self.link.wire.dialect.read_result(values)

    # --- copies -------------------------------------------------------------------------------

    def copy_to_remote(self, source: HostBuffer, target: ArrayRef, nbytes: int) -> None:
        """Send bytes in one packet, as the protocol has it; an interrupt waits for its end."""
        view = host_view(source, nbytes)
        span = self._span(target, nbytes)
        if nbytes:
            packet = CopyTo(span, view)
            progress = self._watch_copy("upload", nbytes)
            (answer,) = self.link.ask(packet, what="an upload", patient=True, progress=progress)
            self.values_of(answer)

    def copy_from_remote(self, source: ArrayRef, target: HostBuffer, nbytes: int) -> None:
        """Receive bytes straight into `target`; an interrupt waits for their end."""
        view = host_view(target, nbytes, writable=True)
        span = self._span(source, nbytes)
        if nbytes:
            packet = CopyFrom(span, nbytes)
            (answer,) = self.link.ask(
                packet,
                what="a download",
                target=view,
                patient=True,
                progress=self._watch_copy("download", nbytes),
            )
            if not isinstance(answer, CopyAck):
                self.values_of(answer)

    def _watch_copy(self, direction: str, nbytes: int) -> Progress | None:
        """Return what tells the views how far a copy is; None while nobody looks."""
        if not EVENTS.subscriptions:
            return None
        watched = WatchedCopy(self.table_index, next(self._transfers), direction)
        return lambda done: watched.progress(done, nbytes, "")

    def _span(self, array: ArrayRef, nbytes: int) -> TVMTensor:
        """Return part of an array as bytes: TVM's server copies whole tensors only."""
        tensor = self.tensor(array)
        whole = tvm_values.nbytes_of(tensor)
        if array.byte_offset < 0 or array.byte_offset + nbytes > whole:
            message = f"{nbytes:,} bytes from {array.byte_offset:,} on are not in {whole:,} bytes"
            raise ArrayMismatch(message)
        offset = tensor.byte_offset + array.byte_offset
        return TVMTensor(tensor.data, tensor.device, _BYTE, (nbytes,), offset)

    # --- devices and the rest -------------------------------------------------------------------

    def get_device_api(self, device: Device, *, allow_missing: bool = False) -> DeviceAPI | None:
        """Ask once whether the device exists."""
        self._check_open()
        api = self._devices.get(device)
        if api is None:
            api = TVMDeviceAPI(self)
            if not api.get_attr(device, DeviceAttr.EXIST):
                if allow_missing:
                    return None
                message = f"{self.name} has no device {device}"
                raise DeviceError(message)
            self._devices[device] = api
        return api

    def _check_open(self) -> None:
        if self.link.reason is not None:
            raise self.link.closed_error()

    def is_local_session(self) -> bool:
        """Tell that the data is elsewhere."""
        return False

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return self._caller.count

    @property
    def closed(self) -> bool:
        """Whether the session is over, for whatever reason."""
        return self.link.reason is not None

    def _note_end(self, reason: Exception) -> None:
        """Tell the views why it is over, unless it was closed here."""
        if isinstance(reason, SessionClosed):
            self.state = SessionState.CLOSED
            return
        died = isinstance(reason, WorkerDied | DeadlineExceeded)
        self.state = SessionState.DIED if died else SessionState.LOST
        EVENTS.emit(SessionChanged(self.table_index, self.name, self.state, str(reason)))

    def shutdown(self) -> None:
        """Say goodbye; the server ends the session's process, and with it all it held."""
        self.link.close()
        self.holdings.clear()

    def kill(self) -> None:
        """Refuse: TVM's protocol has no word for it, and its server would not hear one."""
        message = f"{self.name}: {CANNOT_STOP}"
        raise SessionError(message)

    def statistics(self) -> dict[str, object]:
        """Return counters of this side."""
        link = self.link
        return {
            "calls": self.calls,
            "requests": link.requests,
            "packets_received": link.wire.packets_received,
            "bytes_sent": link.transport.bytes_sent,
            "handles": len(self.holdings),
            "bad_frees": self.holdings.bad_frees,
            "releases_queued": len(link.released),
        }


def describe_error(message: str, server: str) -> ErrorInfo:
    """Return what is known about a remote exception, of which TVM sends its text only.

    Without a class in the text it is a `RuntimeError`, as for TVM's own clients.
    """
    match = _ERROR_NAME.match(message)
    if match is None:
        return ErrorInfo("RPCError", message, "RuntimeError", (), "", (server,))
    return ErrorInfo(match[1], match[2], match[1], (), "", (server,))
