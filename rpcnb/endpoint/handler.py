"""What a connection asks of its owner: the one interface between `Connection` and both its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rpcnb.core.errors import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcnb.core.values import Value
    from rpcnb.wire.messages import CallFunc, CopyToRemote, Request, ShortCall


class PeerDetached(ConnectionClosed):
    """The reason why a connection ends whose client leaves its session for others to take up."""


class Handler(Protocol):
    """What a connection's owner does with what the peer starts."""

    def on_request(self, message: Request) -> None:
        """Start serving a request.  Called on the reading thread: must not block."""

    def on_call(self, message: CallFunc) -> None:
        """Start serving a call: `on_request` for the most frequent request."""

    def on_short_call(self, call: ShortCall) -> None:
        """Start serving a call that the protocol left as a plain tuple."""

    def run_delivered(self, message: CallFunc) -> None:
        """Serve a call on this thread, which waits for the request it belongs to."""

    def on_cancel(self, request_id: int) -> None:
        """Stop serving a request."""

    def on_free(self, handles: Sequence[tuple[int, int, int]]) -> None:
        """Free handles the peer gave up."""

    def upload_target(self, message: CopyToRemote) -> memoryview:
        """Say where a piece of an upload goes (see `rpcnb.wire.base.PayloadSink`)."""

    def on_stray(self, value: Value) -> None:
        """Take note of a result that came when nobody waited for it any more."""

    def on_takeover(self) -> None:
        """Take note that the background thread reads, because the foreground has been busy."""

    def on_closed(self, reason: Exception) -> Exception:
        """Take note of the end; return what open requests shall be told."""
