"""The session table: index ↔ live session.

The seed has 32 slots and reuses one as soon as its session is collected, so that an old index can
name a new session. Here indices count up for the life of the process, and references are weak.
"""

from __future__ import annotations

import threading
import weakref
from itertools import count


class SessionTable:
    """Numbers sessions.  Thread-safe."""

    def __init__(self) -> None:
        # Reentrant: a collection may run inside, and the finalizers of proxies ask for an index.
        self._lock = threading.RLock()
        self._counter = count()
        self._sessions: weakref.WeakValueDictionary[int, object] = weakref.WeakValueDictionary()
        self._indices: weakref.WeakKeyDictionary[object, int] = weakref.WeakKeyDictionary()

    def index_of(self, session: object) -> int:
        """Return the session's index, giving it one the first time."""
        with self._lock:
            index = self._indices.get(session)
            if index is None:
                index = self._indices.setdefault(session, next(self._counter))
                self._sessions[index] = session
            return index

    def get(self, index: int) -> object:
        """Return the session of that index.

        Raises
        ------
        LookupError
            It never existed or is gone.
        """
        with self._lock:
            session = self._sessions.get(index)
        if session is None:
            message = f"no live session has the table index {index}"
            raise LookupError(message)
        return session

    def __len__(self) -> int:
        with self._lock:
            return len(self._sessions)


SESSION_TABLE = SessionTable()
"""The process-wide table."""
