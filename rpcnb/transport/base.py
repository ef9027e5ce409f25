"""The three interfaces of a transport; their docstrings are the contract.

`rpcnb.testing.TransportSuite` checks an implementation against it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self, TypeAlias

from rpcnb.core.deadline import NEVER, Deadline
from rpcnb.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcnb.transport.address import Address

Bytes: TypeAlias = bytes | bytearray | memoryview
"""What can be sent. A memoryview has one dimension and items of one byte, so that `len` counts
bytes."""


@frozen
class Credentials:
    """Who is at the other end, as the kernel saw it when the connection was made."""

    pid: int
    uid: int
    gid: int


class Transport(ABC):
    """A reliable, ordered stream of bytes in both directions.

    One thread may send while another receives; neither two senders nor two receivers at once.
    `close`, `abort` and the properties may be used from any thread at any time.

    **Signal handlers that raise** (`KeyboardInterrupt` in the main thread) leave a stream on a socket
    whole (in memory, see `MemoryTransport`):

    - no received byte is lost: the exception comes either instead of a receive or after it
      returned, never between the system's read and the count being returned;
    - a send is never left half done: raised before the first byte left, the exception cancels the
      send; later, everything is sent first. `bytes_sent` tells which of the two it was. Only a
      second exception, while the peer does not read, can leave the send in the middle; `bytes_sent`
      tells this too, and the caller must then abort.
    """

    bytes_sent: int = 0
    """Bytes handed to the other side so far; exact at all times, whatever was raised."""

    def shake_hands(self, deadline: Deadline = NEVER) -> None:  # noqa: B027 -- most have nothing to do
        """Agree with the peer on how to talk, where that takes more than being connected.

        The connecting end has done so in `Backend.connect`. The accepting end does so here, or when
        it first receives, so that accepting waits for no peer.

        Raises
        ------
        ConnectionClosed, ConnectError
            No agreement is possible.
        TransportTimeout
            Not by the deadline.
        """

    @abstractmethod
    def send(self, buffers: Sequence[Bytes]) -> int:
        """Send all bytes of all `buffers`, in order.

        Blocks until the last byte was taken over; the buffers may be reused then.

        Parameters
        ----------
        buffers : sequence of bytes-like
            Any number, also empty ones; gathered in one system call where that is fastest.

        Returns
        -------
        int [bytes]
            The sum of their lengths.

        Raises
        ------
        ConnectionClosed
            Either side closed, or the network failed; how much the peer got is unknown.
        """

    @abstractmethod
    def send_one(self, data: bytes) -> None:
        """Send one small bytes object: `send` without its overhead.

        Raises
        ------
        ConnectionClosed
            As `send`.
        """

    @abstractmethod
    def receive_into(self, buffer: memoryview) -> int:
        """Fill the start of `buffer` with what has arrived; block while nothing has.

        Parameters
        ----------
        buffer : memoryview, writable, one dimension, items of one byte, not empty
            Undefined beyond the returned count.

        Returns
        -------
        int [bytes]
            At least 1, or 0 when the peer has closed and everything before was received.

        Raises
        ------
        ConnectionClosed
            This side closed, the peer aborted, or the network failed.
        """

    @abstractmethod
    def wait_readable(self, timeout: float | None) -> bool:
        """Wait until `receive_into` would not block.

        Parameters
        ----------
        timeout : float [s] or None
            None waits without end, 0 only looks.

        Returns
        -------
        bool
            Whether bytes, an end of stream or an error are waiting.

        Raises
        ------
        ConnectionClosed
            This side closed before the call.
        """

    @abstractmethod
    def fileno(self) -> int:
        """Return the file descriptor, or -1 where there is none."""

    @abstractmethod
    def close(self) -> None:
        """Close; the peer receives what was sent, then the end of the stream.

        Threads blocked in the other methods wake up with `ConnectionClosed`. Idempotent.
        """

    @abstractmethod
    def abort(self) -> None:
        """Close at once and throw away what is on its way.

        Where the system can say so, the peer gets `ConnectionClosed` instead of an end of stream,
        and cannot mistake it for an orderly one. Idempotent.
        """

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether this side has closed, aborted or detached."""

    @property
    @abstractmethod
    def local_address(self) -> str:
        """This end, as a URL; still known after closing."""

    @property
    @abstractmethod
    def peer_address(self) -> str:
        """The other end, as a URL; still known after closing."""

    def describe(self) -> str:
        """Return one line for people."""
        state = " (closed)" if self.closed else ""
        return f"{self.local_address} ↔ {self.peer_address}{state}"

    def peer_credentials(self) -> Credentials | None:
        """Return who is at the other end, or None where the system does not vouch for it."""
        return None

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read or alter what passes."""
        return True

    @property
    def channel(self) -> bytes:
        """What only this channel has, for a proof that is to hold here and nowhere else.

        Empty where the system itself says who is connected to whom.
        """
        return b""

    def detach(self) -> int:
        """Give the file descriptor away without ending the stream; this object is closed then.

        Raises
        ------
        NotImplementedError
            This transport has none.
        ConnectionClosed
            It was closed already.
        """
        message = f"a {type(self).__name__} has no file descriptor to hand over"
        raise NotImplementedError(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.describe()}>"


class Listener(ABC):
    """Accepts transports at one address. All methods may be used from any thread."""

    @abstractmethod
    def accept(self, timeout: float | None = None) -> Transport:
        """Wait for the next connection.

        Raises
        ------
        TransportTimeout
            None came within `timeout` [s].
        ConnectionClosed
            The listener was closed, before or during the call.
        TransportError
            This one could not be accepted (out of descriptors, or the peer went away); the
            listener still works, and the caller decides when to try again.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop listening, wake threads in `accept`; accepted transports live on. Idempotent."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it really listens: what to give to `connect`, with the chosen port."""

    @abstractmethod
    def fileno(self) -> int:
        """Return the file descriptor, or -1 where there is none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


class Backend(ABC):
    """Makes both ends for one URL scheme; stateless, one instance a process."""

    @abstractmethod
    def connect(self, address: Address, timeout: float | None) -> Transport:
        """Connect to a listener.

        Raises
        ------
        ConnectError
            Nobody listens there, or the way there is closed.
        TransportTimeout
            No answer within `timeout` [s].
        AddressError
            The address makes no sense for this scheme.
        """

    @abstractmethod
    def listen(self, address: Address) -> Listener:
        """Start listening.

        Raises
        ------
        ConnectError
            The address is taken or cannot be used.
        PermissionDenied
            Listening there would be unsafe.
        AddressError
            The address makes no sense for this scheme.
        """
