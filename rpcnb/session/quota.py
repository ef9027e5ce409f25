"""What one session may take of its machine: memory of its process, and disk for its files.

Handles, waiting calls and sessions are counted where they are made (`rpcnb.core.limits` has all of
the numbers). Memory is the system's to count: `RLIMIT_DATA` of the worker process, so that whatever
asks for too much, also in a function of the user's, gets a `MemoryError` in its own session and
nobody else notices. It exists on Linux; sessions in threads of one process have no such bound.
"""

from __future__ import annotations

import os
import threading

from rpcnb.core.errors import QuotaExceeded

KEPT_FREE = 0.05
"""Share of a disk that uploads leave free."""


def machine_memory() -> int:
    """Return the bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def session_memory(limit: int) -> int:
    """Return the bytes that a limit means: 0 stands for half of the machine's memory."""
    return limit or machine_memory() // 2


_had: list[int] = []
"""What counted for `RLIMIT_DATA` when this process was bounded; empty in one that was not."""


def limit_memory(limit: int) -> bool:
    """Bound what this process may take from now on; False where the system cannot.

    Parameters
    ----------
    limit : int [bytes]
        Besides what it has already; see `session_memory`.
    """
    import resource

    has = _data_bytes()
    if has is None:
        return False
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = has + session_memory(limit)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    _had[:] = [has]
    return True


def memory_report(limit: int) -> dict[str, object]:
    """Return the bound of this process's memory, and how much of it is taken; 0 where there is none."""
    has = _data_bytes() if _had else None
    if has is None:
        return {"memory": 0}
    return {"memory": session_memory(limit), "memory_used": max(0, has - _had[0])}


def _data_bytes() -> int | None:
    """Return what counts for `RLIMIT_DATA` now, or None where nobody says."""
    try:
        with open("/proc/self/status", "rb") as file:  # noqa: PTH123 -- a codec would be imported
            found = [line for line in file if line.startswith(b"VmData:")]
    except OSError:
        return None
    return int(found[0].split()[1]) * 1024


class Spool:
    """The disk that one session's files take.  Thread-safe.

    Parameters
    ----------
    limit : int [bytes]
        What they may have together.

    Attributes
    ----------
    disk : str
        A path on the disk that is meant.
    """

    disk: str

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self.used = 0
        """Bytes taken by uploads; what functions write themselves is not counted."""

    def charge(self, nbytes: int) -> None:
        """Take so many bytes more, or give some back.

        Raises
        ------
        QuotaExceeded
            They are too many, or the disk is nearly full; nothing was taken.
        """
        with self._lock:
            if nbytes > 0:
                self._require(nbytes)
            self.used = max(0, self.used + nbytes)

    def _require(self, nbytes: int) -> None:
        if self.used + nbytes > self._limit:
            message = (
                f"the files of this session would take {self.used + nbytes:,} bytes; it may have "
                f"{self._limit:,}; remove some with remote.remove(name)"
            )
            raise QuotaExceeded(message)
        disk = os.statvfs(self.disk)
        left = disk.f_bavail * disk.f_frsize - nbytes
        if left < KEPT_FREE * disk.f_blocks * disk.f_frsize:
            message = f"the server's disk is nearly full: {max(0, left):,} bytes would be left"
            raise QuotaExceeded(message)
