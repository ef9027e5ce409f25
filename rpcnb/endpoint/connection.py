"""`Connection`: one transport and one protocol object; the only place where threads meet bytes.

Which thread reads is decided by the rules of `rpcnb.endpoint.turns`.

The same class serves both ends. A worker's main thread is its reader while it is idle; while it
runs a call, the background thread reads on, and sees CANCEL and PING.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import count
from threading import Event, get_ident
from typing import TYPE_CHECKING

from rpcnb.core.errors import (
    ConnectionClosed,
    LocalProtocolError,
    ProtocolError,
    TransportError,
)
from rpcnb.endpoint.handler import PeerDetached
from rpcnb.endpoint.outbox import Outbox
from rpcnb.endpoint.pending import Pending, log, ring
from rpcnb.endpoint.resume import Resuming
from rpcnb.session.base import CallCallback, CallStatus
from rpcnb.session.observer import NO_OBSERVER, CallObserver
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
    ShortReturn,
    Started,
    Stopped,
    StreamWait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from rpcnb.core.values import Value
    from rpcnb.endpoint.handler import Handler
    from rpcnb.transport.base import Transport
    from rpcnb.wire.base import Prepared, WireProtocol
    from rpcnb.wire.messages import Short

# Looking a member up in its class takes as long as a small function.
_RETURNED, _RETURN, _CALL_FUNC = CallStatus.RETURN, Kind.RETURN, Kind.CALL_FUNC
SEND_AHEAD = 1 << 20
"""Bytes of one piece of bulk data: what a small message may have to wait for."""
PEER_CLOSED = "the peer closed the connection"


class Connection(Resuming):
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
        super().__init__(transport, protocol, handler)
        self.outbox = Outbox(
            transport, protocol, deque() if released is None else released, self._look_soon
        )
        # Bound once: these are on the path of every call.
        self._serve_call = handler.on_call
        self._serve_short_call = handler.on_short_call
        self._receive_buffer = protocol.receive_buffer
        self._received = protocol.received_short
        self._quick_call = protocol.quick_call
        self._quick_return = protocol.quick_return
        self._send_quick = self.outbox.send_quick
        self.pending: dict[int, Pending] = {}
        self.told: Exception | None = None
        """What open requests were told when it ended."""
        self.bytes_received = 0
        self._ids = count(1)
        self.next_id = self._ids.__next__
        """Returns the id of a new request."""
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
            Goodbye: self._on_goodbye,
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
            except LocalProtocolError:
                if self.protocol.state is State.OPEN:  # else another thread is closing
                    raise

    def flush(self) -> None:
        """Send what the outbox held back; a closed connection swallows it."""
        try:
            self.outbox.flush()
        except LocalProtocolError:
            if self.protocol.state is State.OPEN:  # else another thread is closing
                raise

    def post_return(self, request_id: int, value: Value) -> None:
        """Send a result: `post` with an express lane."""
        quick_return, send_quick = self._quick_return, self._send_quick
        header = None if self.reason is not None else quick_return(value)
        if header is None or not send_quick(_RETURN, request_id, header):
            self.post(Return(request_id, value))

    def open_request(
        self, callback: CallCallback | None = None, observer: CallObserver = NO_OBSERVER
    ) -> Pending:
        """Return a new pending request with its own id, not yet sent."""
        pending = Pending(next(self._ids), callback, observer)
        self.open_for(pending)
        return pending

    def open_for(self, pending: Pending, *, quietly: bool = False) -> None:
        """Open the request of a `Pending` that was made with `next_id`; it is not yet sent.

        When nobody waits for it the background thread reads: from now on, or, `quietly`, when it looks
        by itself.
        """
        self.pending[pending.id] = pending
        if self._dozing and pending.callback is not None and not quietly:
            ring(self._bell)
        if self.reason is not None:  # looked at after storing, as `end` stores before it looks
            self.pending.pop(pending.id, None)
            raise self.why_closed()

    def send_request(self, pending: Pending, message: Message) -> None:
        """Send the message of a pending request; on failure the request is forgotten."""
        try:
            self.outbox.send(self.protocol.prepare(message))
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
        except BaseException:
            self.pending.pop(pending.id, None)
            raise

    # --- giving up ----------------------------------------------------------------------------

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
        self._handle(self._receive())

    def _receive(self) -> Sequence[Message | Short]:
        """Receive once; return what is complete.  Call as the reader."""
        try:
            receive_into, receive_buffer = self._receive_into, self._receive_buffer
            nbytes = receive_into(receive_buffer())
            if nbytes == 0:
                if self.recovery is None:
                    self.protocol.receive_eof()
                raise ConnectionClosed(PEER_CLOSED)
            self.bytes_received += nbytes
            received = self._received
            return received(nbytes)
        except TransportError as error:
            self.lose(error)
        except ProtocolError as error:
            self._refuse(error)
        return ()

    def _handle(self, messages: Sequence[Message | Short]) -> None:
        handlers = self._handlers
        try:
            for arrived in messages:
                if type(arrived) is not tuple:
                    handlers[type(arrived)](arrived)  # type: ignore[index] # a message
                elif len(arrived) == 2:
                    self._on_return(arrived)  # a short one
                else:
                    self._serve_short_call(arrived)  # type: ignore[arg-type] # a short call
        except Exception as error:  # noqa: BLE001 -- it is told
            log().exception("an error of our own ends the connection")
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

    def _on_return(self, message: Return | ShortReturn) -> None:
        pending = self.pending.pop(message[0], None)
        if pending is not None:
            pending.resolve(_RETURNED, message[1])
        else:
            self.handler.on_stray(message[1])

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

    def _on_goodbye(self, message: Goodbye) -> None:
        kind = PeerDetached if message.keep else ConnectionClosed
        self.end(kind(message.reason or PEER_CLOSED))

    # --- the end -------------------------------------------------------------------------------------

    def close(self, reason: str = "", *, keep: bool = False) -> None:
        """Say goodbye and close; with `keep`, the peer keeps the session.  Idempotent."""
        if self.reason is None:
            self.post(Goodbye(reason, keep=keep))
        self.end(ConnectionClosed(reason or "this side closed the connection"))

    def forget(self, reason: Exception) -> None:
        """End in a forked child: nobody is told, and no lock is taken that another thread may hold."""
        self._told = Event()
        self._told.set()
        self.reason = reason
        self.pending.clear()

    def end(self, error: Exception, last_words: Goodbye | None = None) -> None:
        """Close because of `error`: every open request is told, once.  Idempotent.

        With last words the peer hears why, and however soon it leaves then, that is no other reason.
        """
        words = None if last_words is None else self.protocol.prepare(last_words)
        with self._ending:
            if self.reason is not None:
                return
            self.reason, self._ender = error, get_ident()
        if words is not None:
            with suppress(LocalProtocolError):  # it has said goodbye itself
                self.outbox.send(words)
        self.protocol.state = State.CLOSED
        self.transport.close()
        told = self.told = self.handler.on_closed(error)
        while self.pending:
            _, pending = self.pending.popitem()
            pending.resolve(CallStatus.LOST, told)
        self._told.set()
        self._give_up_recovery()
        ring(self._bell)
        for wake in list(self._followers.values()):
            ring(wake)
