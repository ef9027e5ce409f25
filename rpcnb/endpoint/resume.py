"""Going on over another transport: the half of a `Connection` that survives the loss of one.

What was sent and not acknowledged is in the protocol's journal, so losing a transport loses
nothing. Who reads finds out (`lose`), and tells the connection's `Recovery`; waiters sit out the
cut, senders go on as if nothing had happened. When the recovery has another transport, `go_on`
asks both ends how far they are and says the rest again.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Protocol

from rpcnb.core.errors import (
    ConnectionClosed,
    ProtocolError,
    TransportError,
    TransportTimeout,
)
from rpcnb.endpoint.pending import ring
from rpcnb.endpoint.turns import ConnectionCut, Turns
from rpcnb.wire.base import State
from rpcnb.wire.frames import FIXED_NBYTES
from rpcnb.wire.journal import read_resume, resume_frame
from rpcnb.wire.resumable import ResumableV1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcnb.core.deadline import Deadline
    from rpcnb.endpoint.handler import Handler
    from rpcnb.endpoint.outbox import Outbox
    from rpcnb.transport.base import Transport
    from rpcnb.wire.base import WireProtocol
    from rpcnb.wire.messages import Buffer

LONGEST_AUTOPSY = 10.0
"""Seconds that `Handler.on_closed` may take."""


class Recovery(Protocol):
    """Who looks after a connection that has lost its transport.  Methods must not block."""

    def begin(self, error: TransportError) -> None:
        """Look for another transport, or wait for one."""

    def over(self) -> None:
        """Take note that there is one."""

    def stop(self) -> None:
        """Take note that the connection has ended: there is nothing to recover.  Idempotent."""


class Resuming(Turns):
    """See the module.

    Parameters
    ----------
    transport, protocol, handler
        Of the connection.
    """

    outbox: Outbox
    recovery: Recovery | None = None
    """None: the connection ends with its transport. Else the protocol is a `ResumableV1`."""

    def __init__(self, transport: Transport, protocol: WireProtocol, handler: Handler) -> None:
        super().__init__(transport, handler)
        self.protocol = protocol
        self.cuts = 0
        """How often it went on over another transport."""
        self._receive_into = transport.receive_into
        self._told = threading.Event()
        self._ender = 0
        """The thread that ended it."""
        self._ending = threading.RLock()  # a signal handler may come upon its own thread in `end`
        self._going_on = threading.Lock()
        self._given_up = ""

    def begin(self, transport: Transport) -> None:
        """Take a transport, for a connection that was made before it had one."""
        self.transport = transport
        self._receive_into = transport.receive_into
        self.outbox.begin(transport)

    def why_closed(self) -> Exception:
        """Return what to raise of a connection that has ended; waits for who is finding out why."""
        if self._ender != get_ident():
            self._told.wait(LONGEST_AUTOPSY)
        assert self.reason is not None  # it has ended
        return self.reason.with_traceback(None)  # else each caller's frames stay in it

    @abstractmethod
    def end(self, error: Exception) -> None:
        """Close because of `error`: every open request is told, once.  Idempotent."""

    def lose(self, error: TransportError) -> None:
        """Take note that the transport is gone.  Call as the reader.

        Raises
        ------
        ConnectionCut
            There may be another one.
        """
        if self._given_up:
            error, self._given_up = ConnectionClosed(self._given_up), ""
        if not self._begin_cut(error):
            self.end(error)
            self._told.wait(LONGEST_AUTOPSY)  # another thread may be finding out why it ended
            return
        raise ConnectionCut

    def _begin_cut(self, error: TransportError) -> bool:
        """Have the recovery begin, once; False when there is nothing to recover."""
        recovery = self.recovery
        with self._ending:
            if recovery is None or self.reason is not None or self.protocol.state is not State.OPEN:
                return False
            if self._cut is not None:
                return True
            self._cut = threading.Event()
            self.transport.abort()
            recovery.begin(error)
            return True

    def _give_up_recovery(self) -> None:
        cut = self._cut
        if self.recovery is not None:
            self.recovery.stop()
        if cut is not None:
            cut.set()

    @property
    def is_cut(self) -> bool:
        """Whether there is no transport now."""
        return self._cut is not None

    def give_up(self, why: str) -> None:
        """Give the transport up, and say why to whoever asks; there may be another."""
        self._given_up = why
        self.transport.abort()  # who reads finds out

    def can_send_at_once(self) -> bool:
        """Tell whether a small message would not have to wait for anybody."""
        return not self.is_cut and self.outbox.is_idle()

    def _look_soon(self) -> None:
        """Have somebody read: sending failed, and what the peer said last may be waiting."""
        ring(self._bell)

    def go_on(self, transport: Transport, epoch: int, deadline: Deadline) -> None:
        """Go on over another transport, which is owned from here on.

        Not on a thread that reads or sends here.

        Parameters
        ----------
        transport : Transport
            To the other half of this session; nothing was said on it.
        epoch : int
            Which connection of the session it is.
        deadline : Deadline
            For the peer's first words.

        Raises
        ------
        TransportError
            This one is gone, too, or comes too late; another may do.
        ProtocolError
            The two halves do not belong together.
        """
        with self._going_on:
            try:
                if epoch <= self._resumable().epoch:  # overtaken, by way of another broker, say
                    raise ConnectionClosed("a later connection is there already")  # noqa: TRY301
                received = self._leave_transport()
                theirs = _exchange(transport, epoch, received, deadline)
                self._enter_transport(transport, epoch, theirs)
            except BaseException:
                transport.close()
                raise

    def _leave_transport(self) -> int:
        """Let nobody read from the old transport any more; return how many frames came."""
        superseded = ConnectionClosed("the peer came back on another connection")
        if not self._begin_cut(superseded):
            raise self.reason or superseded
        with self._reading:  # who reads leaves, as the transport is closed
            return self._resumable().cut()

    def _resumable(self) -> ResumableV1:
        protocol = self.protocol
        assert isinstance(protocol, ResumableV1)  # as there is a recovery
        return protocol

    def _enter_transport(self, transport: Transport, epoch: int, received: int) -> None:
        def resume() -> Sequence[Buffer]:
            try:
                return self._resumable().resume(epoch, received)
            except ProtocolError:
                self.leave_reading()
                raise

        # Once `_be_ready` has let others read, an error in what is sent is none of the lock's.
        self._reading.acquire()
        self.outbox.restart(transport, resume, partial(self._be_ready, transport))

    def _be_ready(self, transport: Transport) -> None:
        """Let whoever waits read again."""
        self.transport = transport
        self._receive_into = transport.receive_into
        self.cuts += 1
        with self._ending:
            cut, self._cut = self._cut, None
            if self.reason is not None:
                transport.close()
            elif self.recovery is not None:
                self.recovery.over()
        self.leave_reading()
        if cut is not None:
            cut.set()


def _exchange(transport: Transport, epoch: int, received: int, deadline: Deadline) -> int:
    """Say how many frames came; return how many the peer has."""
    transport.send_one(resume_frame(epoch, received))
    words = memoryview(bytearray(FIXED_NBYTES))
    heard = 0
    while heard < FIXED_NBYTES:
        if not transport.wait_readable(deadline.remaining()):
            raise TransportTimeout("the other half of the session does not answer")
        nbytes = transport.receive_into(words[heard:])
        if nbytes == 0:
            raise ConnectionClosed("the other half of the session left")
        heard += nbytes
    return read_resume(words, epoch)
