"""Share links: tokens that are narrower than the one they are made of; see `rpcnb.core.roles`."""

from __future__ import annotations

import hmac
import time

from rpcnb.core.roles import join_caveats, split_caveats
from rpcnb.endpoint.credentials import base32_of, fingerprint_in, secret_of


def narrowed(token: str, caveats: str, fingerprint: str = "") -> str:
    """Return the token of a share link: `token` with less to it.

    Parameters
    ----------
    caveats : str
        What is taken away; see `rpcnb.core.roles`.

    Raises
    ------
    ValueError
        The caveats are not understood, or too long.
    """
    key = secret_of(token)
    together = join_caveats(key.caveats, caveats)
    text = base32_of(derived(key, caveats))
    return f"{key.keyid.decode()}.{text}.{fingerprint or fingerprint_in(token)}.{together}"


def share_caveats(role: str, functions: str, seconds: float) -> str:
    """Return the caveats of a share link that is good for so many seconds.

    Raises
    ------
    ValueError
        No such role, or no such patterns.
    """
    names = f"functions={functions}" if functions else ""
    return join_caveats(f"role={role}", names, f"expires={int(time.time() + seconds)}")


def derived(secret: bytes, caveats: str) -> bytes:
    """Return the key of a link, made from the key that it narrows.

    One HMAC for each caveat: the construction of macaroons (Birgisson et al., "Macaroons: Cookies with
    Contextual Caveats for Decentralized Authorization in the Cloud", 2014). The client sends the
    caveats, the server goes the same way from its secret, and both prove that they came to the same
    key. So links are made without asking the server, and verified without a list; taking a caveat
    away would take undoing an HMAC.
    """
    for caveat in split_caveats(caveats):
        secret = hmac.digest(secret, b"rpcnb caveat:" + caveat.encode(), "sha256")
    return bytes(secret)
