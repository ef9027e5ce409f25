"""`SocketSession`: the client's `RPCSession`, whose other half is a server over a connection."""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from rpcnb.core.answers import expect
from rpcnb.core.deadline import Deadline
from rpcnb.core.device import DeviceAttr
from rpcnb.core.errors import (
    DeviceError,
    OutcomeUnknown,
    RemoteError,
    SessionClosed,
    SessionTaken,
    TransportError,
    TransportTimeout,
    WorkerDied,
)
from rpcnb.core.events import EVENTS, SessionChanged, SessionState
from rpcnb.core.forks import forget_in_children
from rpcnb.core.values import FunctionRef, TypeCode
from rpcnb.endpoint.client import callback
from rpcnb.endpoint.client.client_connection import ClientConnection
from rpcnb.endpoint.client.housekeeper import HOUSEKEEPER
from rpcnb.endpoint.client.interrupt import InterruptShield
from rpcnb.endpoint.client.killing import KillingSession
from rpcnb.endpoint.client.relayed import RelayingSession
from rpcnb.endpoint.client.shared_memory import SharedMemory
from rpcnb.endpoint.client.small_copies import SmallCopies
from rpcnb.endpoint.client.socket_copies import SocketCopies
from rpcnb.endpoint.client.started import StartedCalls
from rpcnb.endpoint.client.waiting import Waiter
from rpcnb.endpoint.credentials import place_of
from rpcnb.endpoint.heartbeat import HEARTBEATS, Pulse, is_worthwhile
from rpcnb.endpoint.recovery import TAKEN, Comeback
from rpcnb.session.base import raise_or_return
from rpcnb.session.refs import release_refs
from rpcnb.wire.messages import (
    CallFunc,
    CopyToRemote,
    DeviceCall,
    GetFunction,
    Ping,
    Request,
    StreamWait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcnb.core.device import Device
    from rpcnb.core.values import Handle, Value
    from rpcnb.endpoint.client.killing import Kill
    from rpcnb.endpoint.recovery import Reach
    from rpcnb.session.base import CallCallback
    from rpcnb.session.device_api import DeviceAPI
    from rpcnb.session.hops import Hop
    from rpcnb.transport.base import Transport
    from rpcnb.wire.base import WireProtocol
    from rpcnb.wire.handshake import Agreement
    from rpcnb.wire.messages import ShortCall


class SocketSession(SocketCopies, KillingSession, RelayingSession):
    """A session on a server.

    Parameters
    ----------
    transport, protocol
        Fresh after the handshake.
    agreement : Agreement
        What the handshake gave: session id, names.
    url : str
        How it was reached; for messages.
    keep_token : callable, optional
        Keeps what opened the session where it is found by address.
    autopsy : callable, optional
        Given the reason when the connection is lost; returns what the open calls are told, after
        having asked the server how the session ended. May take seconds.
    reach : callable, optional
        Connects again when the connection is lost; without it, that is the end. `protocol` is a
        `ResumableV1` then.
    kill : callable, optional
        See `killing.Kill`.
    """

    def __init__(
        self,
        transport: Transport,
        protocol: WireProtocol,
        agreement: Agreement,
        *,
        url: str = "",
        autopsy: Callable[[Exception], Exception] | None = None,
        keep_token: Callable[[], None] | None = None,
        reach: Reach | None = None,
        kill: Kill | None = None,
    ) -> None:
        self.name = agreement.server_name or url
        self.url = url
        self.agreement = agreement
        self._autopsy = autopsy
        self._keep_token = keep_token
        self._kill = kill
        self._closing = False
        self._released: deque[tuple[int, int, int]] = deque()
        self._devices: dict[Device, DeviceAPI] = {}
        self._shield = InterruptShield()
        self._calls = 0
        self.memory = SharedMemory(self, transport.peer_address)
        self._connection = ClientConnection(transport, protocol, self, self._released)
        self._small = SmallCopies(self, self._connection)
        if reach is not None:
            self._connection.recovery = Comeback(self._connection, reach, self._tell)
            if is_worthwhile(transport.peer_address):
                HEARTBEATS.watch(Pulse(self._connection, self._tell, asks=True))
        self._connection.ensure_background()
        self._waiter = Waiter(self, self._connection, self._shield)
        self._started = StartedCalls(self._connection, self._waiter, self._shield)
        HOUSEKEEPER.register(self)
        forget_in_children(self)

    def remember(self) -> str:
        if self._keep_token is None:
            return super().remember()
        self._keep_token()
        return place_of(self.url).removeprefix("tcp://")

    # --- functions ----------------------------------------------------------------------------

    def get_function(self, name: str) -> FunctionRef | None:
        """Look up a function over there: one round trip."""
        found = self.ask(lambda number: GetFunction(number, name))
        return None if found is None else expect(found, FunctionRef, "a function")

    # --- asking and waiting -------------------------------------------------------------------

    def ask(self, make: Callable[[int], Request]) -> Value:
        """Send the request that `make` makes of its id, and wait for its value."""
        with self._shield:
            pending = self._connection.open_request()
            message = make(pending.id)
            self._connection.send_request(pending, message)
            self._waiter.wait(pending, type(message).__name__)
        return raise_or_return(pending.status, pending.value)

    def ping(self, timeout: float = 5.0) -> float:
        """Return the seconds a message takes there and back.

        Raises
        ------
        TransportTimeout
            No answer in `timeout` seconds.
        """
        with self._shield:
            pending = self._connection.open_request()
            began = time.perf_counter()
            self._connection.send_request(pending, Ping(pending.id))
            try:
                self._connection.wait(pending, Deadline.after(timeout))
            except TransportTimeout:
                self._connection.pending.pop(pending.id, None)
                raise
        raise_or_return(pending.status, pending.value)
        return time.perf_counter() - began

    def hops(self) -> tuple[Hop, ...]:
        """Measure the way to the next server, and ask it for those behind it."""
        from rpcnb.session.hops import Hop, read_hops

        seconds = min(self.ping() for _ in range(3))  # the first may meet a process that sleeps
        first = Hop(self.name, place_of(self.url).removeprefix("tcp://"), seconds)
        try:
            told = self.ask(lambda number: DeviceCall(number, "cpu:0", "hops", ()))
        except RemoteError:  # an older server, or one that does not tell this client
            return (first,)
        return (first, *read_hops(told))

    # --- devices, handles -----------------------------------------------------------------------

    def get_device_api(self, device: Device, *, allow_missing: bool = False) -> DeviceAPI | None:
        """Ask once whether the device exists."""
        api = self._devices.get(device)
        if api is None:
            from rpcnb.endpoint.client.socket_device import SocketDeviceAPI  # few calls need it

            api = SocketDeviceAPI(self)
            if not api.get_attr(device, DeviceAttr.EXIST):
                if allow_missing:
                    return None
                message = f"{self.name} has no device {device}"
                raise DeviceError(message)
            self._devices[device] = api
        return api

    def async_stream_wait(self, device: Device, stream: int, callback: CallCallback) -> None:
        """Ask to be told when the stream has drained."""
        with self._shield:
            pending = self._connection.open_request(callback)
            self._connection.send_request(pending, StreamWait(pending.id, str(device), stream))

    def free_handle(self, handle: Handle, type_code: TypeCode, count: int = 1) -> None:
        """Leave the handle for the next request to take along.  Safe in finalizers."""
        if type_code == TypeCode.ARRAY:
            self.memory.freed(handle)
        self._released.append((handle, type_code, count))
        HOUSEKEEPER.notice()

    def flush_released(self) -> None:
        """Send what finalizers left.  For the housekeeper."""
        connection = self._connection
        while self._released and connection.reason is None:
            prepared = connection.outbox.take_released()
            if prepared is not None:
                connection.post_prepared(prepared)

    # --- the rest of the seed -----------------------------------------------------------------

    def is_local_session(self) -> bool:
        """Tell that the data is elsewhere."""
        return False

    def is_async(self) -> bool:
        """Tell that async variants return at once."""
        return True

    def detach(self) -> None:
        """Leave the session as it is, with its handles and running calls, for whoever takes it up.

        This object is closed then. Whoever connects to ``rpcnb://host:port/NAME`` takes up the
        session that was opened by that name.
        """
        self._closing = True
        with self._shield:
            self._connection.close(keep=True)

    def _tell(self, state: SessionState, reason: str) -> None:
        """Take note of how the connection is, and tell the views."""
        self.state = state
        EVENTS.emit(SessionChanged(self.table_index, self.name, state, reason))

    @property
    def closed(self) -> bool:
        """Whether the session is over, for whatever reason."""
        return self._connection.reason is not None

    def shutdown(self) -> None:
        """Say goodbye; the server frees everything this session held."""
        self._closing = True
        with self._shield:
            self._connection.close()

    def forget(self) -> None:
        """Be closed in a forked child, where the connection is the parent's."""
        connection = self._connection
        connection.forget(
            SessionClosed(
                f"the session with {self.name} belongs to the process that was forked; connect anew here"
            )
        )
        self.memory.close()
        with suppress(NotImplementedError, TransportError):  # in memory, or closed before
            os.close(connection.transport.detach())

    def statistics(self) -> dict[str, object]:
        """Return counters of this side."""
        connection = self._connection
        return {
            "connected_to": connection.transport.peer_address,
            "transport": type(connection.transport).__name__,
            "connections": connection.cuts + 1,
            "bytes_resent": getattr(connection.protocol, "resent_nbytes", 0),
            "calls": self._calls + self._started.queued + self._started.submitted,
            "calls_in_flight": connection.requests_under_way,
            "calls_queued": self._started.queued,
            "frames_sent": connection.protocol.frames_sent,
            "frames_received": connection.protocol.frames_received,
            "bytes_sent": connection.outbox.nbytes,
            "bytes_received": connection.bytes_received,
            "bulk_path": "shared memory" if self.memory.active else "socket",
            "bytes_shared": self.memory.nbytes,
            "releases_queued": len(self._released),
        }

    # --- what the connection asks of its owner (endpoint.handler.Handler) ------------------------

    def on_request(self, message: Request) -> None:
        """Run a callback for which no thread waits on a thread of its own."""
        callback.serve_on_thread(self._connection, message, self._shield)

    on_call = on_request

    def on_short_call(self, call: ShortCall) -> None:
        """Answer a call of a function that was never lent."""
        self.on_call(CallFunc(*call))

    def run_delivered(self, message: CallFunc) -> None:
        """Run a callback on this thread, which waits for the call it belongs to."""
        callback.serve(self._connection, message, self._shield)

    def on_cancel(self, request_id: int) -> None:
        """Let a callback finish: it is the user's code on the user's thread."""

    def on_free(self, handles: Sequence[tuple[int, int, int]]) -> None:
        """Ignore: what is lent to the server lives as long as the call."""

    def on_stray(self, value: Value) -> None:
        """Give back what an orphaned call returned after all."""
        release_refs(value, self)

    def on_takeover(self) -> None:
        """Nothing to announce."""

    def upload_target(self, message: CopyToRemote) -> memoryview:
        """Give scratch memory; the state machine lets no server send this."""
        return memoryview(bytearray(message.nbytes))

    def on_closed(self, reason: Exception) -> Exception:
        """Find out what happened."""
        self._released.clear()
        self.memory.close()
        if self._closing or isinstance(reason, SessionClosed):
            told: Exception = SessionClosed(f"the session with {self.name} was closed")
            self.state = SessionState.CLOSED
        else:
            told = self._what_happened(reason)
            died = isinstance(told, WorkerDied)
            self._tell(SessionState.DIED if died else SessionState.LOST, str(told))
        if not isinstance(told, OutcomeUnknown):  # which only a call that is out can have
            self._connection.reason = told
        return told

    def _what_happened(self, reason: Exception) -> Exception:
        if isinstance(reason, WorkerDied | SessionTaken | OutcomeUnknown):
            return reason
        if str(reason) == TAKEN:
            return SessionTaken(f"{TAKEN} on {self.name}; connect by its name to take it back")
        return reason if self._autopsy is None else self._autopsy(reason)
