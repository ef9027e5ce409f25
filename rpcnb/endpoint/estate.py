"""What a broker leaves behind that is killed, and how the next one at its address takes over.

The zygote and its workers live on for a while, with their connections. What only the broker knew is
in a file that only this user can read: the secret, and the keys by which clients are known again.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpcnb.endpoint.credentials import is_running, runtime_folder, write_private

if TYPE_CHECKING:
    from collections.abc import Iterator

DOOR = "heirs"
"""Name of the socket in a zygote's folder, at which the next broker knocks."""


@dataclass(frozen=True, slots=True)
class Estate:
    """What the next broker needs."""

    url: str
    pid: int
    """Of the broker."""
    zygote: int
    folder: str
    """Of the zygote; only this user may enter it."""
    secret: str = field(repr=False)
    """In hexadecimal digits."""
    sessions: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Fields of `SessionRecord`; the key in hexadecimal digits."""


def estate_path(url: str) -> Path:
    """Return where the estate of the broker at an address is kept."""
    label = "".join(c if c.isalnum() else "-" for c in url.partition("?")[0])[-80:]
    return runtime_folder() / f"estate-{label}.json"


def write_estate(estate: Estate) -> None:
    """Write it down, in one step."""
    write_private(estate_path(estate.url), json.dumps(asdict(estate)))


def find_estate(url: str) -> Estate | None:
    """Return what a broker at this address left behind; None when it lives, or nothing does."""
    try:
        estate = Estate(**json.loads(estate_path(url).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # there is none, or of another version
        return None
    is_left = not is_running(estate.pid) and is_running(estate.zygote)
    return estate if is_left else None


def clear_away(estate: Estate) -> None:
    """Remove the files by which clients found the broker that was killed."""
    for path in runtime_folder().glob(f"server-{estate.pid}-*"):
        path.unlink(missing_ok=True)


def remove_estate(url: str) -> None:
    """Forget it: everything ended in an orderly way."""
    estate_path(url).unlink(missing_ok=True)


def listen_for_heirs(folder: Path) -> socket.socket | None:
    """Listen for the next broker; None where that cannot be."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as place:
            sock.bind(f"{place}/{DOOR}")
        sock.listen(1)
    except OSError:
        sock.close()
        return None
    return sock


def knock(folder: Path) -> socket.socket | None:
    """Connect to a zygote whose broker is gone; None when it does not answer."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as place:
            sock.connect(f"{place}/{DOOR}")
    except OSError:
        sock.close()
        return None
    return sock


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Give a name of the folder that fits into a socket's address, of about 100 bytes."""
    if not Path("/proc/self/fd").is_dir():
        yield str(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
