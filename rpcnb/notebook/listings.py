"""The end of a cell: what functions a session has is fetched where a cell has opened one.

So Tab, help and displays of later cells send nothing, and a script does not pay for them.
"""

from __future__ import annotations

from rpcnb.core.events import SessionState
from rpcnb.manager import manager


def fetch_lists() -> None:
    """Fetch the lists that are not here, of every live session of the table: a hook of `cell_end`.

    Raises
    ------
    RemoteProtocolError, SessionError, TransportError
        As `FunctionCatalogue.fetch`; the session has ended in this moment, say.
    """
    for remote in manager.sessions.values():
        if not remote.functions.known and remote.session.state is SessionState.LIVE:
            remote.functions.fetch()
