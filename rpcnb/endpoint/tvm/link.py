"""`TVMLink`: one connection to a TVM server, on which answers come in the order of the requests.

TVM's protocol has no request ids and cannot stop a call. So an interrupt does not tear the wait out
of the middle: the answer that is still to come is *owed*, and is read and thrown away before the
next request is sent. No answer ever reaches a request it does not belong to.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import get_ident
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rpcnb.core.errors import (
    ConnectionClosed,
    DeadlineExceeded,
    OutcomeUnknown,
    ProtocolError,
    RemoteInterrupted,
    RemoteProtocolError,
    RpcnbError,
    SessionClosed,
    TransportError,
    WorkerDied,
)
from rpcnb.endpoint.client.housekeeper import HOUSEKEEPER
from rpcnb.endpoint.client.interrupt import MAIN_THREAD, InterruptShield
from rpcnb.endpoint.tvm.turns import Turn, Turns
from rpcnb.wire.tvm.packets import Packet, Raised, Shutdown, encode
from rpcnb.wire.tvm.parser import TVMWire

if TYPE_CHECKING:
    from types import FrameType

    from rpcnb.transport.base import Transport
    from rpcnb.wire.messages import Buffer
    from rpcnb.wire.tvm.values import TVMTensor

LOOK = 0.05
"""Seconds between two looks for an interrupt while the main thread waits."""
MOST_OWED = 256
"""Releases sent without reading their answers, which have to fit into the socket's buffer."""
TIMED_OUT = "RPCSessionTimeoutError: "
_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)

PIECE = 1 << 20
"""Bytes sent between two reports of progress."""

Progress: TypeAlias = Callable[[int], None]
Undo: TypeAlias = Callable[[Packet], None]
"""Gives up what an answer brings that nobody waits for any more; must only queue."""


class Watcher(Protocol):
    """Is told of packets as they go by; must not block or raise."""

    def __call__(self, packet: Packet, *, outgoing: bool) -> None:
        """Take note of one."""


def nothing_to_undo(_: Packet) -> None:
    """Be the `Undo` of a request whose answer holds no handle."""


class TVMLink:
    """Sends requests and reads answers, one thread at a time.  Thread-safe.

    Parameters
    ----------
    transport : Transport
        After the greeting. Closed by `end`.
    name : str
        Of the server; for messages.
    on_end : callable
        Told why it is over, once.
    """

    def __init__(
        self, transport: Transport, name: str, on_end: Callable[[Exception], None]
    ) -> None:
        self.transport = transport
        self._on_end = on_end
        self.name = name
        self.wire = TVMWire(self._sink)
        self.reason: Exception | None = None
        """Why it is over; None while it is not."""
        self.watchers: tuple[Watcher, ...] = ()
        """Told of each packet; replaced as a whole."""
        self.requests = 0
        self.shield = InterruptShield()
        self.shield.on_interrupt = self._on_press
        self.released: deque[Packet] = deque()
        """Requests that give handles up, left by finalizers; sent ahead of the next request."""
        self.turns = Turns()
        self._owed: deque[Undo] = deque()
        self._arrived: deque[Packet] = deque()
        self._target: memoryview | None = None
        self._progress: Progress | None = None
        self._come = 0
        self._options = _socket_of(transport)

    # --- asking -------------------------------------------------------------------------------

    def ask(
        self,
        *packets: Packet,
        what: str,
        undo: Undo = nothing_to_undo,
        target: memoryview | None = None,
        patient: bool = False,
        progress: Progress | None = None,
    ) -> list[Packet]:
        """Send requests together, and return their answers in order.

        Parameters
        ----------
        packets : Packet
            Few enough for their answers to fit into the socket's buffer.
        what : str
            For messages.
        undo : callable
            Given each answer that arrives after waiting was interrupted.
        target : memoryview, optional
            Where the bytes of a `CopyAck` go.
        patient : bool
            Wait for the answer even when interrupted: a copy must be done with the caller's memory.
        progress : callable, optional
            Given the bytes of the payload that have gone or come so far.

        Raises
        ------
        RemoteInterrupted
            SIGINT came. The request still runs over there, or was not sent at all.
        SessionClosed, OutcomeUnknown, WorkerDied, DeadlineExceeded
            The connection is over; only the request that was out gets another class than the first.
        """
        buffers = [buffer for packet in packets for buffer in encode(packet, self.wire.dialect)]
        with self.shield:
            self._enter(what)
            answers: list[Packet] = []
            try:
                self._settle(what)
                self._send_released()
                self._target, self._progress, self._come = target, progress, 0
                self._tell(packets, outgoing=True)
                self._send(buffers, [undo] * len(packets))
                while len(self._owed) > len(packets):  # answers to the releases
                    self._answer(what, patient=patient)
                while self._owed:
                    answers.append(self._answer(what, patient=patient))
                if self.shield.count and get_ident() == MAIN_THREAD:
                    message = f"{what} ended before it could be stopped; its result is dropped"
                    raise self._interrupted(message, confirmed=True)
            except RemoteInterrupted:
                for answer in answers:
                    undo(answer)
                raise
            finally:
                self._target = self._progress = None
                self.turns.leave()
        if self.released:
            HOUSEKEEPER.notice()
        return answers

    @contextmanager
    def turn_for(self, what: str) -> Iterator[None]:
        """Let nobody else ask in between; an interrupt is held back until all is done.

        Raises
        ------
        RemoteInterrupted
            It came while others had their turn.
        """
        with self.shield:
            self._enter(what)
            try:
                yield
            finally:
                self.turns.leave()

    def _enter(self, what: str) -> None:
        if not self.turns.enter_if_idle():
            self._wait_for(self.turns.reserve(), what)
        if self.reason is not None:
            self.turns.leave()
            raise self.closed_error().with_traceback(None)

    def _wait_for(self, turn: Turn, what: str) -> None:
        if get_ident() != MAIN_THREAD:
            self.turns.enter(turn)
            return
        while not self.turns.enter(turn, LOOK):
            if self.shield.count:
                self.turns.give_up(turn)
                message = f"{what} was not sent: another call runs on {self.name}"
                raise self._interrupted(message, confirmed=True)

    def _settle(self, what: str) -> None:
        """Read the answers that are owed, and throw them away."""
        while self._owed:
            packet = self._next(patient=False)
            if packet is None:
                message = (
                    f"{what} was not sent: {self.name} still runs a call that was interrupted "
                    "before; wait for it, or close the session and connect again"
                )
                raise self._interrupted(message, confirmed=True)
            self._owed.popleft()(packet)

    def _send(self, buffers: Sequence[Buffer], undo: Sequence[Undo]) -> None:
        self.requests += len(undo)
        self._owed.extend(undo)
        try:
            if self._progress is None:
                self.transport.send(buffers)
            else:
                self._send_in_pieces(buffers, self._progress)
        except TransportError as error:
            raise self._last_words(error) from error

    def _send_in_pieces(self, buffers: Sequence[Buffer], progress: Progress) -> None:
        *heads, payload = buffers
        self.transport.send(heads)
        for start in range(0, len(payload), PIECE):
            piece = payload[start : start + PIECE]
            self.transport.send([piece])
            progress(start + len(piece))

    def _send_released(self) -> None:
        packets: list[Packet] = []
        while self.released and len(packets) < MOST_OWED:
            packets.append(self.released.popleft())
        if packets:
            self._tell(packets, outgoing=True)
            data = b"".join(
                buffer for packet in packets for buffer in encode(packet, self.wire.dialect)
            )
            self._send([data], [nothing_to_undo] * len(packets))

    def _tell(self, packets: Sequence[Packet], *, outgoing: bool) -> None:
        for watcher in self.watchers:
            for packet in packets:
                watcher(packet, outgoing=outgoing)

    def _answer(self, what: str, *, patient: bool) -> Packet:
        packet = self._next(patient=patient)
        if packet is None:
            message = (
                f"stopped waiting for {what}, which still runs on {self.name}: TVM cannot stop a "
                "call. The next request waits for its end; to give it up, close the session"
            )
            raise self._interrupted(message, confirmed=False)
        self._owed.popleft()
        return packet

    # --- receiving ----------------------------------------------------------------------------

    def _next(self, *, patient: bool) -> Packet | None:
        """Return the next packet; None when interrupted while there is none."""
        on_main = get_ident() == MAIN_THREAD
        try:
            while not self._arrived:
                while on_main and not self.transport.wait_readable(LOOK):
                    if self.shield.count and not patient:
                        return None
                self._receive()
        except (TransportError, ProtocolError) as error:
            raise self.end(error) from error
        return self._checked(self._arrived.popleft())

    def _checked(self, packet: Packet) -> Packet:
        """Return an answer; raise where it is the end of the session instead."""
        if isinstance(packet, Shutdown):
            message = (
                f"the process of this session on {self.name} ended during the call; connect again. "
                "A TVM server that lost a process to a crash may have to be started again"
            )
            raise self.end(WorkerDied(message))
        if isinstance(packet, Raised) and packet.message.startswith(TIMED_OUT):
            raise self.end(DeadlineExceeded(packet.message.removeprefix(TIMED_OUT)))
        return packet

    def _last_words(self, error: TransportError) -> Exception:
        """Return why nothing can be sent: what the server said before it closed goes first."""
        with suppress(TransportError, ProtocolError):  # it is over, which is known
            while self.transport.wait_readable(0):
                self._receive()
        try:
            for packet in self._arrived:
                self._checked(packet)
        except RpcnbError as said:
            return said
        return self.end(error)

    def _receive(self) -> None:
        if self._options is not None and len(self._owed) > 1:
            # The server leaves Nagle's algorithm on: its second small answer waits until we have
            # acknowledged the first, which the system here would put off for 40 ms.
            with suppress(OSError):
                self._options.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK or 0, 1)
        nbytes = self.transport.receive_into(self.wire.receive_buffer())
        if not nbytes:
            message = f"{self.name} closed the connection"
            raise ConnectionClosed(message)
        packets = self.wire.received(nbytes)
        self._tell(packets, outgoing=False)
        self._arrived.extend(packets)
        if self._progress is not None and self._target is not None:
            self._come += nbytes
            self._progress(min(self._come, len(self._target)))

    def _sink(self, _tensor: TVMTensor | None, nbytes: int) -> memoryview:
        target = self._target
        if target is None or nbytes != len(target):
            message = f"{self.name} sent {nbytes:,} bytes that nobody asked for"
            raise RemoteProtocolError(message)
        return target

    # --- interrupts and releases ----------------------------------------------------------------

    def _on_press(self, presses: int, frame: FrameType | None) -> None:
        """Handle SIGINT: waits look at the count by themselves; the last resort gives up."""
        del presses, frame
        if self.shield.is_last_resort:
            self.transport.abort()

    def _interrupted(self, message: str, *, confirmed: bool) -> BaseException:
        held = self.shield.take()
        if held is not None and not isinstance(held, KeyboardInterrupt):
            return held  # what the program's own handler raised
        return RemoteInterrupted(message, confirmed=confirmed)

    def flush_released(self) -> None:
        """Send what finalizers left, and read what has been answered, without waiting."""
        if self.reason is not None or not self.turns.enter_if_idle():
            return  # whoever asks now notices the housekeeper when it is done
        try:
            while self._owed and self.transport.wait_readable(0):
                self._receive()
                while self._arrived and self._owed:
                    self._owed.popleft()(self._checked(self._arrived.popleft()))
            if not self._owed:
                self._send_released()
        except RpcnbError as error:  # the next request says so
            self.end(error)
        finally:
            self.turns.leave()

    # --- the end --------------------------------------------------------------------------------

    def end(self, error: Exception) -> Exception:
        """Close because of `error`; return what the request that is out is told.  Idempotent."""
        if self.reason is None:
            self.reason = error
            self.released.clear()
            self.transport.close()
            if self._options is not None:
                self._options.close()
            self._on_end(error)
        if isinstance(error, ConnectionClosed) and not isinstance(self.reason, SessionClosed):
            return OutcomeUnknown(f"the connection to {self.name} was lost ({error})")
        return self.reason if isinstance(self.reason, SessionClosed) else error

    def closed_error(self) -> SessionClosed:
        """Return what a request after the end is told."""
        if isinstance(self.reason, SessionClosed):
            return self.reason
        return SessionClosed(f"the session with {self.name} is over: {self.reason}")

    def close(self) -> None:
        """Say goodbye and close.  Idempotent; does not wait for a call that another thread made."""
        if self.reason is None:
            if self.turns.enter_if_idle():
                with suppress(TransportError):
                    self.transport.send(encode(Shutdown()))
                self.turns.leave()
            self.end(SessionClosed(f"the session with {self.name} was closed"))

    def forget(self) -> None:
        """Be closed in a forked child, where the connection is the parent's."""
        self.reason = SessionClosed(
            f"the session with {self.name} belongs to the process that was forked; connect anew here"
        )
        self.released.clear()
        with suppress(NotImplementedError, TransportError):
            os.close(self.transport.detach())
        if self._options is not None:
            self._options.close()


def _socket_of(transport: Transport) -> socket.socket | None:
    """Return a second name for a TCP transport's socket, to set options with."""
    if _QUICK_ACK is None or not transport.peer_address.startswith("tcp"):
        return None
    return socket.socket(fileno=os.dup(transport.fileno()))
