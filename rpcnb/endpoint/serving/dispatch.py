"""Serving: requests of a peer become method calls on *any* `RPCSession`.

Because nothing here knows more than that interface, a server that is given a `SocketSession` is a
gateway, and sessions chain.
"""

from __future__ import annotations

import traceback
from sys import getrefcount
from threading import Thread
from typing import TYPE_CHECKING

from rpcnb.core.device import CPU, Device, DeviceAttr
from rpcnb.core.errors import (
    ErrorInfo,
    RpcnbError,
    SessionError,
    describe_exception,
)
from rpcnb.core.reuse import UNSHARED
from rpcnb.core.values import TYPE_CODES, FunctionRef, Handle
from rpcnb.endpoint.handler import PeerDetached
from rpcnb.endpoint.serving.lanes import Lane
from rpcnb.endpoint.serving.serve_copies import Downloads, Uploads
from rpcnb.endpoint.serving.serve_memory import MEMORY_OPERATIONS
from rpcnb.endpoint.serving.served_calls import NoticedCall, ServedCall, ServedCalls
from rpcnb.endpoint.serving.serving import Serving
from rpcnb.session.base import CallStatus, RPCSession, run_and_call_back
from rpcnb.session.observer import DEFAULT_OPTIONS, ENDED_CALL, CallOptions
from rpcnb.session.refs import release_refs
from rpcnb.wire.messages import (
    CallFunc,
    CancelReason,
    CopyFromRemote,
    CopyToRemote,
    DeviceCall,
    FreeHandles,
    GetFunction,
    Message,
    Raised,
    Request,
    Stopped,
    StreamWait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcnb.core.values import Value
    from rpcnb.endpoint.connection import Connection
    from rpcnb.endpoint.serving.due import Due, DueQueue
    from rpcnb.endpoint.serving.serve_memory import AdoptedMemory
    from rpcnb.wire.messages import ShortCall

_RETURNED = CallStatus.RETURN


class Dispatcher(Serving):
    """Serves one session to one peer (an `endpoint.handler.Handler`).

    Parameters
    ----------
    session : RPCSession
        Whatever implements it. Not shut down here: that is its owner's part.
    due : DueQueue, optional
        Given when a thread waits to run the calls of the default stream (a worker's main thread).
        Else each call is started where it was read.
    """

    connection: Connection

    def __init__(
        self,
        session: RPCSession,
        due: DueQueue | None = None,
    ) -> None:
        self.session = session
        self._due = due
        if due is not None:
            due.serve_with(self._start_due, self._expire, self._run_many)
        self.is_local = session.is_local_session()
        self._usual = NoticedCall if self.is_local else ServedCall
        self.calls = ServedCalls()
        self._spare: ServedCall | None = None
        """Of the thread that runs short calls: one that has ended."""
        self.closed_by: Exception | None = None
        self.on_end: Callable[[], None] = _nothing
        """Told that the connection has ended, and running calls were asked to stop."""
        self._functions: dict[int, FunctionRef] = {}
        self._beside: dict[int, bool] = {}
        """Whether calls of a function wait for no stream; asked once for each handle."""
        self.at_once = self._beside
        """Functions, with False, of which a short call may begin as soon as it is read."""
        self._lane = Lane("rpcnb-serve")
        self.memory: AdoptedMemory | None = None
        """Takes arrays over that a client on this machine shares; None where that is not done."""
        self._uploads = Uploads(self)
        self._downloads = Downloads(self)
        self._serve: dict[type[Message], Callable[..., None]] = {
            CallFunc: self.on_call,
            GetFunction: self._get_function,
            CopyToRemote: self._uploads.receive,
            CopyFromRemote: self._downloads.start,
            DeviceCall: self._device_call,
            StreamWait: self._stream_wait,
        }

    # --- calls ------------------------------------------------------------------------------------

    def on_request(self, message: Request) -> None:
        """Start serving a request."""
        self._serve[type(message)](message)

    def on_call(self, message: CallFunc) -> None:
        """Start serving a call: at once, or when its turn comes on the default stream."""
        if self._due is None or message.stream or self._is_beside(message.function):
            if not self.is_local:  # in which order they run is decided over there
                self._beside[message.function] = False
            self._start(message)
        else:
            self._put(message)

    def on_short_call(self, call: ShortCall) -> None:
        """Do what `on_call` does."""
        if self._due is not None and self.is_usual(call):
            self._put(call)
        else:
            self.on_call(CallFunc(*call))

    def is_usual(self, call: ShortCall) -> bool:
        """Tell whether it is known that the call belongs to the default stream, and is allowed."""
        return self.at_once.get(call[1]) is False

    def _put(self, message: CallFunc | ShortCall) -> None:
        assert self._due is not None  # its callers look
        try:
            self._due.put(message)
        except SessionError as error:
            self.reply(message[0], CallStatus.EXCEPTION, describe_exception(error, ""))

    def _run_many(self) -> None:
        """Serve what is due, on the thread that waits for it, and send what can go together."""
        assert self._due is not None  # it asks
        outbox = self.connection.outbox
        outbox.holding = True  # a system call for each result would be half of a small call's cost
        try:
            self._due.run()
        finally:
            outbox.holding = False
            self.connection.flush()

    def _start_due(self, message: Due) -> None:
        if type(message) is tuple:
            self.run_short(message)  # type: ignore[arg-type] # messages are subclasses of tuple
        elif type(message) is CallFunc:
            if message.timeout is None:
                self.run_short(message[:4])
            else:
                self._start(message)
        elif type(message) is FreeHandles:
            self._free_behind(message.handles)
        elif type(message) is StreamWait:
            self._start_stream_wait(message)
        else:
            message()  # type: ignore[operator] # no message, so work

    def _expire(self, request_id: int) -> None:
        self.reply(request_id, CallStatus.DEADLINE, None)

    def _start(self, message: CallFunc) -> None:
        served = self._open(message)
        _, function, args, kwargs, stream, timeout, _ = message
        plain = not stream and timeout is None
        try:
            running = self.session.async_call_func(
                self._function(function),
                args,
                kwargs,
                served.finish,
                options=DEFAULT_OPTIONS if plain else CallOptions(stream, timeout),
                observer=served,
            )
            if served.running is not running and message.id in self.calls:
                served.begun(running)
        except RpcnbError as error:
            served.finish(CallStatus.EXCEPTION, describe_exception(error, ""))

    def run_short(self, call: ShortCall) -> None:
        """Serve a call of the default stream on its thread: at once, unless that is busy."""
        number, handle, args, kwargs = call
        calls = self.calls
        served, self._spare = self._spare, None
        if served is None or getrefcount(served) != UNSHARED or not served.renew(number):
            served = self._usual(self, number)
        calls[number] = served
        if calls.missed:
            calls.came(number)
        if self.connection.being_read():
            calls.watch()
        function = self._functions.get(handle) or self._function(handle)
        outcome = self.session.call_at_once(function, args, kwargs, served)
        if outcome is None:
            self._start(CallFunc(*call))
            return
        served.running = ENDED_CALL
        del calls[number]
        self._spare = served
        status, value = outcome
        if status is _RETURNED:
            self._return(number, value)
        else:
            self.reply(number, status, value)

    def _open(self, message: CallFunc) -> ServedCall:
        kind = ServedCall if message.stream else self._usual
        served = self.calls[message.id] = kind(self, message.id)
        if self.calls.missed:
            self.calls.came(message.id)
        return served

    def run_delivered(self, message: CallFunc) -> None:
        """Serve a call made by a callback on the thread that waits for the callback."""
        served = self._open(message)
        function = self._function(message.function)
        options = CallOptions(message.stream, message.timeout)
        run_and_call_back(
            lambda: self.session.call_func(
                function, message.args, message.kwargs, options=options, observer=served
            ),
            served.finish,
        )

    def _function(self, handle: int) -> FunctionRef:
        """Return the ref of a handle: made once, since making one costs 1 µs."""
        ref = self._functions.get(handle)
        if ref is None:
            ref = self._functions[handle] = FunctionRef(Handle(handle))
        return ref

    def _is_beside(self, handle: int) -> bool:
        beside = self._beside.get(handle)
        if beside is None:
            ref = self._function(handle)
            beside = self._beside[handle] = self.session.runs_beside_streams(ref)
        return beside

    def _get_function(self, message: GetFunction) -> None:
        self._answer(message.id, lambda: self.look_up(message.name))

    def look_up(self, name: str) -> FunctionRef | None:
        """Return a function of the session by its name."""
        return self.session.get_function(name)

    # --- devices ----------------------------------------------------------------------------------

    def _device_call(self, message: DeviceCall) -> None:
        device = message.device

        def work() -> Value:
            parsed = Device.parse(device)
            if message.operation in MEMORY_OPERATIONS:
                serve = MEMORY_OPERATIONS[message.operation]
                return None if self.memory is None else serve(self.memory, parsed, *message.args)
            if message.operation == "get_attr":
                return self._get_attr(parsed, *message.args)
            if message.operation == "hops":
                return [list(hop) for hop in self.session.hops()]
            if message.operation == "kill":
                return self.session.kill()
            api = self.session.get_device_api(parsed)
            assert api is not None  # missing devices raise
            return _DEVICE_OPERATIONS[message.operation](api, parsed, *message.args)

        if message.operation not in {*_OTHER_OPERATIONS, *_DEVICE_OPERATIONS, *MEMORY_OPERATIONS}:
            text = f"no device operation is called {message.operation!r}"
            self.reply(
                message.id, CallStatus.EXCEPTION, ErrorInfo("LookupError", text, "LookupError")
            )
        elif message.operation == "kill":  # not in the lane: that may wait for what is to be killed
            reply = self._replier(message.id)
            Thread(target=run_and_call_back, args=(work, reply), name="rpcnb-kill").start()
        elif message.operation in _SLOW_OPERATIONS:
            self._lane.put(lambda: run_and_call_back(work, self._replier(message.id)))
        else:
            self._answer(message.id, work)

    def _get_attr(self, device: Device, kind: int) -> Value:
        api = self.session.get_device_api(device, allow_missing=kind == DeviceAttr.EXIST)
        return False if api is None else api.get_attr(device, DeviceAttr(kind))

    def _stream_wait(self, message: StreamWait) -> None:
        if not message.stream and self._due is not None and self._due.comes_first():
            self._due.put(message)
        else:
            self._start_stream_wait(message)

    def _start_stream_wait(self, message: StreamWait) -> None:
        reply = self._replier(message.id)
        try:
            device = Device.parse(message.device)
            self.session.async_stream_wait(device, message.stream, reply)
        except RpcnbError as error:
            reply(CallStatus.EXCEPTION, describe_exception(error, ""))

    # --- notices ----------------------------------------------------------------------------------

    def on_cancel(self, request_id: int) -> None:
        """Stop a call or a copy; an unknown one has just ended."""
        if self._due and self._due.withdraw(request_id):
            self.connection.post(Stopped(request_id))
            return
        if not self.calls.stop(request_id) and (
            self._uploads.stop(request_id) or self._downloads.stop(request_id)
        ):
            self.connection.post(Stopped(request_id))

    def on_free(self, handles: Sequence[tuple[int, int, int]]) -> None:
        """Free what the peer gave up, after the calls that came before."""
        if self._due is None:
            self._free_behind(handles)
        elif self._due.comes_first():
            self._due.put(FreeHandles(tuple(handles)))
        else:
            self._free(handles)

    def _free_behind(self, handles: Sequence[tuple[int, int, int]]) -> None:
        """Free behind the calls that wait on the default stream: they must find what they were given."""
        if self.calls and self.is_local:
            self.session.async_stream_wait(CPU, 0, lambda *_: self._free(handles))
        else:
            self._free(handles)

    def _free(self, handles: Sequence[tuple[int, int, int]]) -> None:
        for handle, type_code, count in handles:
            self._functions.pop(handle, None)
            self._beside.pop(handle, None)
            self.session.free_handle(Handle(handle), TYPE_CODES[type_code], count)

    def upload_target(self, message: CopyToRemote) -> memoryview:
        """Say where a piece of an upload goes."""
        return self._uploads.target(message)

    def on_stray(self, value: Value) -> None:
        """Ignore: what a callback returned names nothing of this session."""

    def on_takeover(self) -> None:
        """Tell callers that their calls run: only those that take long get here."""
        self.calls.announce()

    def on_closed(self, reason: Exception) -> Exception:
        """Stop everything the peer started, unless it is to be found again."""
        self.closed_by = reason
        if isinstance(reason, PeerDetached):
            return reason
        for served in list(self.calls.values()):
            served.cancel()
        if self._due is not None:
            self._due.clear()
        self._lane.close()
        self.on_end()
        return reason

    # --- answering --------------------------------------------------------------------------------

    def _answer(self, request_id: int, work: Callable[[], Value]) -> None:
        """Answer with what `work` returns: here, or on a thread when it has to ask further on."""
        if self.is_local:
            run_and_call_back(work, self._replier(request_id))
        else:
            self._lane.put(lambda: run_and_call_back(work, self._replier(request_id)))

    def run_in_lane(self, work: Callable[[], None]) -> None:
        """Run `work` after what was given here before, on a thread of its own."""
        self._lane.put(work)

    def _replier(self, request_id: int) -> Callable[[CallStatus, Value], None]:
        return lambda status, value: self.reply(request_id, status, value)

    def reply(self, request_id: int, status: CallStatus, value: Value) -> None:
        """Send how a request ended."""
        if status is _RETURNED:
            self._return(request_id, value)
        elif status is CallStatus.EXCEPTION:
            self.connection.post(Raised(request_id, self._with_hop(value)))
        elif status is CallStatus.LOST:
            self.connection.post(Raised(request_id, describe_exception(value, "")))
        else:
            reason = CancelReason.DEADLINE if status is CallStatus.DEADLINE else CancelReason.ASKED
            self.connection.post(Stopped(request_id, reason))

    def end_call(self, request_id: int, status: CallStatus, value: Value) -> None:
        """Forget a call, and send how it ended."""
        self.calls.pop(request_id, None)
        self.reply(request_id, status, value)

    def _return(self, request_id: int, value: Value) -> None:
        try:
            self.connection.post_return(request_id, value)
        except RpcnbError as error:  # the value cannot cross: it must not leak either
            release_refs(value, self.session)
            info = describe_exception(error, traceback.format_exc())
            self.connection.post(Raised(request_id, info))

    def _with_hop(self, error: ErrorInfo) -> ErrorInfo:
        """Name this hop in an error that came from further on."""
        if self.is_local:
            return error
        hops = (*error.hops, self.session.name)
        return ErrorInfo(
            error.type_name, error.message, error.known, error.args, error.traceback, hops
        )


def _nothing() -> None:
    """Stand in where nobody wants to be told."""


_DEVICE_OPERATIONS: dict[str, Callable[..., Value]] = {
    "alloc_data": lambda api, device, shape, dtype: api.alloc_data(device, shape, dtype.dtype),
    "copy_data": lambda api, _, source, target, stream: api.copy_data(source, target, stream),
    "create_stream": lambda api, device: api.create_stream(device),
    "free_stream": lambda api, device, stream: api.free_stream(device, stream),
    "stream_sync": lambda api, device, stream: api.stream_sync(device, stream),
    "set_stream": lambda api, device, stream: api.set_stream(device, stream),
    "get_current_stream": lambda api, device: api.get_current_stream(device),
}
"""Every member of `DeviceAPI` that a peer may use (arrays are freed by their handle)."""

_OTHER_OPERATIONS = frozenset({"get_attr", "hops", "kill"})
_SLOW_OPERATIONS = frozenset({"copy_data", "export_memory", "free_stream", "stream_sync"})
"""Those that may take long, and so never run on the reading thread."""
