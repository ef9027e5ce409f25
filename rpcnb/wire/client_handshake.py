"""The handshake of the side that connects; see `rpcnb.wire.handshake`, also for the rules."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from rpcnb.core.errors import AuthenticationError, HandshakeError, LimitExceeded
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.wire.handshake import (
    ACCEPTED,
    CAVEATS_NBYTES,
    HELLO,
    LENGTH,
    MAGIC,
    NONCE_NBYTES,
    PROOF_NBYTES,
    READY,
    REFUSAL,
    TEXT_NBYTES,
    VERSION,
    VERSION_FIELD,
    VERSIONS_FIELD,
    Agreement,
    Handshake,
    Intent,
    checked_nonce,
    checked_secret,
    prefixed,
    read_name,
    shown,
    versions_differ,
)

if TYPE_CHECKING:
    from rpcnb.wire.handshake import Steps


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
        self._key = checked_secret(secret)
        self._session_name = session_name
        self._intent = Intent(intent)
        if len(keyid) > 8 or len(session_id) != 16:
            raise ValueError("a key id has at most 8 bytes, a session id has 16")
        fixed = HELLO.pack(intent, keyid, checked_nonce(nonce), session_id, epoch)
        encoded = caveats.encode()
        if len(encoded) > CAVEATS_NBYTES:
            raise ValueError(f"caveats of {len(encoded)} bytes: {CAVEATS_NBYTES} at most")
        self._hello = fixed + prefixed(session_name) + LENGTH.pack(len(encoded)) + encoded
        super().__init__(limits, channel)

    def _run(self) -> Steps:
        self._send(MAGIC + VERSION_FIELD.pack(VERSION) + self._hello)
        self._expect(
            len(MAGIC) + VERSION_FIELD.size + VERSIONS_FIELD.size
        )  # a refusal is the shortest
        opening = yield from self._read_opening()
        (version,) = VERSION_FIELD.unpack(opening)
        if version == REFUSAL:
            oldest, newest = VERSIONS_FIELD.unpack((yield VERSIONS_FIELD.size))
            raise HandshakeError(versions_differ(f"{oldest} to {newest}", str(VERSION)))
        if version != VERSION:
            raise HandshakeError(versions_differ(str(version), str(VERSION)))
        self._expect(NONCE_NBYTES + 1 + PROOF_NBYTES)
        yield NONCE_NBYTES
        server_name = yield from read_name()
        expected = self._proof(self._key, b"S")
        if not hmac.compare_digest((yield PROOF_NBYTES), expected):
            raise AuthenticationError(
                f"the server, which calls itself {server_name!r}, does not know this secret: "
                "wrong token, or not the server you meant"
            )
        self._send(self._proof(self._key, b"C"))
        self._expect(READY.size + PROOF_NBYTES)
        yield from self._read_ready(server_name)

    def _read_ready(self, server_name: str) -> Steps:
        status, session_id, epoch, length = READY.unpack((yield READY.size))
        if length > TEXT_NBYTES:
            raise LimitExceeded("handshake text", length, TEXT_NBYTES)
        text = shown((yield length)) if length else ""
        expected = self._proof(self._key, b"A")
        if not hmac.compare_digest((yield PROOF_NBYTES), expected):
            raise AuthenticationError("the server's answer was altered on its way")
        if status != ACCEPTED:
            raise HandshakeError(f"the server {server_name!r} refused: {text}")
        known = session_id, epoch, self._session_name, server_name, VERSION, self._intent, text
        self._agree(self._key, lambda resume_key: Agreement(*known, resume_key))
