"""Memory that two processes of one machine share (Linux): a file without a name, mapped by both.

Nothing can be left behind: the system frees the pages when the last process that has them is gone,
however it ended. The size is sealed before anybody else sees the file: a peer that could shorten it
would kill this process with SIGBUS.
"""

from __future__ import annotations

import mmap
import os
import sys
from contextlib import suppress

from rpcnb.core.errors import TransportError

with suppress(ImportError):  # on Windows, whose clients import this as well
    import fcntl

AVAILABLE = sys.platform == "linux"


class Segment:
    """Shared memory, as this process has it mapped.

    Parameters
    ----------
    fd : int
        Not kept, and not closed here.
    number : int
        What both ends call it.
    nbytes : int
        Its size.
    """

    def __init__(self, fd: int, number: int, nbytes: int) -> None:
        self.number = number
        self.nbytes = nbytes
        self._map = mmap.mmap(fd, nbytes)

    def view(self, nbytes: int) -> memoryview:
        """Return its first bytes; while the view or anything made of it lives, it is `in_use`."""
        return memoryview(self._map)[:nbytes]

    @property
    def in_use(self) -> bool:
        """Whether anything in this process still refers to the memory."""
        try:
            self._map.resize(self.nbytes)  # to the size it has: does nothing but look
        except BufferError:
            return True
        return False


def create(number: int, nbytes: int) -> tuple[Segment, int]:
    """Make a segment; return it, and the descriptor for the other process, owned by the caller.

    Raises
    ------
    OSError
        No memory, or too many open files.
    """
    fd = os.memfd_create("rpcnb", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, nbytes)
        fcntl.fcntl(
            fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        )
        return Segment(fd, number, nbytes), fd
    except BaseException:
        os.close(fd)
        raise


def attach(fd: int, number: int, nbytes: int) -> Segment:
    """Map what another process has made.

    Raises
    ------
    TransportError
        It is not of that size for good.
    OSError
        No memory, or too many open files.
    """
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:  # not this kind of file
        seals = 0
    if not seals & fcntl.F_SEAL_SHRINK or os.fstat(fd).st_size != nbytes:
        raise TransportError(f"segment {number} is not sealed at {nbytes:,} bytes")
    return Segment(fd, number, nbytes)
