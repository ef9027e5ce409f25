"""Ending a session's process from outside, where a call does not let it hear anything.

A worker whose main thread holds the interpreter's lock reads nothing, whoever asks. So another
connection goes to the server itself, which knows the client by what only the two of them derived
when the session began, as when it comes back (`greeting.claim`). A gateway is another matter: its
process hears us, and what is stuck is further on, so it is asked to do the same there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from rpcnb.endpoint.client.asking import AskingSession
from rpcnb.wire.messages import DeviceCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.endpoint.client.client_connection import ClientConnection
    from rpcnb.endpoint.client.interrupt import InterruptShield

    Kill: TypeAlias = Callable[[], Exception | None]
    """Has the server kill the session's process; returns what that means to its calls, None when
    the server is a gateway. Raises an `RpcnbError` when it was not to be had."""


class KillingSession(AskingSession):
    """The part of a socket session that ends the process over there."""

    _connection: ClientConnection
    _shield: InterruptShield
    _kill: Kill | None

    def kill(self) -> None:
        """End the process over there, by way of its server."""
        if self._connection.reason is not None:
            raise self._connection.why_closed()
        if self._kill is None:
            super().kill()
            return
        told = self._kill()
        if told is None:
            self.ask(lambda number: DeviceCall(number, "cpu:0", "kill", ()))
        else:
            with self._shield:
                self._connection.end(told)
