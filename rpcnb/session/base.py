"""`RPCSession`: the one interface between who asks and who does.

The model is ``class RPCSession`` in TVM's ``rpc_session.h``; every member of it is here, with the
same meaning and Python names. A proxy needs a session and nothing else; a server serves *any*
session, so sessions chain.

Kept from the seed:

- Handles that a session returns are *moved* to the caller, who frees each exactly once.
- Array metadata is local, array data is a remote handle.
- A session that is not async runs its async variants synchronously and calls back before they
  return.
- Errors reach a callback as status and description, never as an exception object.

Added: keyword arguments, `CallOptions` (stream, timeout), a `CallObserver` for what happens
during a call, and a `RunningCall` to stop it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Self, TypeAlias

from rpcnb.core.device import CPU
from rpcnb.core.errors import (
    DeadlineExceeded,
    ErrorInfo,
    SessionError,
    describe_exception,
    rebuild_exception,
)
from rpcnb.core.events import SessionState
from rpcnb.session.observer import DEFAULT_OPTIONS, ENDED_CALL, NO_OBSERVER
from rpcnb.session.table import SESSION_TABLE

if TYPE_CHECKING:
    from rpcnb.core.device import Device
    from rpcnb.core.roles import Role
    from rpcnb.core.values import (
        ArrayRef,
        DenseArray,
        FunctionRef,
        Handle,
        TypeCode,
        Value,
    )
    from rpcnb.session.device_api import DeviceAPI
    from rpcnb.session.hops import Hop
    from rpcnb.session.observer import CallObserver, CallOptions, RunningCall

HostBuffer: TypeAlias = bytes | bytearray | memoryview
"""C-contiguous host memory; a writable one where something is received."""


class CallStatus(Enum):
    """How a call ended; what the second argument of a `CallCallback` is."""

    RETURN = "return"
    """The value."""
    EXCEPTION = "exception"
    """An `ErrorInfo`."""
    CANCELLED = "cancelled"
    """None: the call is no longer running, or never started."""
    DEADLINE = "deadline"
    """None: likewise, because its time was up."""
    LOST = "lost"
    """An exception to raise: the connection or the worker is gone."""


CallCallback: TypeAlias = Callable[[CallStatus, "Value"], None]
"""Called exactly once, from any thread; must not block and must not raise."""


class RPCSession(ABC):
    """A place where functions are called and arrays are held.

    Every method may be called from any thread. After `shutdown` every method raises
    `SessionClosed`, except `shutdown` itself and `free_handle`, which then do nothing.
    Values in and out are only those of `rpcnb.core.values`; proxies never enter this layer.
    """

    name: str = ""
    """What a user calls it; errors name it as a hop."""
    whole_files: bool = False
    """Whether a file can be moved as a whole only, not in pieces."""
    state = SessionState.LIVE
    """As a user sees it."""
    started_at = 0.0
    """When it began, where it knows, on `time.monotonic`."""

    # --- the seed's members ---------------------------------------------------------------------

    @abstractmethod
    def get_function(self, name: str) -> FunctionRef | None:
        """Look up a function by name; the caller owns the handle.  None when there is none."""

    def remember(self) -> str:
        """Keep what opened this session for next time; return the address that is enough then.

        Raises
        ------
        SessionError
            It took no secret.
        """
        raise SessionError(f"the session {self.name!r} was opened without a secret")

    def role_of(self, name: str) -> Role:  # noqa: ARG002 -- the contract of those who know roles
        """Return the least role that may call a registered function, whether there is one or not."""
        from rpcnb.core.roles import Role  # those who serve know it; a client need not

        return Role.EXECUTOR

    @abstractmethod
    def call_func(
        self,
        func: FunctionRef,
        args: Sequence[Value] = (),
        kwargs: Mapping[str, Value] | None = None,
        *,
        options: CallOptions = DEFAULT_OPTIONS,
        observer: CallObserver = NO_OBSERVER,
    ) -> Value:
        """Call a function and wait for its result.

        Parameters
        ----------
        func : FunctionRef
            Of this session.
        args, kwargs
            Values; refs among them must be of this session, and stay the caller's.
        options, observer
            See there.

        Returns
        -------
        Value
            Refs in it are owned by the caller.

        Raises
        ------
        RemoteError
            The function raised.
        RemoteCancelled, DeadlineExceeded
            It was stopped.
        RemoteInterrupted
            Waiting was interrupted here; the call was stopped.
        """

    @abstractmethod
    def copy_to_remote(self, source: HostBuffer, target: ArrayRef, nbytes: int) -> None:
        """Copy host bytes into a remote array, starting at `target.byte_offset`.

        Blocks until the peer has the bytes. After an error the target's content is undefined.

        Parameters
        ----------
        source : bytes-like, C-contiguous, at least `nbytes` long
            Read, never kept.
        target : ArrayRef
            Bytes are counted in the C order of its shape, whatever its strides.
        nbytes : int [bytes]
            0 is allowed and does nothing.

        Raises
        ------
        ArrayMismatch
            More bytes than `source` or `target` hold.
        InvalidHandle
            `target` was freed, or is of another session.
        """

    @abstractmethod
    def copy_from_remote(self, source: ArrayRef, target: HostBuffer, nbytes: int) -> None:
        """Copy bytes of a remote array, from `source.byte_offset` on, into host memory.

        As `copy_to_remote`, the other way round; `target` must be writable.
        """

    def make_array(self, value: DenseArray, device: Device = CPU) -> ArrayRef:
        """Copy a host array into a new one over there; the caller owns it.  Raises as its two steps."""
        api = self.get_device_api(device)
        assert api is not None  # allow_missing is off
        array = api.alloc_data(device, value.shape, value.dtype)
        try:
            self.copy_to_remote(value.data, array, len(value.data))
        except BaseException:
            self.free_handle(array.handle, array.type_code)
            raise
        return array

    @abstractmethod
    def free_handle(self, handle: Handle, type_code: TypeCode, count: int = 1) -> None:
        """Give up a handle that this session returned.

        Never blocks on the network and never raises for a session that is gone, so that it may be
        called by finalizers. Freeing what is not held does nothing here, and is counted there.
        """

    @abstractmethod
    def get_device_api(self, device: Device, *, allow_missing: bool = False) -> DeviceAPI | None:
        """Return what manages memory and streams of a device.

        Raises
        ------
        DeviceError
            The session has no such device; with `allow_missing`, None is returned instead.
        """

    @abstractmethod
    def is_local_session(self) -> bool:
        """Tell whether the data behind this session's handles is memory of this process."""

    def is_async(self) -> bool:
        """Tell whether the async variants return before the work is done."""
        return False

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
        """Start a call; `callback` receives how it ended.

        Raises
        ------
        SessionClosed, EncodeError
            The call was not started; `callback` is not called.
        """
        run_and_call_back(
            lambda: self.call_func(func, args, kwargs, options=options, observer=observer), callback
        )
        return ENDED_CALL

    def queue_call(
        self,
        func: FunctionRef,
        args: tuple[Value, ...],
        kwargs: dict[str, Value],
        callback: CallCallback,
        observer: CallObserver = NO_OBSERVER,
    ) -> RunningCall:
        """Start a call of the default stream for which nobody waits yet.

        It may be kept back to be sent with those that follow: at the latest until something else is
        sent, it is waited for, or a millisecond has passed. Queued calls and calls of the default
        stream run in the order in which they were made. A session that cannot do so runs it now.
        """
        run_and_call_back(lambda: self.call_func(func, args, kwargs, observer=observer), callback)
        return ENDED_CALL

    def hold_back(self, *, held: bool) -> None:  # noqa: B027 -- most send at once
        """Begin, or end, to keep queued calls back for as long as nothing else is sent."""

    def async_copy_to_remote(
        self, source: HostBuffer, target: ArrayRef, nbytes: int, callback: CallCallback
    ) -> None:
        """Start `copy_to_remote`; `source` must stay as it is until the callback."""
        run_and_call_back(lambda: self.copy_to_remote(source, target, nbytes), callback)

    def async_copy_from_remote(
        self, source: ArrayRef, target: HostBuffer, nbytes: int, callback: CallCallback
    ) -> None:
        """Start `copy_from_remote`; `target` must not be touched until the callback."""
        run_and_call_back(lambda: self.copy_from_remote(source, target, nbytes), callback)

    def async_stream_wait(self, device: Device, stream: int, callback: CallCallback) -> None:
        """Call back when everything queued on the stream so far has finished."""

        def wait() -> None:
            api = self.get_device_api(device)
            assert api is not None  # allow_missing is off
            api.stream_sync(device, stream)

        run_and_call_back(wait, callback)

    @property
    def table_index(self) -> int:
        """Index in the session table; the same for the session's whole life."""
        return SESSION_TABLE.index_of(self)

    @staticmethod
    def get(table_index: int) -> RPCSession:
        """Return the live session of that index.

        Raises
        ------
        LookupError
            It never existed or is gone.
        """
        session = SESSION_TABLE.get(table_index)
        assert isinstance(session, RPCSession)  # nothing else is ever inserted
        return session

    @abstractmethod
    def shutdown(self) -> None:
        """End the session and free what it holds.  Idempotent; running calls are stopped."""

    # --- added ------------------------------------------------------------------------------------

    def call_at_once(
        self,
        func: FunctionRef,
        args: Sequence[Value],
        kwargs: Mapping[str, Value],
        observer: CallObserver,
    ) -> tuple[CallStatus, Value] | None:
        """Run a call here and now, if this thread is the one it would run on and it need not wait.

        The short way for whoever serves calls on such a thread: nothing is queued, no callback.

        Parameters
        ----------
        func : FunctionRef
            Of a function for which `runs_beside_streams` says no.
        args, kwargs, observer
            As for `async_call_func`.

        Returns
        -------
        tuple of CallStatus and Value, or None
            How it ended. None: use `async_call_func`, which also says what is wrong.
        """
        del func, args, kwargs, observer
        return None

    def detach(self) -> None:
        """Leave the session as it is, for whoever takes it up.

        Raises
        ------
        SessionError
            It cannot go on by itself.
        """
        message = f"the session {self.name!r} cannot go on without its client"
        raise SessionError(message)

    def runs_beside_streams(self, func: FunctionRef) -> bool:
        """Tell whether calls of this function wait for no stream (an ``async def`` function)."""
        del func
        return False

    def host_memory(self, handle: Handle) -> memoryview | None:
        """Return the bytes of an array's C-order content, where they are this process's memory.

        Lets a server receive into an array and send out of it without a copy.

        Returns
        -------
        memoryview of ``B``, or None
            Flat, writable unless the array is read-only, alive as long as it is referenced. None
            when the array is elsewhere, or its elements do not lie one after the other.

        Raises
        ------
        InvalidHandle
            No array of this session.
        """
        del handle
        return None

    def cancel_call(self, call: int) -> None:
        """Ask that a call be stopped, by the number its events have; whoever waits is told its end.

        Never blocks for an answer. Does nothing where the call has ended or cannot be stopped.
        """
        del call

    def kill(self) -> None:
        """End at once the process that runs the session's functions, whatever it does.

        For a call that cannot be stopped, as it does not return from C. All that the session held is
        lost; its calls end with `WorkerDied`, and so does whatever is asked of it later.

        Raises
        ------
        SessionError
            It has no process that could be killed; the message says what else ends the call.
        RpcnbError
            Its server could not be reached.
        """
        message = (
            f"the session {self.name!r} runs its functions in a process that is not its own, and a "
            "thread cannot be killed; the call ends when it returns"
        )
        raise SessionError(message)

    def statistics(self) -> dict[str, object]:
        """Return counters of this side: plain numbers, never a round trip."""
        return {}

    def hops(self) -> tuple[Hop, ...]:
        """Return the servers on the way, the nearest first: some round trips to each.

        Those that do not tell, or do not tell this client, are left out with all behind them.
        """
        return ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()


def run_and_call_back(work: Callable[[], Value], callback: CallCallback) -> None:
    """Run `work` here and tell `callback` how it ended, unless by what is this thread's own."""
    try:
        value = work()
    except DeadlineExceeded:
        callback(CallStatus.DEADLINE, None)
    except Exception as error:  # noqa: BLE001 -- whatever it is, it goes to the callback
        callback(*_failure(error))
    else:
        callback(CallStatus.RETURN, value)


def _failure(error: Exception) -> tuple[CallStatus, Value]:
    """Return what a callback is told of an error that is being handled."""
    import traceback

    from rpcnb.core.cancelled import RemoteCancelled

    if isinstance(error, RemoteCancelled):
        return CallStatus.CANCELLED, None
    return CallStatus.EXCEPTION, describe_exception(error, traceback.format_exc())


def raise_or_return(status: CallStatus, value: Value) -> Value:
    """Turn what a callback received back into a return or a raise."""
    if status is CallStatus.RETURN:
        return value
    if status is CallStatus.EXCEPTION:
        assert isinstance(value, ErrorInfo)  # by the contract of CallStatus
        raise rebuild_exception(value)
    if status is CallStatus.CANCELLED:
        from rpcnb.core.cancelled import RemoteCancelled

        message = "the call was cancelled, confirmed by the session that ran it"
        raise RemoteCancelled(message, confirmed=True)
    if status is CallStatus.DEADLINE:
        message = "the call's time was up; the session that ran it stopped it"
        raise DeadlineExceeded(message)
    raise value
