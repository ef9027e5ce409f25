"""The one gate between a peer that may not do everything and a session.

What needs which role stands in the tables of this file and, for registered functions, in
`rpcnb.register(..., role=…)`; nothing else decides. A peer that holds the server's own key meets no
gate, and pays nothing for it.

A handle of a function counts as permission to call it: it is given out by name here, and to an
executor also as the result of a call. So whoever may do less can call nothing it did not name.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from rpcnb.core.errors import PermissionDenied, describe_exception
from rpcnb.core.roles import Grant, Role
from rpcnb.core.values import RESERVED
from rpcnb.endpoint.serving.dispatch import Dispatcher
from rpcnb.session.base import CallStatus
from rpcnb.wire.messages import (
    CallFunc,
    CopyFromRemote,
    CopyToRemote,
    DeviceCall,
    GetFunction,
    Request,
    StreamWait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcnb.core.values import FunctionRef
    from rpcnb.endpoint.serving.due import DueQueue
    from rpcnb.session.base import RPCSession

MESSAGES: dict[type[Request], Role] = {
    GetFunction: Role.INSPECTOR,  # and what the function itself needs
    CallFunc: Role.INSPECTOR,  # likewise
    CopyFromRemote: Role.READER,
    CopyToRemote: Role.EXECUTOR,
    StreamWait: Role.EXECUTOR,
    DeviceCall: Role.EXECUTOR,
}
"""Request → the least role that may send it. Notices (cancel, free, ping) are for everybody: they
name nothing but the sender's own."""

DEVICE_OPERATIONS: dict[str, Role] = {
    "get_attr": Role.INSPECTOR,
    "kill": Role.INSPECTOR,  # as cancel: it ends the sender's own session
}
"""Operation of a device → its role, where it is not an executor's."""

BUILTINS: dict[str, Role] = {
    "rpcnb.functions": Role.INSPECTOR,
    "rpcnb.statistics": Role.INSPECTOR,
    "rpcnb.listdir": Role.INSPECTOR,
    "rpcnb.array.digest": Role.READER,
    "rpcnb.array.read": Role.READER,
    "rpcnb.next": Role.READER,
    "rpcnb.download": Role.READER,
}
"""Function that a session offers by itself → its role, where it is not an executor's."""

CELLS = "rpcnb.cell."
"""Functions whose name begins like this run code: they need `Role.EXEC`."""

ROLES: dict[str, Role] = {
    **{kind.__name__: role for kind, role in MESSAGES.items()},
    **{f"DeviceCall {operation}": role for operation, role in DEVICE_OPERATIONS.items()},
    **BUILTINS,
    f"{CELLS}*": Role.EXEC,
}
"""All of the tables above in one, for the documentation and its test."""


EXPIRED = "this link has expired; ask for a new one"


class GatedDispatcher(Dispatcher):
    """Serves one session to a peer with a grant that is not whole.

    Parameters
    ----------
    grant : Grant
        What it may do; a request after `expires` is refused like any other.
    refused : callable
        Told what was refused, in words without values, and the role that it takes.
    """

    def __init__(
        self,
        session: RPCSession,
        grant: Grant,
        refused: Callable[[str, Role], None],
        due: DueQueue | None = None,
    ) -> None:
        super().__init__(session, due)
        self.at_once = {}  # none: each call comes to `on_call`, which asks the grant
        self._grant = grant
        self._refused = refused
        self._given: set[int] = set()
        """Handles of functions that the peer may call."""
        left = min(max(0.0, grant.expires - time.time()), threading.TIMEOUT_MAX)
        self._expiry = threading.Timer(left, self._expire_now)
        self._expiry.daemon = True
        if grant.expires < math.inf:
            self._expiry.start()

    def _expire_now(self) -> None:
        self.connection.close(EXPIRED)

    def on_closed(self, reason: Exception) -> Exception:
        """Stop everything the peer started, and the clock."""
        self._expiry.cancel()
        return super().on_closed(reason)

    def on_request(self, message: Request) -> None:
        """Start serving a request that the grant covers."""
        if self._let_through(message):
            super().on_request(message)

    def on_call(self, message: CallFunc) -> None:
        """Start serving a call that the grant covers."""
        if self._let_through(message):
            super().on_call(message)

    def run_delivered(self, message: CallFunc) -> None:
        """Serve a call made by a callback, if the grant covers it."""
        if self._let_through(message):
            super().run_delivered(message)

    def upload_target(self, message: CopyToRemote) -> memoryview:
        """Say where a piece of an upload goes: nowhere without permission, before it is refused."""
        if self._grant.role < MESSAGES[CopyToRemote]:
            return memoryview(bytearray(message.nbytes))
        return super().upload_target(message)

    def on_free(self, handles: Sequence[tuple[int, int, int]]) -> None:
        """Free what the peer gave up, permission included."""
        self._given.difference_update(handle for handle, _, _ in handles)
        super().on_free(handles)

    def _let_through(self, message: Request) -> bool:
        try:
            self._check(message)
        except PermissionDenied as error:
            self.reply(message.id, CallStatus.EXCEPTION, describe_exception(error, ""))
            return False
        return True

    def _check(self, message: Request) -> None:
        """Refuse what the grant does not cover.

        Raises
        ------
        PermissionDenied
            It does not; the message says what would.
        """
        if time.time() >= self._grant.expires:
            raise PermissionDenied(EXPIRED)
        if type(message) is DeviceCall:
            needed = DEVICE_OPERATIONS.get(message.operation, Role.EXECUTOR)
            self._require(needed, f"the device operation {message.operation[:40]!r}")
        elif type(message) is CallFunc:
            if message.function not in self._given:
                self._require(Role.EXECUTOR, "a function that was not asked for by name")
                self._require_unlimited()
        else:
            self._require(MESSAGES[type(message)], type(message).__name__)

    def _require(self, needed: Role, what: str) -> None:
        if self._grant.role < needed:
            self._refused(what, needed)
            message = f"{what} needs the role {needed}; this connection has {self._grant.role}"
            raise PermissionDenied(message)

    def _require_unlimited(self) -> None:
        if self._grant.functions:
            what = "a function that was not asked for by name"
            self._refused(what, self._grant.role)
            message = f"{what} may not be called: this link names the functions it is for"
            raise PermissionDenied(message)

    def look_up(self, name: str) -> FunctionRef | None:
        """Give out a function that the peer may call.

        Raises
        ------
        PermissionDenied
            It may not.
        """
        self._require(needed_role(self.session, name), f"the function {name[:128]!r}")
        if not name.startswith(RESERVED) and not self._grant.allows_name(name):
            self._refused(f"the function {name[:128]!r}", self._grant.role)
            message = f"the function {name[:128]!r} is not among those that this link is for"
            raise PermissionDenied(message)
        ref = super().look_up(name)
        if ref is not None:
            self._given.add(int(ref.handle))
        return ref


def needed_role(session: RPCSession, name: str) -> Role:
    """Return the least role that may call the function of that name."""
    if not name.startswith(RESERVED):
        return session.role_of(name)
    if name.startswith(CELLS):
        return Role.EXEC
    return BUILTINS.get(name, Role.EXECUTOR)
