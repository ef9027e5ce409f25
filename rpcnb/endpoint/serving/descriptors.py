"""File descriptors for as many sessions as a server may have."""

from __future__ import annotations

import logging

LOG = logging.getLogger("rpcnb.server")
A_SESSION = 3
"""Descriptors that the broker holds for an encrypted session; the zygote holds one for any."""
BESIDES = 192
"""For listeners, strangers, and what the functions open before workers are forked."""


def ensure_descriptors(sessions: int) -> None:
    """Let this process, and what it forks, open what so many sessions take; never lowers a limit.

    Where the system allows less, the server runs all the same, and who comes too late has to wait.
    """
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    wanted = A_SESSION * sessions + BESIDES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        LOG.warning("%d sessions take %d descriptors; the system allows %d", sessions, wanted, hard)
        wanted = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
