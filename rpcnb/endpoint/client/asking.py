"""`AskingSession`: what the parts of a `SocketSession` ask it for."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from rpcnb.session.base import RPCSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.values import Value
    from rpcnb.wire.messages import Request


class AskingSession(RPCSession):
    """A session on the far side of a connection."""

    @abstractmethod
    def ask(self, make: Callable[[int], Request]) -> Value:
        """Send the request that `make` makes of its id, and wait for its value."""
