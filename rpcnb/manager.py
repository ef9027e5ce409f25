"""The session manager: names, and which sessions this process has."""

from __future__ import annotations

import atexit
import threading
from itertools import count
from typing import TYPE_CHECKING

from rpcnb.core.errors import SessionError
from rpcnb.core.events import EVENTS, SessionChanged, SessionState, Subscription
from rpcnb.core.frozen import frozen
from rpcnb.remote.client import Remote, open_remote

if TYPE_CHECKING:
    from collections.abc import Callable


@frozen
class SessionRow:
    """One session in the table; everything in it is known here."""

    index: int
    """In the session table."""
    name: str
    url: str
    state: SessionState
    handles: int
    nbytes: int
    """Of arrays held over there, views not counted twice."""
    calls: int
    """Out now."""


class SessionManager:
    """Which sessions this process has, by name.  Thread-safe.

    A session enters by `connect`, `local` or `add`, and leaves when it is closed, however that
    happens. Both are told to `subscribe`rs as `SessionChanged`.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._remotes: dict[str, Remote] = {}

    @property
    def sessions(self) -> dict[str, Remote]:
        """Name -> `Remote`, in the order of connecting; a copy."""
        with self._lock:
            return dict(self._remotes)

    def connect(
        self,
        url: str,
        token: str | None = None,
        *,
        name: str | None = None,
        timeout: float = 10.0,
        replace: bool = False,
    ) -> Remote:
        """Connect to a server and enter it into the table.

        Parameters
        ----------
        url : str
            ``host:port``, a URL of a known scheme, or the path of a connection file.
        token : str, optional
            The secret; found by address where that is possible.
        name : str, optional
            What to call it; by default what the server calls itself, numbered where that is taken.
        timeout : float [s]
            For the connection and the handshake.
        replace : bool
            Close a live session of the same name instead of raising.

        Raises
        ------
        AddressError, ConnectError, AuthenticationError, HandshakeError
            Nobody could be reached that way, or they would not talk.
        SessionError
            A live session has that name.
        """
        self._require_free(name, replace=replace)
        remote = open_remote(url, token, name=name, timeout=timeout)
        return self.add(remote, name=name, replace=replace)

    def local(self, *, name: str | None = None, replace: bool = False) -> Remote:
        """Start a session inside this process: the same interface, no server."""
        return self.connect("local:", name=name, replace=replace)

    def add(self, remote: Remote, *, name: str | None = None, replace: bool = False) -> Remote:
        """Enter a `Remote` that was made otherwise; see `connect` for the name.

        It is closed if it cannot enter.
        """
        try:
            self._require_free(name, replace=replace)
            replaced = self._enter(remote, name)
        except BaseException:
            remote.close()
            raise
        if replaced is not None:
            replaced.close()
        remote.add_close_callback(self._leave)
        self._emit(remote, SessionState.LIVE)
        return remote

    def get(self, key: str | int) -> Remote:
        """Return a session by name, or by its index in the session table.

        Raises
        ------
        SessionError
            There is none; the error names those there are.
        """
        sessions = self.sessions
        for name, remote in sessions.items():
            if key in (name, remote.session.table_index):
                return remote
        known = ", ".join(map(repr, sessions)) or "none is open"
        raise SessionError(f"no session {key!r}; open sessions: {known}")

    def close(self, key: str | int) -> None:
        """Close a session."""
        self.get(key).close()

    def close_all(self) -> None:
        """Close every session, the youngest first; also done when the process ends.

        Raises
        ------
        ExceptionGroup
            Some could not be closed properly; all are gone from the table.
        """
        errors = []
        for remote in reversed(self.sessions.values()):
            try:
                remote.close()
            except Exception as error:  # noqa: BLE001 -- the others must be closed too
                errors.append(error)
        if errors:
            raise ExceptionGroup("some sessions could not be closed properly", errors)

    def subscribe(
        self, maxlen: int = 10_000, on_ready: Callable[[], None] | None = None
    ) -> Subscription:
        """Start receiving the events of all sessions; see `EventStream.subscribe`."""
        return EVENTS.subscribe(maxlen, on_ready)

    def table(self) -> list[SessionRow]:
        """Return one row per session; sends nothing."""
        return [_row(remote) for remote in self.sessions.values()]

    def _require_free(self, name: str | None, *, replace: bool) -> None:
        with self._lock:
            taken = name is not None and name in self._remotes
        if taken and not replace:
            raise SessionError(
                f"a live session is called {name!r}; choose another name, close it with "
                f"rpcnb.manager.close({name!r}), or connect with replace=True"
            )

    def _enter(self, remote: Remote, name: str | None) -> Remote | None:
        """Put it into the table; return the session it replaces."""
        with self._lock:
            if name is None:
                wanted = remote.name
                numbered = (f"{wanted}-{number}" for number in count(2))
                name = wanted
                while name in self._remotes:
                    name = next(numbered)
            remote.name = name
            replaced = self._remotes.pop(name, None)
            self._remotes[name] = remote
            return replaced

    def _leave(self, remote: Remote) -> None:
        with self._lock:
            if self._remotes.get(remote.name) is remote:
                del self._remotes[remote.name]
        self._emit(remote, SessionState.CLOSED)

    def _emit(self, remote: Remote, state: SessionState) -> None:
        EVENTS.emit(SessionChanged(remote.session.table_index, remote.name, state))

    def __repr__(self) -> str:
        return f"<SessionManager: {', '.join(self.sessions) or 'no sessions'}>"


def _row(remote: Remote) -> SessionRow:
    handles = remote.handles
    calls = remote.session.statistics().get("calls_in_flight", 0)
    return SessionRow(
        remote.session.table_index,
        remote.name,
        remote.url,
        remote.session.state,
        len(handles),
        handles.nbytes,
        int(calls) if isinstance(calls, int) else 0,
    )


manager = SessionManager()
"""The process-wide table."""

atexit.register(manager.close_all)

connect = manager.connect
local = manager.local
