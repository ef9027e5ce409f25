"""Before the first frame: both ends prove that they know the secret, and agree on a session.

What a broker exposes to anybody who can reach it is this file. It knows four messages of fixed
binary layout (little-endian), of which none is longer than 1.1 KiB::

    ClientHello   magic 8 | version u16 | intent u8 | key id 8 | nonce 32 | session id 16
                  | epoch u16 | length u8 | session name ≤ 64 | length u16 | caveats ≤ 512
    ServerHello   magic 8 | version u16 | nonce 32 | length u8 | server name ≤ 64 | HMAC("S") 32
    ClientProof   HMAC("C") 32
    ServerReady   status u8 | session id 16 | epoch u16 | length u16 | text ≤ 1024 | HMAC("A") 32

    Refusal       magic 8 | 0 u16 | oldest u16 | newest version u16      instead of a ServerHello

An HMAC is HMAC-SHA256, with the secret as key, of its label and the SHA-256 of what is special about
the channel (the fingerprint of a TLS certificate) and every byte sent and received before it. So a proof fits one exchange only (both nonces are in it), cannot be
reflected (the labels differ), and covers versions, names and intent. The server proves first, and
a client that is not convinced sends nothing more. A Refusal is not proved, as the server cannot
read what another version may have changed; all it can do is end the attempt.

Rules for this file: the secret never leaves it, in no message, error or repr; proofs are compared
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
    AuthenticationError,
    HandshakeError,
    LimitExceeded,
    LocalProtocolError,
    RemoteProtocolError,
)
from rpcnb.core.frozen import frozen
from rpcnb.core.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rpcnb.wire.messages import Buffer

MAGIC = b"\x89RPCNB\r\n"
"""As PNG's: not text, and broken by anything that translates line ends."""
VERSION = 1
"""The only version there is."""

SECRET_NBYTES = 16
"""A secret may not be shorter. The proofs rest on it alone: nobody counts attempts here."""

_NONCE_NBYTES = _PROOF_NBYTES = 32
_NAME_NBYTES = 64
_TEXT_NBYTES = 1024
_CAVEATS_NBYTES = 512
_VERSION = Struct("<H")
_VERSIONS = Struct("<HH")
_LENGTH = Struct("<H")
_HELLO = Struct("<B8s32s16sH")
_READY = Struct("<B16sHH")
_REFUSAL = 0  # in place of a version
_ACCEPTED, _REFUSED = 0, 1

_Steps: TypeAlias = "Generator[int, bytes, None]"
_Read: TypeAlias = "Generator[int, bytes, bytes]"


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
    def _run(self) -> _Steps:
        """Yield how many bytes are needed next; get them; say and do what follows."""

    def _send(self, data: bytes) -> None:
        self._transcript.update(data)
        self._to_send += data

    def _proof(self, key: bytes, label: bytes) -> bytes:
        return hmac.digest(key, label + self._transcript.digest(), "sha256")

    def _read_opening(self) -> _Read:
        """Return the version; `receive_data` has looked at what comes before it."""
        return (yield len(MAGIC) + _VERSION.size)[len(MAGIC) :]

    def _agree(self, key: bytes, agreement: Callable[[bytes], Agreement]) -> None:
        self._agreement = agreement(self._proof(key, b"R"))
        self.done = True


class ClientHandshake(Handshake):
    """The side that connects.

    Parameters
    ----------
    secret : bytes
        What both sides know; at least `SECRET_NBYTES`.
    session_name : str
        Name of the session, at most 64 bytes of UTF-8; for `Intent.CONTROL` a command.
    session_id, epoch : bytes, int
        The session to go on with, and its last epoch; zeros for a new one.
    intent : Intent
        What for.
    keyid : bytes
        Which of the server's secrets, at most 8 bytes.
    caveats : str
        By which `secret` was made from that one; at most 512 bytes.
    limits : Limits
        `preauth_bytes` applies.
    channel : bytes
        What only this channel has: `Transport.channel`.
    nonce : bytes, optional
        32 fresh random bytes unless a test gives them.
    """

    def __init__(
        self,
        secret: bytes,
        *,
        session_name: str = "",
        session_id: bytes = bytes(16),
        epoch: int = 0,
        intent: Intent = Intent.NEW,
        keyid: bytes = b"",
        caveats: str = "",
        limits: Limits = DEFAULT_LIMITS,
        channel: bytes = b"",
        nonce: bytes | None = None,
    ) -> None:
        self._key = _checked_secret(secret)
        self._session_name = session_name
        self._intent = Intent(intent)
        if len(keyid) > 8 or len(session_id) != 16:
            raise ValueError("a key id has at most 8 bytes, a session id has 16")
        fixed = _HELLO.pack(intent, keyid, _checked_nonce(nonce), session_id, epoch)
        encoded = caveats.encode()
        if len(encoded) > _CAVEATS_NBYTES:
            raise ValueError(f"caveats of {len(encoded)} bytes: {_CAVEATS_NBYTES} at most")
        self._hello = fixed + _prefixed(session_name) + _LENGTH.pack(len(encoded)) + encoded
        super().__init__(limits, channel)

    def _run(self) -> _Steps:
        self._send(MAGIC + _VERSION.pack(VERSION) + self._hello)
        self._expect(len(MAGIC) + _VERSION.size + _VERSIONS.size)  # a refusal is the shortest
        opening = yield from self._read_opening()
        (version,) = _VERSION.unpack(opening)
        if version == _REFUSAL:
            oldest, newest = _VERSIONS.unpack((yield _VERSIONS.size))
            raise HandshakeError(_versions_differ(f"{oldest} to {newest}", str(VERSION)))
        if version != VERSION:
            raise HandshakeError(_versions_differ(str(version), str(VERSION)))
        self._expect(_NONCE_NBYTES + 1 + _PROOF_NBYTES)
        yield _NONCE_NBYTES
        server_name = yield from _read_name()
        expected = self._proof(self._key, b"S")
        if not hmac.compare_digest((yield _PROOF_NBYTES), expected):
            raise AuthenticationError(
                f"the server, which calls itself {server_name!r}, does not know this secret: "
                "wrong token, or not the server you meant"
            )
        self._send(self._proof(self._key, b"C"))
        self._expect(_READY.size + _PROOF_NBYTES)
        yield from self._read_ready(server_name)

    def _read_ready(self, server_name: str) -> _Steps:
        status, session_id, epoch, length = _READY.unpack((yield _READY.size))
        if length > _TEXT_NBYTES:
            raise LimitExceeded("handshake text", length, _TEXT_NBYTES)
        text = _shown((yield length)) if length else ""
        expected = self._proof(self._key, b"A")
        if not hmac.compare_digest((yield _PROOF_NBYTES), expected):
            raise AuthenticationError("the server's answer was altered on its way")
        if status != _ACCEPTED:
            raise HandshakeError(f"the server {server_name!r} refused: {text}")
        known = session_id, epoch, self._session_name, server_name, VERSION, self._intent, text
        self._agree(self._key, lambda resume_key: Agreement(*known, resume_key))


class ServerHandshake(Handshake):
    """The side that is connected to.

    When `proved`, look at `request` and end with `accept` or `refuse`.

    Parameters
    ----------
    secrets : bytes or callable
        The secret, or what gives the secret for a key id of 8 bytes and caveats, None when there is
        none.
    server_name : str
        Shown to people, at most 64 bytes of UTF-8.
    limits : Limits
        `preauth_bytes` applies.
    channel : bytes
        What only this channel has: `Transport.channel`.
    nonce : bytes, optional
        32 fresh random bytes unless a test gives them.
    """

    def __init__(
        self,
        secrets: bytes | Callable[[bytes, str], bytes | None],
        server_name: str = "",
        *,
        limits: Limits = DEFAULT_LIMITS,
        channel: bytes = b"",
        nonce: bytes | None = None,
    ) -> None:
        self.proved = False
        self._secrets = secrets
        self._server_name = server_name
        self._hello = _checked_nonce(nonce) + _prefixed(server_name)
        self._key = b""
        self._nobodys = urandom(SECRET_NBYTES)
        self._request: Agreement | None = None
        super().__init__(limits, channel)

    @property
    def request(self) -> Agreement:
        """What the client asks for, once it has proved the secret.

        Raises
        ------
        LocalProtocolError
            It has not, yet.
        """
        if self._request is None or not self.proved:
            raise LocalProtocolError("the client has not proved that it knows the secret")
        return self._request

    def _run(self) -> _Steps:
        opening = yield from self._read_opening()
        (version,) = _VERSION.unpack(opening)
        if version != VERSION:
            self._send(MAGIC + _VERSION.pack(_REFUSAL) + _VERSIONS.pack(VERSION, VERSION))
            raise HandshakeError(_versions_differ(str(version), str(VERSION)))
        intent, keyid, _, session_id, epoch = _HELLO.unpack((yield _HELLO.size))
        session_name = yield from _read_name()
        caveats = yield from _read_caveats()
        if intent not in set(Intent):
            raise HandshakeError(f"the client came with the unknown intent {intent}")
        self._key = self._find_key(keyid, caveats)
        self._send(MAGIC + _VERSION.pack(VERSION) + self._hello)
        self._send(self._proof(self._key, b"S"))
        expected = self._proof(self._key, b"C")
        if not hmac.compare_digest((yield _PROOF_NBYTES), expected):
            raise AuthenticationError("the client does not know the secret")
        self._request = Agreement(
            session_id,
            epoch,
            session_name,
            self._server_name,
            version,
            Intent(intent),
            keyid=keyid,
            caveats=caveats,
        )
        self.proved = True

    def _find_key(self, keyid: bytes, caveats: str) -> bytes:
        known = self._secrets
        secret = known if isinstance(known, bytes) else known(keyid, caveats)
        # Somebody who guesses key ids must not learn from the answer, or its time, which exist.
        return _checked_secret(self._nobodys if secret is None else secret)

    def accept(self, session_id: bytes, epoch: int, text: str = "") -> None:
        """Say that the session is there.

        Raises
        ------
        LocalProtocolError
            The client has not proved the secret, or was answered before.
        """
        request = self.request
        self._answer(_ACCEPTED, session_id, epoch, text)
        self._agree(
            self._key,
            lambda resume_key: Agreement(
                session_id,
                epoch,
                request.session_name,
                self._server_name,
                VERSION,
                request.intent,
                text,
                resume_key,
            ),
        )

    def refuse(self, text: str) -> None:
        """Say why there will be no session.

        Raises
        ------
        LocalProtocolError
            The client has not proved the secret, or was answered before.
        """
        _ = self.request
        self._answer(_REFUSED, bytes(16), 0, text)

    def _answer(self, status: int, session_id: bytes, epoch: int, text: str) -> None:
        if len(session_id) != 16:
            raise ValueError("a session id has 16 bytes")
        encoded = text.encode(errors="replace")[:_TEXT_NBYTES]
        self._send(_READY.pack(status, session_id, epoch, len(encoded)) + encoded)
        self._send(self._proof(self._key, b"A"))
        self._request = None


def _checked_secret(secret: bytes) -> bytes:
    if len(secret) < SECRET_NBYTES:
        raise ValueError(f"a secret of {len(secret)} bytes is too short: {SECRET_NBYTES} at least")
    return secret


def _checked_nonce(nonce: bytes | None) -> bytes:
    nonce = urandom(_NONCE_NBYTES) if nonce is None else nonce
    if len(nonce) != _NONCE_NBYTES:
        raise ValueError(f"a nonce has {_NONCE_NBYTES} bytes")
    return nonce


def _prefixed(name: str) -> bytes:
    """Return a name behind its length."""
    encoded = name.encode()
    if len(encoded) > _NAME_NBYTES or not name.isprintable():
        raise ValueError(f"a name is printable and has at most {_NAME_NBYTES} bytes: {name!r}")
    return bytes([len(encoded)]) + encoded


def _read_name() -> Generator[int, bytes, str]:
    (length,) = yield 1
    if length > _NAME_NBYTES:
        raise LimitExceeded("handshake name", length, _NAME_NBYTES)
    name = _shown((yield length)) if length else ""
    return name.replace("\n", "�")


def _read_caveats() -> Generator[int, bytes, str]:
    (length,) = _LENGTH.unpack((yield _LENGTH.size))
    if length > _CAVEATS_NBYTES:
        raise LimitExceeded("handshake caveats", length, _CAVEATS_NBYTES)
    text = (yield length) if length else b""
    if not text.isascii():
        raise HandshakeError("caveats that are no text")
    return text.decode()


def _shown(text: bytes) -> str:
    """Return text from the peer without what a terminal would obey."""
    decoded = text.decode(errors="replace")
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in decoded)


def _versions_differ(theirs: str, ours: str) -> str:
    return f"the peer speaks version {theirs} of the protocol, this side speaks version {ours}"
