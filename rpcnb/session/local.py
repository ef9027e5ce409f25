"""`LocalSession`: functions and arrays of this very process.

What every server serves at the end of a chain, and what ``local:`` connects to.

How its calls run is in `local_calls`.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import cache, partial
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from rpcnb.core.errors import (
    ArrayMismatch,
    DeviceError,
    InvalidHandle,
    SessionClosed,
    SessionError,
)
from rpcnb.core.events import SessionState
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.core.values import RESERVED, TYPE_CODES, FunctionRef, Handle, TypeCode
from rpcnb.session.backend import backend_of, held_nbytes
from rpcnb.session.base import CallCallback, CallStatus, HostBuffer
from rpcnb.session.builtins import resident_bytes, session_functions
from rpcnb.session.coroutines import LoopThread
from rpcnb.session.cpu import NumPyBackend
from rpcnb.session.execution import Call, tell
from rpcnb.session.functions import REGISTRY, FunctionRegistry, describe_function
from rpcnb.session.handles import HandleTable
from rpcnb.session.local_calls import LocalCalls
from rpcnb.session.local_device import LocalDeviceAPI
from rpcnb.session.marshal import Marshaller
from rpcnb.session.processes import process_report
from rpcnb.session.quota import memory_report
from rpcnb.session.running import Runner
from rpcnb.session.streams import ExecutionStream, StreamRegistry, ThreadStream
from rpcnb.session.tracebacks import describe_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcnb.core.device import Device
    from rpcnb.core.roles import Role
    from rpcnb.core.values import ArrayRef
    from rpcnb.session.backend import ArrayBackend
    from rpcnb.session.cells import Cells
    from rpcnb.session.device_api import DeviceAPI
    from rpcnb.session.files import WorkFolder
    from rpcnb.session.interrupts import SignalInterrupter


class LocalSession(LocalCalls):
    """A session in this process.

    Parameters
    ----------
    registry : FunctionRegistry
        The functions it offers, besides its own ``rpcnb.*``.
    name : str
        What errors and views call it.
    backends : sequence of ArrayBackend, optional
        Who holds arrays; NumPy by default.
    allowed_modules : sequence of str
        Modules that ``rpcnb.load_module`` may give out.
    default_stream : ExecutionStream, optional
        Stream 0; one with a thread of its own by default.
    interrupter : SignalInterrupter, optional
        Who owns SIGINT, in a worker process.
    work_folder : WorkFolder, optional
        Where ``rpcnb.upload`` and its like act; they are refused without one.
    cells : Cells, optional
        Runs ``rpcnb.cell.*``, which is refused without one; its registry is this session's.
    limits : Limits

    Notes
    -----
    A call of a function of this session made by the code of another of its calls runs at once,
    inside it, if both are of one stream: it could never wait for its turn.
    """

    def __init__(
        self,
        registry: FunctionRegistry = REGISTRY,
        *,
        name: str = "local",
        backends: Sequence[ArrayBackend] | None = None,
        allowed_modules: Sequence[str] = (),
        default_stream: ExecutionStream | None = None,
        interrupter: SignalInterrupter | None = None,
        work_folder: WorkFolder | None = None,
        cells: Cells | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.name = name
        self.registry = registry if cells is None else cells.registry
        self.cells = cells
        self.limits = limits
        self.allowed_modules = tuple(allowed_modules)
        self.work_folder = work_folder
        self.backends = tuple(backends) if backends is not None else (NumPyBackend(),)
        self.handles = HandleTable(limits.handles)
        self.started_at = monotonic()
        self._default = default_stream or ThreadStream(limits.calls_in_flight, f"rpcnb-{name}")
        self.streams = StreamRegistry(self._default, limits.calls_in_flight)
        self._device_api = LocalDeviceAPI(self.backends, self.handles, self.streams)
        self.marshaller = Marshaller(self.handles, self.backends, describe_function, limits)
        self._runner = Runner(self.marshaller, interrupter, name, limits.error_text)
        self._run = self._runner.run
        self._own = session_functions(self)
        self._describe_own = cache(describe_function)
        self._loop = LoopThread(f"rpcnb-{name}-loop")
        self._numbers = count(1)
        self._calls: dict[int, Call] = {}
        self._spare: Call | None = None
        self._made = 0
        self._bad_frees = 0
        self._lock = threading.Lock()
        self._closed = False
        self._index = self.table_index

    # --- functions ------------------------------------------------------------------------------

    def get_function(self, name: str) -> FunctionRef | None:
        self._check_open()
        is_own = name.startswith(RESERVED)
        function = (self._own if is_own else self.registry).get(name)
        if function is None:
            return None
        handle = self.handles.issue(function, TypeCode.FUNCTION)
        if is_own:
            return FunctionRef(handle, self._describe_own(function, name))
        return FunctionRef(handle, self.registry.describe(name, function))

    def role_of(self, name: str) -> Role:
        return self.registry.role_of(name)

    # --- arrays and devices --------------------------------------------------------------------------

    def copy_to_remote(self, source: HostBuffer, target: ArrayRef, nbytes: int) -> None:
        self._check_open()
        array = self.handles.get(target.handle, TypeCode.ARRAY)
        piece = _piece(source, nbytes, "source")
        if nbytes:
            self._backend(array).write(array, target.byte_offset, piece)

    def copy_from_remote(self, source: ArrayRef, target: HostBuffer, nbytes: int) -> None:
        self._check_open()
        array = self.handles.get(source.handle, TypeCode.ARRAY)
        piece = _piece(target, nbytes, "target")
        if piece.readonly:
            raise ArrayMismatch("the memory to copy into is read-only")
        if nbytes:
            self._backend(array).read(array, source.byte_offset, piece)

    def host_memory(self, handle: Handle) -> memoryview | None:
        if self._closed:
            self._check_open()
        array = self.handles.get(handle, TypeCode.ARRAY)
        for backend in self.backends:  # as `_backend`, without its two calls
            if backend.owns(array):
                return backend.host_view(array)
        return None

    def _backend(self, array: object) -> ArrayBackend:
        backend = backend_of(self.backends, array)
        assert backend is not None  # else it would not have been issued as an array
        return backend

    def free_handle(self, handle: Handle, type_code: TypeCode, count: int = 1) -> None:
        if self._closed:
            return
        try:
            if type_code == TypeCode.STREAM:
                self.streams.free(handle)
                return
            code = TYPE_CODES[type_code]
            obj = self.handles.get(handle, code) if code is TypeCode.ITERATOR else None
            self.handles.free(handle, code, count)
        except (InvalidHandle, DeviceError, KeyError):
            self._bad_frees += count
            return
        if type_code == TypeCode.ITERATOR:
            # Not here: its `finally` blocks are user code, and this may be a finalizer.
            with suppress(SessionError):
                self._default.submit(partial(_close_generator, obj))

    def get_device_api(self, device: Device, *, allow_missing: bool = False) -> DeviceAPI | None:
        self._check_open()
        if self._device_api.has(device):
            return self._device_api
        if allow_missing:
            return None
        raise DeviceError(f"session {self.name!r} has no device {device}")

    def async_stream_wait(self, device: Device, stream: int, callback: CallCallback) -> None:
        self._check_open()
        try:
            self._device_api.get_current_stream(device)  # there is such a device
            queue = self.streams.get(stream)
        except DeviceError as error:
            tell(callback, CallStatus.EXCEPTION, describe_failure(error, self.name, 4096))
            return
        queue.when_drained(partial(self._device_api.finish_and_tell, device, queue, callback))

    # --- the session itself -----------------------------------------------------------------------------

    def is_local_session(self) -> bool:
        return True

    def is_async(self) -> bool:
        return True

    def statistics(self) -> dict[str, object]:
        return {
            "name": self.name,
            "pid": os.getpid(),
            "uptime": monotonic() - self.started_at,
            "rss": resident_bytes(),
            "handles": len(self.handles),
            "nbytes": held_nbytes(self.handles, self.backends),
            "calls": self._made,
            "calls_running": len(self._calls),
            "bad_frees": self._bad_frees,
            "quotas": self._quotas(),
        }

    def _quotas(self) -> dict[str, object]:
        """Return what this session may have, and how much of it it has where that is counted here."""
        limits = self.limits
        return {
            **memory_report(limits.session_memory),
            **process_report(),
            "handles": limits.handles,
            "handles_used": len(self.handles),
            "calls_waiting": limits.calls_in_flight,
            "calls_waiting_used": len(self._calls),
            "spool": limits.upload_spool,
            "spool_used": 0 if self.work_folder is None else self.work_folder.spool.used,
        }

    def shutdown(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.state = SessionState.CLOSED
        for call in reversed(list(self._calls.values())):  # what waits before what it waits for
            call.cancel()
        for entry in self.handles.entries():
            if entry.type_code is TypeCode.ITERATOR:
                with suppress(SessionError):
                    self._default.submit(partial(_close_generator, entry.object))
        self.handles.clear()
        self.streams.close()
        self._loop.close()
        if self.work_folder is not None:
            self.work_folder.close()

    def _check_open(self) -> None:
        if self._closed:
            raise SessionClosed(f"session {self.name!r} was closed")


def _piece(memory: HostBuffer, nbytes: int, role: str) -> memoryview:
    view = memoryview(memory).cast("B") if nbytes else memoryview(bytearray())
    if nbytes < 0 or len(view) < nbytes:
        raise ArrayMismatch(f"{nbytes:,} bytes asked for, but the {role} holds {len(view):,}")
    return view[:nbytes]


def _close_generator(generator: Any) -> None:
    """End a generator that nobody will ask again; its failures have nobody to go to."""
    with suppress(BaseException):
        generator.close()
