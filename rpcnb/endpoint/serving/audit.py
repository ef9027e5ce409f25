"""The audit log: who came, what they were let do and what not; for whoever answers for the server.

One line of JSON for each event, in a file of mode 0600 that is set aside when it grows: ``audit.log``,
then ``audit.log.1`` and so on. There are no values in it and no secrets, only names, numbers and
places; whatever a peer may choose is bounded, and escaped, so that nobody can write a line of his own.
A log that cannot be written is said once, and stops nobody.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from rpcnb.core.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOG = logging.getLogger("rpcnb.audit")
LARGEST = 8 * MIB
"""Bytes after which a file is set aside."""
KEPT = 4
"""Files that are kept besides the current one."""
LONGEST_TEXT = 200
"""Characters of one text in a line."""
MOST_REFUSALS = 100
"""Refusals of one session that are written one by one; of the rest, the number."""
_PIPE_BUF = 512
"""Bytes that a pipe takes as a whole on every system."""

Fact: TypeAlias = "str | int | float | None"


class AuditLog:
    """Appends events to a file.  Thread-safe.

    Parameters
    ----------
    path : Path, optional
        Without one, nothing is written.
    largest : int [bytes]
        When the file is set aside.
    """

    def __init__(self, path: Path | None = None, largest: int = LARGEST) -> None:
        self._path = path
        self._largest = largest
        self._lock = threading.Lock()
        self._failed = False

    @property
    def wanted(self) -> bool:
        """Whether anything is written."""
        return self._path is not None

    def write(self, event: str, **facts: Fact) -> None:
        """Add one event."""
        if self._path is None:
            return
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = json.dumps(
            {"time": moment, "event": event, **{k: _bounded(v) for k, v in facts.items()}}
        )
        with self._lock:
            try:
                self._append(self._path, line.encode() + b"\n")
                self._failed = False
            except OSError as error:
                if not self._failed:
                    LOG.warning("the audit log cannot be written: %s", error)
                self._failed = True

    def _append(self, path: Path, line: bytes) -> None:
        with suppress(FileNotFoundError):
            if path.stat().st_size + len(line) > self._largest:
                _set_aside(path)
        number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(number).st_size
            if os.write(number, line) < len(line):  # the disk is full: no half lines
                os.ftruncate(number, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(number)


def _bounded(fact: Fact) -> Fact:
    return fact[:LONGEST_TEXT] if isinstance(fact, str) else fact


def _set_aside(path: Path) -> None:
    for number in range(KEPT, 0, -1):
        older = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        with suppress(FileNotFoundError):
            older.replace(path.with_name(f"{path.name}.{number}"))


class Notes:
    """What workers tell the audit log, through a pipe made before they are forked.

    A worker runs code of users, which could write here, too: so a note is taken for what a session
    says of itself, and only the kinds and facts that are known are taken.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._thread: threading.Thread | None = None

    def write(self, session_id: str, event: str, **facts: Fact) -> None:
        """Send a note; one that does not fit is lost, and nobody waits."""
        line = json.dumps([session_id, event, {k: _bounded(v) for k, v in facts.items()}]).encode()
        if len(line) < _PIPE_BUF:
            with suppress(OSError):
                os.write(self._write_end, line + b"\n")

    def read_into(self, take: Callable[[str, str, dict[str, Fact]], None]) -> None:
        """Start to pass notes on; `take` is called on a thread of this object."""
        self._thread = threading.Thread(
            target=self._run, args=(take,), name="rpcnb-audit", daemon=True
        )
        self._thread.start()

    def _run(self, take: Callable[[str, str, dict[str, Fact]], None]) -> None:
        with os.fdopen(self._read_end, "rb") as lines:
            while line := lines.readline(_PIPE_BUF):
                if line == b"\n":  # as `close` says
                    return
                with suppress(ValueError, TypeError):
                    session_id, event, facts = json.loads(line)
                    if event in KNOWN_NOTES and type(session_id) is str and type(facts) is dict:
                        take(session_id, event, _known(event, facts))

    def close(self) -> None:
        """Take what is there, and stop.  Idempotent."""
        if self._thread is None:
            os.close(self._read_end)
        else:
            os.write(self._write_end, b"\n")
            self._thread.join(timeout=2.0)
        os.close(self._write_end)


KNOWN_NOTES: dict[str, dict[str, type]] = {
    "refused": {"what": str, "needed": str},
    "counts": {"calls": int, "refusals": int},
}
"""What a worker may say: event → facts and their types."""


def _known(event: str, facts: dict[str, Fact]) -> dict[str, Fact]:
    return {
        name: facts[name]
        for name, kind in KNOWN_NOTES[event].items()
        if type(facts.get(name)) is kind
    }
