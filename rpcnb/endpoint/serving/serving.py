"""`Serving`: what a `Dispatcher` is to the calls and copies that it serves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.values import Value
    from rpcnb.endpoint.connection import Connection
    from rpcnb.session.base import CallStatus, RPCSession


class Serving(ABC):
    """One session that is served to one peer.

    Attributes
    ----------
    session : RPCSession
        Whatever implements it.
    connection : Connection
        To the peer.
    is_local : bool
        Whether the session runs in this process, so that asking it does not block.
    """

    session: RPCSession
    connection: Connection
    is_local: bool

    @abstractmethod
    def reply(self, request_id: int, status: CallStatus, value: Value) -> None:
        """Send how a request ended."""

    @abstractmethod
    def end_call(self, request_id: int, status: CallStatus, value: Value) -> None:
        """Forget a call, and send how it ended."""

    @abstractmethod
    def run_in_lane(self, work: Callable[[], None]) -> None:
        """Run `work` after what was given here before, on a thread of its own."""
