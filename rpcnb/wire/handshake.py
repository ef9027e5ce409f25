"""Before the first frame: both ends prove that they know the secret, and agree on a session.

What a broker exposes to anybody who can reach it is this file, and `server_handshake`; the other side
is `client_handshake`. They know four messages of fixed
binary layout (little-endian), of which none is longer than 1.1 KiB::

    ClientHello   magic 8 | version u16 | intent u8 | key id 8 | nonce 32 | session id 16
                  | epoch u16 | length u8 | session name ≤ 64 | length u16 | caveats ≤ 512
    ServerHello   magic 8 | version u16 | nonce 32 | length u8 | server name ≤ 64 | HMAC("S") 32
    ClientProof   HMAC("C") 32
    ServerReady   status u8 | session id 16 | epoch u16 | length u16 | text ≤ 1024 | HMAC("A") 32

    Refusal       magic 8 | 0 u16 | oldest u16 | newest version u16      instead of a ServerHello

An HMAC is HMAC-SHA256, with the secret as key, of its label and the SHA-256 of what is special about
the channel (the fingerprint of a TLS certificate) and every byte sent and received before it. So a proof fits one
exchange only (both nonces are in it), cannot be reflected (the labels differ), and covers versions,
names and intent. The server proves first, and a client that is not convinced sends nothing more. A Refusal is not proved, as the server cannot
read what another version may have changed; all it can do is end the attempt.

Rules for these files: the secret never leaves them, in no message, error or repr; proofs are compared
with `hmac.compare_digest` only.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from dataclasses import field
from enum import IntEnum
from hashlib import sha256
from os import urandom  # what `secrets.token_bytes` gives, whose module imports much else
from struct import Struct
from typing import TYPE_CHECKING, TypeAlias

from rpcnb.core.errors import (
    HandshakeError,
    LimitExceeded,
    LocalProtocolError,
    RemoteProtocolError,
)
from rpcnb.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rpcnb.core.limits import Limits
    from rpcnb.wire.messages import Buffer

MAGIC = b"\x89RPCNB\r\n"
"""As PNG's: not text, and broken by anything that translates line ends."""
VERSION = 1
"""The only version there is."""

SECRET_NBYTES = 16
"""A secret may not be shorter. The proofs rest on it alone: nobody counts attempts here."""

NONCE_NBYTES = PROOF_NBYTES = 32
NAME_NBYTES = 64
TEXT_NBYTES = 1024
CAVEATS_NBYTES = 512
VERSION_FIELD = Struct("<H")
VERSIONS_FIELD = Struct("<HH")
LENGTH = Struct("<H")
HELLO = Struct("<B8s32s16sH")
READY = Struct("<B16sHH")
REFUSAL = 0  # in place of a version
ACCEPTED, REFUSED = 0, 1

Steps: TypeAlias = "Generator[int, bytes, None]"
Read: TypeAlias = "Generator[int, bytes, bytes]"


class Intent(IntEnum):
    """What a client connects for."""

    NEW = 0
    ATTACH = 1
    """Go on with a session that lost its connection."""
    ASK = 2
    """How did a session end?"""
    CONTROL = 3
    """Status, stop: to the broker itself."""
    KILL = 4
    """End the process of a session whose call does not stop."""


@frozen
class Agreement:
    """What both ends know when the handshake is done."""

    session_id: bytes
    epoch: int
    session_name: str
    server_name: str
    version: int
    intent: Intent
    text: str = ""
    """What the server added in words."""
    resume_key: bytes = field(default=b"", repr=False)
    """A secret of this session only, which both derived and nobody sent."""
    keyid: bytes = b""
    """In a request: which of the server's secrets the client has."""
    caveats: str = ""
    """In a request: by which its key is narrower than that; the server is to heed them."""


class Handshake(ABC):
    """One side of one handshake, without I/O.  Not thread-safe.

    Send what `data_to_send` gives, feed what arrives to `receive_data`, until `done`.
    """

    def __init__(self, limits: Limits, channel: bytes) -> None:
        self.done = False
        self.rest = b""
        """What arrived behind the last message: the beginning of the first frames."""
        self._limits = limits
        self._to_send = bytearray()
        self._received = bytearray()
        self._consumed = self._certain = 0
        self._transcript = sha256(channel)
        self._agreement: Agreement | None = None
        self._steps = self._run()
        self.needed = next(self._steps)
        """Bytes without which nothing happens; 0 when none are expected."""

    @property
    def coming(self) -> int:
        """Bytes of the handshake that are still to come, however it goes on: `needed`, or more."""
        return max(self.needed, self._certain - self._consumed) - len(self._received)

    def _expect(self, nbytes: int) -> None:
        self._certain = self._consumed + nbytes

    @property
    def result(self) -> Agreement:
        """What was agreed.

        Raises
        ------
        LocalProtocolError
            The handshake is not done.
        """
        if self._agreement is None:
            raise LocalProtocolError("the handshake is not done")
        return self._agreement

    def data_to_send(self) -> bytes:
        """Return what must be sent now, once; empty when there is nothing."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def receive_data(self, data: Buffer) -> None:
        """Take what arrived, in any pieces.

        Raises
        ------
        RemoteProtocolError
            The peer does not speak this protocol; as `HandshakeError`, it does, and no agreement
            is possible; as `AuthenticationError`, it does not know the secret. The connection is
            of no more use.
        LocalProtocolError
            The handshake is over, and agreed.
        """
        if self.done:
            raise LocalProtocolError("the handshake is over")
        self._received += data
        needed, self.needed = self.needed, 0  # should a step raise, the handshake is over
        if not self._consumed and not MAGIC.startswith(self._received[: len(MAGIC)]):
            # A stranger is refused at the first wrong byte, though more are needed to go on.
            raise HandshakeError("the peer does not speak rpcnb")
        while needed and len(self._received) >= needed:
            part = bytes(self._received[:needed])
            del self._received[:needed]
            self._consumed += needed
            self._check_amount(0)
            self._transcript.update(part)
            needed = self._next(part)
        self._check_rest(needed)
        self.needed = needed

    def _next(self, part: bytes) -> int:
        try:
            return self._steps.send(part)
        except StopIteration:
            return 0

    def _check_rest(self, needed: int) -> None:
        """Decide about bytes behind what was asked for: frames, or somebody's experiment."""
        if self.done:
            self.rest = bytes(self._received)
            self._received.clear()
        self._check_amount(len(self._received))
        if self._received and not needed:
            raise RemoteProtocolError("bytes where none were expected")

    def _check_amount(self, waiting: int) -> None:
        amount = self._consumed + waiting
        if amount > self._limits.preauth_bytes:
            raise LimitExceeded("handshake", amount, self._limits.preauth_bytes)

    def receive_eof(self) -> None:
        """Take note that the peer closed the connection.

        Raises
        ------
        HandshakeError
            Before the handshake was done.
        """
        self.needed = 0
        if not self.done:
            raise HandshakeError("the connection was closed during the handshake")

    @abstractmethod
    def _run(self) -> Steps:
        """Yield how many bytes are needed next; get them; say and do what follows."""

    def _send(self, data: bytes) -> None:
        self._transcript.update(data)
        self._to_send += data

    def _proof(self, key: bytes, label: bytes) -> bytes:
        return hmac.digest(key, label + self._transcript.digest(), "sha256")

    def _read_opening(self) -> Read:
        """Return the version; `receive_data` has looked at what comes before it."""
        return (yield len(MAGIC) + VERSION_FIELD.size)[len(MAGIC) :]

    def _agree(self, key: bytes, agreement: Callable[[bytes], Agreement]) -> None:
        self._agreement = agreement(self._proof(key, b"R"))
        self.done = True


def checked_secret(secret: bytes) -> bytes:
    """Return a secret that is long enough.

    Raises
    ------
    ValueError
        It is not.
    """
    if len(secret) < SECRET_NBYTES:
        raise ValueError(f"a secret of {len(secret)} bytes is too short: {SECRET_NBYTES} at least")
    return secret


def checked_nonce(nonce: bytes | None) -> bytes:
    """Return fresh random bytes, or those that a test gives."""
    nonce = urandom(NONCE_NBYTES) if nonce is None else nonce
    if len(nonce) != NONCE_NBYTES:
        raise ValueError(f"a nonce has {NONCE_NBYTES} bytes")
    return nonce


def prefixed(name: str) -> bytes:
    """Return a name behind its length."""
    encoded = name.encode()
    if len(encoded) > NAME_NBYTES or not name.isprintable():
        raise ValueError(f"a name is printable and has at most {NAME_NBYTES} bytes: {name!r}")
    return bytes([len(encoded)]) + encoded


def read_name() -> Generator[int, bytes, str]:
    """Return a name that was sent behind its length."""
    (length,) = yield 1
    if length > NAME_NBYTES:
        raise LimitExceeded("handshake name", length, NAME_NBYTES)
    name = shown((yield length)) if length else ""
    return name.replace("\n", "�")


def shown(text: bytes) -> str:
    """Return text from the peer without what a terminal would obey."""
    decoded = text.decode(errors="replace")
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in decoded)


def versions_differ(theirs: str, ours: str) -> str:
    """Return why there is no agreement."""
    return f"the peer speaks version {theirs} of the protocol, this side speaks version {ours}"
