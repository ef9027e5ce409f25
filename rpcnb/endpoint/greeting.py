"""The handshake over a transport, with a deadline: the only bytes read before a proof."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Protocol

from rpcnb.core.errors import ConnectionClosed, TransportTimeout

if TYPE_CHECKING:
    from rpcnb.core.deadline import Deadline
    from rpcnb.transport.base import Transport

PIECE = 4096
"""Bytes received at once by a server: a handshake has fewer."""

RESUME, KILL = b"resume", b"kill"
"""What a client may claim a session for."""


def claim(resume_key: bytes, session_id: bytes, purpose: bytes = RESUME) -> str:
    """Return what shows that a client is the one that a session belongs to.

    Both sides have the key from the handshake with which the session was opened or taken up; it
    is never sent. What is sent is of use to nobody who does not know the server's secret, too.
    """
    return hmac.digest(resume_key, purpose + session_id, "sha256").hex()


class Handshake(Protocol):
    """What both sides' handshake objects have in common."""

    @property
    def coming(self) -> int:
        """Bytes that are still to come at least."""

    def receive_data(self, data: bytes) -> None:
        """Feed bytes."""

    def data_to_send(self) -> bytes:
        """Return bytes to send, perhaps none."""


def exchange(
    transport: Transport,
    handshake: Handshake,
    finished: str,
    deadline: Deadline,
    *,
    exactly: bool = False,
) -> None:
    """Send and receive until the handshake's attribute `finished` is true.

    With `exactly`, no byte behind the handshake is received: a client must leave there what the
    session says first. A server takes all there is, since closing with bytes unread would destroy
    its last words on their way to the client; and nobody may say anything behind a proof.

    Raises
    ------
    HandshakeError, RemoteProtocolError
        The peer is not who or what it should be; what is to be told to it has been sent.
    TransportTimeout
        It took too long.
    ConnectionClosed
        The peer left.
    """
    buffer = memoryview(bytearray(PIECE))
    send_due(transport, handshake)
    while not getattr(handshake, finished):
        if not transport.wait_readable(deadline.remaining()):
            message = f"{transport.peer_address} did not finish the handshake in time"
            raise TransportTimeout(message)
        nbytes = transport.receive_into(buffer[: handshake.coming] if exactly else buffer)
        if nbytes == 0:
            message = f"{transport.peer_address} left during the handshake"
            raise ConnectionClosed(message)
        try:
            handshake.receive_data(bytes(buffer[:nbytes]))
        finally:
            send_due(transport, handshake)


def send_due(transport: Transport, handshake: Handshake) -> None:
    """Send what the handshake has to say."""
    data = handshake.data_to_send()
    if data:
        transport.send_one(data)
