"""`Registration`: keeps a server of ours known to a TVM tracker for as long as it serves.

A tracker is told of a random *match key* for each client to come. It gives the key to the client
that it chooses, who greets the server with it: nobody else is let in. A new key is told when the
session has ended, when a client was given the key and does not come, and when the tracker is back
after it was gone.
"""

from __future__ import annotations

import logging
import secrets
import threading

from rpcnb.core.errors import RpcnbError
from rpcnb.endpoint.tvm.tracker import Tracker

LOG = logging.getLogger(__name__)
PERIOD = 2.0
"""Seconds between two looks at the tracker, as TVM's own servers have it."""
PATIENCE = 3
"""Looks after which a client that was given our key, and has not come, is not waited for."""
LOCAL = "127.0.0.1"


class Registration:
    """Tells a tracker when the server is free.  Thread-safe.

    Parameters
    ----------
    tracker : tuple of str and int
        Host and port of the tracker. It need not be there yet, and may go and come back.
    key : str
        What clients ask the tracker for.
    port : int
        Where the server listens, on this machine: that is the address which clients are told.
    period : float [s]
        Between two looks at the tracker.
    """

    def __init__(
        self, tracker: tuple[str, int], key: str, port: int, *, period: float = PERIOD
    ) -> None:
        self._where = tracker
        self._key = key
        self._port = port
        self._period = period
        self._lock = threading.Lock()
        self._match_key: str | None = None
        """What the next client has to say; None while there is a session, or no tracker."""
        self._busy = False
        self._closing = threading.Event()
        self._changed = threading.Event()
        self._tracker: Tracker | None = None
        self._thread = threading.Thread(target=self._run, name="rpcnb-tvm-tracker", daemon=True)
        self._thread.start()

    # --- for the server -------------------------------------------------------------------------

    def admit(self, key: str) -> bool:
        """Tell whether who says `key` is the client that the tracker sent; if so, it has come."""
        with self._lock:
            match_key = self._match_key
            if match_key is None or not secrets.compare_digest(key.encode(), match_key.encode()):
                return False
            self._match_key = None
            self._busy = True
            return True

    def release(self) -> None:
        """Take note that the client has left: the server is free again."""
        with self._lock:
            self._busy = False
        self._changed.set()

    def close(self) -> None:
        """Leave the tracker.  Idempotent."""
        self._closing.set()
        self._changed.set()
        tracker = self._tracker
        if tracker is not None:
            tracker.close()
        self._thread.join(2 * PERIOD)

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        told = False
        while not self._closing.is_set():
            try:
                with Tracker(*self._where, timeout=2 * PERIOD) as self._tracker:
                    LOG.info("registered as %s with %s", self._key, self._tracker)
                    told = False
                    self._keep(self._tracker)
            except RpcnbError as error:
                if not (told or self._closing.is_set()):
                    LOG.warning(
                        "the TVM tracker %s:%d is gone (%s); trying on", *self._where, error
                    )
                told = True
            self._tracker = None
            self._wait()

    def _keep(self, tracker: Tracker) -> None:
        """Stay registered until the connection is lost."""
        tracker.introduce(self._key, LOCAL, self._port)
        with self._lock:
            self._match_key = None  # a tracker that is new knows nothing of it
        missed = 0
        while not self._closing.is_set():
            missed = missed + 1 if self._is_given_away(tracker.offered()) else 0
            match_key = self._next_key(abandoned=missed >= PATIENCE)
            if match_key is not None:
                tracker.offer(self._key, LOCAL, self._port, match_key)
                missed = 0
            self._wait()

    def _is_given_away(self, offered: list[object]) -> bool:
        """Tell whether a client was sent that has not come yet."""
        with self._lock:
            return self._match_key is not None and self._match_key not in offered

    def _next_key(self, *, abandoned: bool) -> str | None:
        """Return a new match key if one is needed now."""
        with self._lock:
            if self._busy or not (self._match_key is None or abandoned):
                return None
            self._match_key = f"{self._key}:{secrets.token_hex(8)}"
            return self._match_key

    def _wait(self) -> None:
        self._changed.wait(self._period)
        self._changed.clear()
