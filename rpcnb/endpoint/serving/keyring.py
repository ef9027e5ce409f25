"""A server's secrets; the keys of share links follow from them and are kept nowhere."""

from __future__ import annotations

import threading
from os import urandom  # what `secrets` takes, which imports `random`: 35 pages of each fork's

from rpcnb.core.roles import grant_of
from rpcnb.endpoint.credentials import SECRET_NBYTES, keyid_of
from rpcnb.endpoint.share_links import derived

NO_KEYID = bytes(8)
"""Sent by a client that was given a secret without its name."""


class Keyring:
    """The secrets of one server.  Thread-safe.

    Parameters
    ----------
    secret : bytes
        Opens sessions.
    admin : bytes, optional
        Administers the server, and opens no session; by default a fresh one.
    """

    def __init__(self, secret: bytes, admin: bytes | None = None) -> None:
        self.admin = urandom(SECRET_NBYTES) if admin is None else admin
        self._lock = threading.Lock()
        self._secret = secret

    def __repr__(self) -> str:
        return f"<Keyring {keyid_of(self._secret)}>"

    @property
    def secret(self) -> bytes:
        """What opens sessions now."""
        return self._secret

    def find(self, keyid: bytes, caveats: str = "") -> bytes | None:
        """Return the key that a client should have; None when there is none of that name.

        Both take the same time: all keys are looked for, and what is derived is derived for nobody, too.
        """
        secret = self._secret
        is_usual = keyid in {NO_KEYID, keyid_of(secret).encode()}
        is_admin = self.is_admin(keyid) and not caveats
        key = derived(secret, caveats)
        if is_usual:
            return key
        return self.admin if is_admin else None

    def is_admin(self, keyid: bytes) -> bool:
        """Tell whether a key administers the server."""
        return keyid == keyid_of(self.admin).encode()

    def rotate(self) -> bytes:
        """Replace the secret that opens sessions; all links made from it are worth nothing then."""
        with self._lock:
            self._secret = urandom(SECRET_NBYTES)
            return self._secret


def may_still_connect(caveats: str, now: float) -> str:
    """Return why a link opens nothing (any more); empty when it does.

    `now` is in seconds since the epoch.
    """
    try:
        expires = grant_of(caveats).expires
    except ValueError as error:
        return f"this link cannot be understood: {error}"
    return "this link has expired; ask for a new one" if now >= expires else ""
