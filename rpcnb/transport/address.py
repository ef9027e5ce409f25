"""Transport addresses: ``tcp://127.0.0.1:4000``, ``unix:///run/user/1000/a.sock``, ``memory://a``.

With encryption ``tls://lab:4000?fingerprint=…``, whose fingerprint is that of the certificate.

The forms people type (``host:port``, ``local:``) are turned into these further up.
"""

from __future__ import annotations

import re

from rpcnb.core.errors import AddressError
from rpcnb.core.frozen import frozen

EXAMPLES = {
    "tcp": "tcp://127.0.0.1:4000",
    "unix": "unix:///tmp/folder/rpcnb.sock",
    "memory": "memory://name",
    "ssh": "ssh://user@lab.example.org",
    "tls": "tls://lab.example.org:4000?fingerprint=<52 letters and digits>",
}
"""One correct address per scheme, for error messages."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_SSH_HOST = re.compile(r"(\w[\w.+-]*@)?[\w:][\w.:%-]*", re.ASCII)
"""Nothing that ssh could take for an option, or a shell in its settings for more than a name."""
_PORT = re.compile(r"[0-9]{1,5}")
_NOT_IN_HOST = re.compile(r"[\s@\[\]:\x00-\x1f]")
_MAX_PORT = 65535


@frozen
class Address:
    """A parsed address; parts that the text does not have are empty."""

    scheme: str
    host: str = ""
    """Host name, numeric address without brackets, or the name of a memory listener; for ``ssh``
    perhaps with ``user@`` before it."""
    port: int | None = None
    path: str = ""
    """With its leading slash."""
    query: str = ""
    """Raw, without the question mark."""

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{bracketed(self.host)}{port}{self.path}{query}"


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def parse_address(text: str) -> Address:
    """Read an address.

    Parameters
    ----------
    text : str
        ``scheme://host:port/path?query``; IPv6 addresses in brackets. A Unix path is taken as it
        is: it has no query and no escapes.

    Raises
    ------
    AddressError
        It cannot be read; the message shows a correct one.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        raise _unreadable(text, "it does not start with a scheme and ://", "tcp")
    if scheme == "unix":
        if not rest.startswith("/") or "\0" in rest or rest.endswith("/"):
            raise _unreadable(text, "it needs the absolute path of a socket", scheme)
        return Address(scheme, path=rest)
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    user, at, authority = authority.rpartition("@") if scheme == "ssh" else ("", "", authority)
    host, port = _split_authority(text, scheme, authority)
    host = f"{user}{at}{host}"
    address = Address(scheme, host, port, slash + path, query)
    if scheme == "tcp" and (not host or port is None or address.path or query):
        raise _unreadable(text, "it needs a host and a port, and nothing more", scheme)
    if scheme == "tls" and (not host or port is None or address.path):
        raise _unreadable(text, "it needs a host and a port, and a fingerprint to connect", scheme)
    if scheme == "ssh" and (not _SSH_HOST.fullmatch(host) or address.path):
        raise _unreadable(text, "it needs a host, perhaps a user and a port, and no more", scheme)
    if scheme == "memory" and (port is not None or address.path or query):
        raise _unreadable(text, "it needs a name, and nothing more", scheme)
    return address


def _split_authority(text: str, scheme: str, authority: str) -> tuple[str, int | None]:
    """Split ``host``, ``host:port`` or ``[v6]:port``."""
    bracketed = authority.startswith("[")
    if bracketed:
        host, end, tail = authority[1:].partition("]")
        colon, port = tail[:1], tail[1:]
        if not end or colon not in ("", ":") or _NOT_IN_HOST.search(host.replace(":", "")):
            raise _unreadable(text, "the brackets of its IPv6 address do not fit", scheme)
    else:
        host, colon, port = authority.partition(":")
        if ":" in port:
            raise _unreadable(text, "an IPv6 address needs brackets: [::1]:4000", scheme)
        if _NOT_IN_HOST.search(host):
            raise _unreadable(text, "its host has a character that no host has", scheme)
    if bracketed and not host:
        raise _unreadable(text, "the brackets are empty", scheme)
    if not colon:
        return host, None
    if not _PORT.fullmatch(port) or int(port) > _MAX_PORT:
        raise _unreadable(text, f"its port is not a number from 0 to {_MAX_PORT}", scheme)
    return host, int(port)


def _unreadable(text: str, why: str, scheme: str) -> AddressError:
    example = EXAMPLES.get(scheme, EXAMPLES["tcp"])
    return AddressError(f"cannot read the address {text!r}: {why}; for example {example}")
