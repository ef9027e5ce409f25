"""`Connection`: one transport and one protocol object; the only place where threads meet bytes.

Who waits, reads
----------------
A thread that waits for its reply reads the transport itself and hands what is not its own to
whoever it belongs to. That makes a call cost what the socket costs: a reader thread adds two
hand-overs under the interpreter lock, 10 µs of 25 on loopback. Rules:

1. Whoever holds `_reading` is the reader. It may leave at any message boundary of its own work.
2. A waiter that finds the lock taken registers as a follower *before* it tries once more, and a
   reader looks for followers *after* it has released: so one of the two always sees the other.
3. When nobody has read for about a millisecond, the background thread takes over; for up to 16 of
   them where short calls came one after the other. It never holds on to the lock when a follower
   shows up, and it sleeps for good ("parked") while one foreground reader stays at it.

The same class serves both ends. A worker's main thread is its reader while it is idle; while it
runs a call, the background thread reads on, and sees CANCEL and PING.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from itertools import count
from typing import TYPE_CHECKING

from rpcnb.core.deadline import NEVER, Deadline
from rpcnb.core.errors import (
    ConnectionClosed,
    LocalProtocolError,
    ProtocolError,
    TransportError,
    TransportTimeout,
)
from rpcnb.endpoint.outbox import Outbox
from rpcnb.endpoint.pending import Pending, ring
from rpcnb.session.base import NO_OBSERVER, CallCallback, CallObserver, CallStatus
from rpcnb.wire.base import State
from rpcnb.wire.messages import (
    CallFunc,
    Cancel,
    CopyData,
    CopyFromRemote,
    CopyToRemote,
    DeviceCall,
    FreeHandles,
    GetFunction,
    Goodbye,
    Kind,
    Message,
    Output,
    Ping,
    Pong,
    Progress,
    Raised,
    Return,
    Started,
    Stopped,
    StreamWait,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from rpcnb.core.values import Value
    from rpcnb.endpoint.handler import Handler
    from rpcnb.transport.base import Transport
    from rpcnb.wire.base import Prepared, WireProtocol

LOG = logging.getLogger("rpcnb.connection")
# Looking a member up in its class takes as long as a small function.
_RETURNED, _RETURN, _CALL_FUNC = CallStatus.RETURN, Kind.RETURN, Kind.CALL_FUNC
TURN = 0.001
"""Seconds without a reader after which the background thread reads."""
LONGEST_TURN = 0.016
MANY_TURNS = 8
"""Foreground readers in a turn, from which on the background thread looks less often."""
PATIENCE = 8
"""Looks at an unchanged foreground reader before the background thread parks."""
SEND_AHEAD = 1 << 20
"""Bytes of one piece of bulk data: what a small message may have to wait for."""
LONGEST_AUTOPSY = 10.0
"""Seconds that `Handler.on_closed` may take."""
PEER_CLOSED = "the peer closed the connection"
CAREFUL_POLL = 0.1
"""Seconds between looks at a request to stop waiting (see `Connection.poke`)."""


class Connection:
    """A live link to a peer.  Thread-safe.

    Parameters
    ----------
    transport, protocol
        Fresh after the handshake; owned from here on.
    handler : Handler
        Its methods are called as documented there.
    released : deque, optional
        See `Outbox`.
    """

    def __init__(
        self,
        transport: Transport,
        protocol: WireProtocol,
        handler: Handler,
        released: deque[tuple[int, int, int]] | None = None,
    ) -> None:
        self.transport = transport
        self.protocol = protocol
        self.handler = handler
        self.outbox = Outbox(transport, protocol, deque() if released is None else released)
        # Bound once: these are on the path of every call.
        self._serve_call = handler.on_call
        self._receive_into = transport.receive_into
        self._receive_buffer = protocol.receive_buffer
        self._received = protocol.received
        self._quick_call = protocol.quick_call
        self._quick_return = protocol.quick_return
        self._send_quick = self.outbox.send_quick
        self.pending: dict[int, Pending] = {}
        self.reason: Exception | None = None
        """Why it is closed; None while it is open."""
        self.bytes_received = 0
        self._ids = count(1)
        self._reading = threading.Lock()
        self._turns = 0
        self._followers: dict[int, threading.Lock] = {}
        self._parked = False
        self._dozing = False
        self._careful = False
        self._told = threading.Event()
        self._ending = threading.RLock()  # a signal handler may come upon its own thread in `end`
        self._bell = threading.Lock()
        self._bell.acquire()
        self._background: threading.Thread | None = None
        protocol.sink = self._sink
        self._handlers: dict[type[Message], Callable[..., None]] = {
            Return: self._on_return,
            Raised: lambda m: self._settle(m.id, CallStatus.EXCEPTION, m.error),
            Stopped: self._on_stopped,
            CopyData: self._on_copy_data,
            Started: lambda m: self._observer_of(m).started(),
            Progress: lambda m: self._observer_of(m).progress(m.done, m.total, m.description),
            Output: lambda m: self._observer_of(m).output(m.stream, m.text),
            CallFunc: self._on_call,
            GetFunction: handler.on_request,
            CopyToRemote: handler.on_request,
            CopyFromRemote: handler.on_request,
            DeviceCall: handler.on_request,
            StreamWait: handler.on_request,
            Cancel: lambda message: handler.on_cancel(message.id),
            FreeHandles: lambda message: handler.on_free(message.handles),
            Ping: lambda message: self.post(Pong(message.id)),
            Pong: lambda m: self._settle(m.id, _RETURNED, None),
            Goodbye: lambda m: self.end(ConnectionClosed(m.reason or PEER_CLOSED)),
        }

    # --- sending ------------------------------------------------------------------------------

    def post(self, message: Message) -> None:
        """Send a message that has no reply; a closed connection swallows it.

        Raises
        ------
        EncodeError
            A value in it cannot cross.
        """
        self.post_prepared(self.protocol.prepare(message))

    def post_prepared(self, prepared: Prepared) -> None:
        """Send what `WireProtocol.prepare` made; a closed connection swallows it."""
        if self.reason is None:
            try:
                self.outbox.send(prepared)
            except TransportError as error:
                self.end(error)
            except LocalProtocolError:
                if self.protocol.state is State.OPEN:  # else another thread is closing
                    raise

    def flush(self) -> None:
        """Send what the outbox held back."""
        try:
            self.outbox.flush()
        except TransportError as error:
            self.end(error)

    def post_return(self, request_id: int, value: Value) -> None:
        """Send a result: `post` with an express lane."""
        header = None if self.reason is not None else self._quick_return(value)
        try:
            if header is None or not self._send_quick(_RETURN, request_id, header):
                self.post(Return(request_id, value))
        except TransportError as error:
            self.end(error)

    def open_request(
        self, callback: CallCallback | None = None, observer: CallObserver = NO_OBSERVER
    ) -> Pending:
        """Return a new pending request with its own id, not yet sent."""
        pending = Pending(next(self._ids), callback, observer)
        self.pending[pending.id] = pending
        if (
            callback is not None and self._dozing
        ):  # nobody waits for it: the background thread reads
            ring(self._bell)
        if self.reason is not None:  # looked at after storing, as `end` stores before it looks
            self.pending.pop(pending.id, None)
            raise self.reason
        return pending

    def send_request(self, pending: Pending, message: Message) -> None:
        """Send the message of a pending request; on failure the request is forgotten."""
        try:
            self.outbox.send(self.protocol.prepare(message))
        except TransportError as error:
            self.end(error)  # resolves the pending request, too
        except LocalProtocolError:
            if self.protocol.state is State.OPEN:  # else another thread is closing, and resolves it
                self.pending.pop(pending.id, None)
                raise
        except BaseException:
            self.pending.pop(pending.id, None)
            raise

    def send_plain_call(
        self, pending: Pending, function: int, args: tuple[Value, ...], kwargs: dict[str, Value]
    ) -> bool:
        """Send a call on the express lane; False when that takes a message and `send_request`."""
        try:
            header = self._quick_call(function, args, kwargs)
            return header is not None and self._send_quick(_CALL_FUNC, pending.id, header)
        except TransportError as error:
            self.end(error)  # resolves the pending request, too
            return True
        except BaseException:
            self.pending.pop(pending.id, None)
            raise

    def ensure_background(self) -> None:
        """Start the background reader, unless it runs."""
        if self._background is None:
            self._background = threading.Thread(
                target=self._run_background, name="rpcnb-reader", daemon=True
            )
            self._background.start()

    # --- waiting ------------------------------------------------------------------------------

    def wait(self, pending: Pending, deadline: Deadline = NEVER) -> None:
        """Wait until the request is answered, serving calls made in its service meanwhile.

        Raises
        ------
        TransportTimeout
            The deadline passed; the request stays open.
        """
        while not pending.done:
            if pending.inbox:
                self.handler.run_delivered(pending.inbox.popleft())
            elif self._reading.acquire(False) or self._follow(pending, deadline):
                try:
                    self._turns += 1
                    if deadline is NEVER:
                        self._read_for(pending)
                    else:
                        self._read_until(pending, deadline)
                finally:
                    self.leave_reading()
            if deadline is not NEVER and not pending.has_news() and deadline.expired():
                message = "no answer in time"
                raise TransportTimeout(message)

    def _read_for(self, pending: Pending) -> None:
        while not (pending.done or pending.inbox):
            if not self._careful or self._wait_readable(pending, NEVER):
                self._read_once()

    def _read_until(self, pending: Pending, deadline: Deadline) -> None:
        while not pending.has_news() and self._wait_readable(pending, deadline):
            self._read_once()

    def _wait_readable(self, pending: Pending, deadline: Deadline) -> bool:
        """Wait for bytes without consuming any, so that it can be given up at any time."""
        while not pending.has_news():
            remaining = deadline.remaining()
            if remaining == 0.0:
                return False
            slice_ = CAREFUL_POLL if remaining is None else min(CAREFUL_POLL, remaining)
            if self.transport.wait_readable(slice_ if self._careful else remaining):
                return True
        return False

    def _follow(self, pending: Pending, deadline: Deadline) -> bool:
        """Let another thread read; return True as the reader, or False when there is news."""
        wake = threading.Lock()
        wake.acquire()
        self._followers[pending.id] = pending.wake = wake
        leading = False
        try:
            while not pending.has_news() and not deadline.expired():
                if self._reading.acquire(blocking=False):
                    leading = True
                    return True
                remaining = deadline.remaining()
                wake.acquire(timeout=-1 if remaining is None else remaining)
            return False
        finally:
            del self._followers[pending.id]
            pending.wake = None
            if not leading:  # it may have been woken to take the lead: pass that on
                self._offer_reading()

    def leave_reading(self) -> None:
        """Stop being the reader; let a follower, or in a while the background thread, go on."""
        self._reading.release()
        if self._parked:
            self._parked = False
            ring(self._bell)
        if self._followers:
            self._offer_reading()

    def _offer_reading(self) -> None:
        for wake in list(self._followers.values()):
            if self._reading.locked():
                return
            ring(wake)

    def receives_in(self, frame: FrameType | None) -> bool:
        """Tell whether a thread that a signal found in `frame` blocks in this connection's receive.

        An exception raised there comes instead of the receive, and so loses no byte: the contract
        of `Transport`.
        """
        return (
            frame is not None
            and frame.f_code is getattr(self.transport.receive_into, "__code__", None)
            and frame.f_locals.get("self") is self.transport
        )

    def poke(self) -> None:
        """Make a reader that blocks come back soon, now and from now on.

        Used by an interrupt: the peer answers a ping, which ends the blocking receive, and from
        then on the reader polls, so that it can be told to stop waiting. Safe in a signal handler.
        """
        self._careful = True
        self.post(Ping(0))

    def be_quick(self) -> None:
        """Undo `poke`."""
        self._careful = False

    # --- reading ------------------------------------------------------------------------------

    def _read_once(self) -> None:
        """Receive once and handle what is complete.  Call as the reader."""
        try:
            nbytes = self._receive_into(self._receive_buffer())
            if nbytes == 0:
                self.protocol.receive_eof()
                raise ConnectionClosed(PEER_CLOSED)
            self.bytes_received += nbytes
            messages = self._received(nbytes)
        except TransportError as error:
            self.end(error)
            self._told.wait(LONGEST_AUTOPSY)  # another thread may be finding out why it ended
        except ProtocolError as error:
            self._refuse(error)
        else:
            handlers = self._handlers
            try:
                for arrived in messages:
                    handlers[type(arrived)](arrived)
            except Exception as error:
                LOG.exception("an error of our own ends the connection")
                self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        """Say goodbye to a peer whose bytes make no sense, or that we cannot serve."""
        if self.reason is None:
            self.protocol.state = State.OPEN  # only for this one goodbye; `end` closes for good
            self.post(Goodbye(str(error)[:500], error=True))
        self.end(error)

    def _sink(self, message: CopyToRemote | CopyData) -> memoryview:
        if type(message) is CopyToRemote:
            return self.handler.upload_target(message)
        pending = self.pending.get(message.id)
        target = pending.target if pending is not None else None
        if target is None or message.offset + message.nbytes > len(target):
            return memoryview(bytearray(message.nbytes))  # given up, or a lie: nowhere to put it
        return target[message.offset : message.offset + message.nbytes]

    # --- what arrives -----------------------------------------------------------------------------

    def _on_return(self, message: Return) -> None:
        pending = self.pending.pop(message.id, None)
        if pending is not None:
            pending.resolve(_RETURNED, message.value)
        else:
            self.handler.on_stray(message.value)

    def _on_stopped(self, message: Stopped) -> None:
        status = CallStatus.DEADLINE if message.reason else CallStatus.CANCELLED
        self._settle(message.id, status, None)

    def _settle(self, request_id: int, status: CallStatus, value: Value) -> None:
        pending = self.pending.pop(request_id, None)
        if pending is not None:
            pending.resolve(status, value)

    def _on_copy_data(self, message: CopyData) -> None:
        pending = self.pending.get(message.id)
        if pending is None or pending.target is None:
            return
        pending.progressed += message.nbytes
        pending.observer.progress(pending.progressed, len(pending.target), "")
        if message.last:
            del self.pending[message.id]
            pending.resolve(CallStatus.RETURN, pending.progressed)

    def _observer_of(self, message: Started | Progress | Output) -> CallObserver:
        pending = self.pending.get(message.id)
        return NO_OBSERVER if pending is None else pending.observer

    def _on_call(self, message: CallFunc) -> None:
        pending = self.pending.get(message.parent) if message.parent else None
        if pending is not None and pending.callback is None:
            pending.deliver(message)
        else:  # nobody waits for that request
            self._serve_call(message)

    # --- the background thread ------------------------------------------------------------------------

    def _run_background(self) -> None:
        delay, seen, looks = TURN, -1, 0
        while self.reason is None:
            self._dozing = delay > TURN
            rung = self._bell.acquire(timeout=delay)
            turns = self._turns
            if turns != seen:
                # Each look costs a call in the foreground 50 µs: where one follows the other, a
                # look a millisecond would be the slowest two in a hundred.
                many = turns - seen > MANY_TURNS and not rung
                delay = min(2 * delay, LONGEST_TURN) if many else TURN
                seen, looks = turns, 0
            elif self._reading.locked():
                looks += 1
                delay = min(2 * delay, LONGEST_TURN)
                if looks > PATIENCE:
                    self._park()
                    delay, looks = TURN, 0
            elif self._reading.acquire(blocking=False):
                self._read_in_background()
                delay, looks = TURN, 0

    def _park(self) -> None:
        """Sleep until the foreground reader leaves."""
        self._parked = True
        if self._reading.locked() and self.reason is None:  # else it left before it could see us
            self._bell.acquire()
        self._parked = False

    def _read_in_background(self) -> None:
        try:
            self.handler.on_takeover()
            while self.reason is None and not self._followers:
                self._read_once()
        finally:
            self._reading.release()
            self._offer_reading()

    # --- the end -------------------------------------------------------------------------------------

    def close(self, reason: str = "") -> None:
        """Say goodbye and close.  Idempotent."""
        if self.reason is None:
            self.post(Goodbye(reason))
        self.end(ConnectionClosed(reason or "this side closed the connection"))

    def end(self, error: Exception) -> None:
        """Close because of `error`: every open request is told, once.  Idempotent."""
        with self._ending:
            if self.reason is not None:
                return
            self.reason = error
        self.protocol.state = State.CLOSED
        self.transport.close()
        told = self.handler.on_closed(error)
        while self.pending:
            _, pending = self.pending.popitem()
            pending.resolve(CallStatus.LOST, told)
        self._told.set()
        ring(self._bell)
        for wake in list(self._followers.values()):
            ring(wake)
