"""The end of a cell: array operations that were sent ahead in it end with it.

So the error of one that nobody waited for stands under the cell that made it.
"""

from __future__ import annotations

from rpcnb.core.cancelled import RemoteCancelled
from rpcnb.manager import manager


def settle() -> None:
    """Wait for what a cell left in flight, in every session of the table: a hook of `cell_end`.

    Raises
    ------
    RemoteError
        The first thing that failed; notes tell of more.
    RemoteCancelled
        Waiting was interrupted, and everything in flight was stopped.
    """
    failures: list[Exception] = []
    for remote in list(manager.sessions.values()):
        try:
            remote.settle()
        except KeyboardInterrupt:
            message = "interrupted: the array operations in flight were stopped"
            failures.append(RemoteCancelled(message, confirmed=False))
        except Exception as error:  # noqa: BLE001 -- raised below, when all have ended
            failures.append(error)
    if failures:
        for other in failures[1:]:
            failures[0].add_note(f"and in another session: {other}")
        raise failures[0]
