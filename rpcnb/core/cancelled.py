"""`RemoteCancelled`, apart from `rpcnb.core.errors`: `concurrent.futures` takes 3 ms to import."""

from __future__ import annotations

from concurrent.futures import CancelledError

from rpcnb.core.errors import RpcnbError


class RemoteCancelled(RpcnbError, CancelledError):
    """The call was cancelled; `confirmed` says whether the server said so."""

    def __init__(self, message: str = "the call was cancelled", *, confirmed: bool = False) -> None:
        super().__init__(message)
        self.confirmed = confirmed
