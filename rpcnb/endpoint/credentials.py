"""Secrets and where they are kept: connection files of running servers, and remembered tokens.

A secret is 32 random bytes, written in base 32. A *token* is what a person copies: the secret alone,
or ``keyid.secret.fingerprint``, where the fingerprint is that of the server's TLS certificate and
the key id says which of its secrets is meant. A secret is never put into a log, an environment
variable, a command line or a ``repr``. A server writes it into a connection file (mode 0600) in
the user's runtime folder (mode 0700), where a client on the same machine finds it by address.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from dataclasses import asdict, field
from hashlib import sha256
from typing import TYPE_CHECKING

from rpcnb.core.errors import AddressError, AuthenticationError
from rpcnb.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET_NBYTES = 32


@frozen
class ConnectionFile:
    """What a client needs to reach a server, and what `rpcnb status` shows of it."""

    url: str
    token: str = field(repr=False)
    pid: int = 0
    name: str = ""
    version: str = ""
    started: float = 0.0
    """Seconds since the epoch."""
    dedicated: bool = False
    """Its process does nothing but serve: `rpcnb stop` may end it."""
    admin: str = field(default="", repr=False)
    """What administers the server; never part of what is shown to be pasted."""
    shortcut: str = ""
    """The same server's Unix socket: a call takes a quarter less time than by loopback TCP."""


class Key(bytes):
    """A secret that knows its name, and the caveats by which it was made from that one."""

    keyid: bytes = b""
    caveats: str = ""

    def __repr__(self) -> str:
        return f"<Key {self.keyid.decode()}>"


def new_token() -> str:
    """Return a fresh secret as text."""
    return token_of(os.urandom(SECRET_NBYTES))


def token_of(secret: bytes, fingerprint: str = "") -> str:
    """Return the token for a secret, and for a certificate where there is one."""
    text = base32_of(secret)
    return f"{keyid_of(secret)}.{text}.{fingerprint}" if fingerprint else text


def base32_of(data: bytes) -> str:
    """Return bytes as letters and digits that can be read out."""
    return base64.b32encode(data).decode().rstrip("=").lower()


def secret_of(token: str) -> Key:
    """Return the secret in a token.

    Raises
    ------
    AuthenticationError
        It is no token; the message does not repeat it.
    """
    parts = token.strip().split(".", 3)
    text = parts[min(1, len(parts) - 1)].upper()
    try:
        secret = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != SECRET_NBYTES:
        message = "this is no rpcnb token (52 letters and digits); `rpcnb token` shows it"
        raise AuthenticationError(message) from None
    key = Key(secret)
    key.keyid = (parts[0] if len(parts) > 1 else keyid_of(secret)).lower().encode()[:8]
    key.caveats = parts[3] if len(parts) > 3 else ""
    return key


def keyid_of(secret: bytes) -> str:
    """Return the name of a secret, which tells nothing about it: 8 letters and digits."""
    return base64.b32encode(sha256(b"rpcnb key id" + secret).digest()[:5]).decode().lower()


def fingerprint_in(token: str) -> str:
    """Return the fingerprint that a token names, or nothing."""
    return token.strip().split(".", 3)[2].lower() if token.count(".") >= 2 else ""


def fingerprint_of(url: str) -> str:
    """Return the fingerprint that a transport's URL names, or nothing."""
    return url.partition("?fingerprint=")[2]


def runtime_folder() -> Path:
    """Return the folder of this user's connection files, made with mode 0700.

    Raises
    ------
    PermissionError
        It belongs to somebody else.
    """
    from pathlib import Path  # here and below, where a client with a connection file does not come

    base = os.environ.get("RPCNB_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(base) if base else Path.home() / ".cache"
    folder = folder / "rpcnb"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        message = f"{folder} belongs to another user; set RPCNB_RUNTIME_DIR to a folder of yours"
        raise PermissionError(message)
    folder.chmod(0o700)
    return folder


def write_connection_file(info: ConnectionFile, path: Path | None = None) -> Path:
    """Write a connection file, readable by this user alone, in one step.

    Parameters
    ----------
    info : ConnectionFile
    path : Path, optional
        By default a file in the runtime folder, named after the process and the address.
    """
    if path is None:
        label = "".join(c if c.isalnum() else "-" for c in info.url.split("://")[-1])[-80:]
        path = runtime_folder() / f"server-{info.pid}-{label}.json"
    write_private(path, json.dumps(asdict(info), indent=1) + "\n")
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, in one step."""
    import tempfile  # here, where few come: it takes 2 ms to import
    from pathlib import Path

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".rpcnb-")  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_connection_file(path: str | Path) -> ConnectionFile:
    """Read a connection file.

    Raises
    ------
    AddressError
        It is missing, unreadable, or no connection file.
    PermissionError
        Others may read it: its secret is no secret.
    """
    try:
        # Without `pathlib`, which takes a client 3 ms to import.
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            mode = os.fstat(file.fileno()).st_mode
            data = json.load(file)
        known = {name: data[name] for name in ConnectionFile.__match_args__ if name in data}
        info = ConnectionFile(**known)
    except (OSError, ValueError, TypeError) as error:
        message = f"{path} is no connection file of an rpcnb server ({type(error).__name__})"
        raise AddressError(message) from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        message = f"{path} can be read by others; make it private (chmod 600) and use a new token"
        raise PermissionError(message)
    return info


def running_servers() -> Iterator[tuple[Path, ConnectionFile]]:
    """Yield the connection files of this user's live servers; remove those of dead ones."""
    for path in sorted(runtime_folder().glob("server-*.json")):
        try:
            info = read_connection_file(path)
        except (AddressError, PermissionError):
            continue  # being replaced, or not ours: `rpcnb status FILE` tells
        if is_running(info.pid):
            yield path, info
        else:
            path.unlink(missing_ok=True)
            _remove_socket(info)


def _remove_socket(info: ConnectionFile) -> None:
    """Remove what a killed server left, if it is a socket in our own folder."""
    from pathlib import Path

    path = Path(info.shortcut.removeprefix("unix://"))
    if info.shortcut and path.parent == runtime_folder() and path.is_socket():
        path.unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    """Tell whether a process of that number runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _has_ended(pid)


def _has_ended(pid: int) -> bool:
    """Tell whether a process has ended and its parent has not asked how (a zombie, on Linux)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 -- as above
            stat_line = file.read()
    except OSError:
        return False
    return stat_line.rpartition(b") ")[2].startswith(b"Z")


def find_server(url: str) -> ConnectionFile | None:
    """Return what is known of a server of this user on this machine, by its address."""
    return next((info for _, info in running_servers() if _leads_to(url, info.url)), None)


def find_token(url: str) -> str | None:
    """Return the token for an address: of a server of this user here, or a remembered one."""
    info = find_server(url)
    return remembered_tokens().get(place_of(url)) if info is None else info.token


def shortcut_url(port: int) -> str:
    """Return where this process's server on a TCP port of the loopback also listens."""
    return f"unix://{runtime_folder() / f'server-{os.getpid()}-{port}.sock'}"


def place_of(url: str) -> str:
    """Return where a transport's URL leads: the same with and without encryption."""
    scheme, _, rest = url.partition("://")
    return f"tcp://{rest.partition('?')[0]}" if scheme in {"tcp", "tls"} else url


def _leads_to(url: str, listening: str) -> bool:
    """Tell whether somebody on this machine who connects to `url` reaches who listens there."""
    (host, _, port), (everywhere, _, its_port) = (
        place_of(u).removeprefix("tcp://").rpartition(":") for u in (url, listening)
    )
    here = {"127.0.0.1", "localhost", "[::1]", os.uname().nodename}
    if everywhere in {"0.0.0.0", "[::]"} and host in here:  # noqa: S104 -- compared, not bound
        return port == its_port
    return place_of(url) == place_of(listening)


def remembered_tokens() -> dict[str, str]:
    """Return the tokens kept by `remember_token`, by address."""
    path = runtime_folder() / "tokens.json"
    if not path.exists():
        return {}
    tokens = json.loads(path.read_text(encoding="utf-8"))
    return {str(url): str(token) for url, token in tokens.items()}


def remember_token(url: str, token: str) -> None:
    """Keep a token for an address, in a file that only this user can read."""
    tokens = remembered_tokens() | {place_of(url): token}
    write_private(runtime_folder() / "tokens.json", json.dumps(tokens, indent=1))
