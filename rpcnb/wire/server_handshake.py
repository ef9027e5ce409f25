"""The handshake of the side that is connected to; see `rpcnb.wire.handshake`, also for the rules."""

from __future__ import annotations

import hmac
from os import urandom  # what `secrets.token_bytes` gives, whose module imports much else
from typing import TYPE_CHECKING

from rpcnb.core.errors import AuthenticationError, HandshakeError, LimitExceeded, LocalProtocolError
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.wire.handshake import (
    ACCEPTED,
    CAVEATS_NBYTES,
    HELLO,
    LENGTH,
    MAGIC,
    PROOF_NBYTES,
    READY,
    REFUSAL,
    REFUSED,
    SECRET_NBYTES,
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
    versions_differ,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rpcnb.wire.handshake import Steps


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
        self._hello = checked_nonce(nonce) + prefixed(server_name)
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

    def _run(self) -> Steps:
        opening = yield from self._read_opening()
        (version,) = VERSION_FIELD.unpack(opening)
        if version != VERSION:
            self._send(MAGIC + VERSION_FIELD.pack(REFUSAL) + VERSIONS_FIELD.pack(VERSION, VERSION))
            raise HandshakeError(versions_differ(str(version), str(VERSION)))
        intent, keyid, _, session_id, epoch = HELLO.unpack((yield HELLO.size))
        session_name = yield from read_name()
        caveats = yield from _read_caveats()
        if intent not in set(Intent):
            raise HandshakeError(f"the client came with the unknown intent {intent}")
        self._key = self._find_key(keyid, caveats)
        self._send(MAGIC + VERSION_FIELD.pack(VERSION) + self._hello)
        self._send(self._proof(self._key, b"S"))
        expected = self._proof(self._key, b"C")
        if not hmac.compare_digest((yield PROOF_NBYTES), expected):
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
        return checked_secret(self._nobodys if secret is None else secret)

    def accept(self, session_id: bytes, epoch: int, text: str = "") -> None:
        """Say that the session is there.

        Raises
        ------
        LocalProtocolError
            The client has not proved the secret, or was answered before.
        """
        request = self.request
        self._answer(ACCEPTED, session_id, epoch, text)
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
        self._answer(REFUSED, bytes(16), 0, text)

    def _answer(self, status: int, session_id: bytes, epoch: int, text: str) -> None:
        if len(session_id) != 16:
            raise ValueError("a session id has 16 bytes")
        encoded = text.encode(errors="replace")[:TEXT_NBYTES]
        self._send(READY.pack(status, session_id, epoch, len(encoded)) + encoded)
        self._send(self._proof(self._key, b"A"))
        self._request = None


def _read_caveats() -> Generator[int, bytes, str]:
    (length,) = LENGTH.unpack((yield LENGTH.size))
    if length > CAVEATS_NBYTES:
        raise LimitExceeded("handshake caveats", length, CAVEATS_NBYTES)
    text = (yield length) if length else b""
    if not text.isascii():
        raise HandshakeError("caveats that are no text")
    return text.decode()
