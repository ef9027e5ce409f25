"""What a broker leaves behind that is killed, and how the next one at its address takes over.

The zygote and its workers live on for a while, with their connections. What only the broker knew is
in a file that only this user can read: the secret, and the keys by which clients are known again.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import contextmanager
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpcnb.core.frozen import frozen
from rpcnb.endpoint.credentials import is_running, runtime_folder, write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINES = 64
"""Sessions added to the file, besides as many as there were, before it is written anew."""
DOOR = "heirs"
"""Name of the socket in a zygote's folder, at which the next broker knocks."""


@frozen
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


class EstateFile:
    """A broker's estate, kept up to date: a line for each session that began or changed.

    Writing all of it each time would cost every client as much as there are sessions. Thread-safe.

    Parameters
    ----------
    survey : callable
        Returns the estate as it is.
    """

    def __init__(self, survey: Callable[[], Estate]) -> None:
        self._survey = survey
        self._lock = threading.Lock()
        self._room = 0
        """Lines that may be added until it is worthwhile to write all of it again."""

        self._closed = False

    def write(self) -> None:
        """Write all of it down, in one step."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        if self._closed:
            return
        estate = self._survey()
        write_private(estate_path(estate.url), json.dumps(asdict(estate)) + "\n")
        self._path = estate_path(estate.url)
        self._room = LINES + len(estate.sessions)

    def add(self, session: dict[str, Any]) -> None:
        """Write down one session, as it is now."""
        with self._lock:
            self._room -= 1
            if self._room < 0 or not self._append(json.dumps(session).encode() + b"\n"):
                self._write()

    def _append(self, line: bytes) -> bool:
        """Write a line down; False when all has to be written: somebody cleaned up, say."""
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return os.write(file, line) == len(line)
        finally:
            os.close(file)

    def remove(self) -> None:
        """Leave nothing: everything ended in an orderly way."""
        with self._lock:
            self._closed = True
            remove_estate(self._survey().url)


def find_estate(url: str) -> Estate | None:
    """Return what a broker at this address left behind; None when it lives, or nothing does."""
    try:
        first, *lines = estate_path(url).read_text(encoding="utf-8").splitlines()
        estate = Estate(**json.loads(first))
        sessions = [*estate.sessions, *map(json.loads, lines)]
        latest = {session["session_id"]: session for session in sessions}
        estate = replace(estate, sessions=list(latest.values()))
    except (OSError, ValueError, TypeError, KeyError):  # there is none, or of another version
        return None
    is_left = not is_running(estate.pid) and is_running(estate.zygote)
    return estate if is_left else None


def clear_away(estate: Estate) -> None:
    """Remove the files by which clients found the broker that was killed."""
    for path in runtime_folder().glob(f"server-{estate.pid}-*"):
        path.unlink(missing_ok=True)


def remove_estate(url: str) -> None:
    """Forget the estate of the broker at an address."""
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
