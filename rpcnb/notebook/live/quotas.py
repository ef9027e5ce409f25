"""What a session may have over there, and how much of it it has, as the panel shows it."""

from __future__ import annotations

import concurrent.futures
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rpcnb.core.errors import RpcnbError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rpcnb.remote.client import Remote
    from rpcnb.remote.future import RemoteFuture

ASKED = "rpcnb.statistics"
"""The function that tells them."""
NAMES = {
    "memory": "memory",
    "processes": "processes",
    "handles": "handles",
    "calls_waiting": "queued calls",
    "spool": "uploads",
}
"""Key of ``remote.stats()["there"]["quotas"]`` → what a reader calls it."""
SIZES = frozenset({"memory", "spool"})
"""Those that are bytes."""


def ask(remote: Remote, take: Callable[[list[dict[str, Any]]], None]) -> RemoteFuture:
    """Ask the other side, and do not wait: its answer comes behind the calls that run there.

    Parameters
    ----------
    remote : Remote
    take : callable
        Given the rows, on the thread that receives; not called when there are none.
    """

    def settle(future: concurrent.futures.Future[Any]) -> None:
        with suppress(RpcnbError, concurrent.futures.CancelledError):  # the session is over
            told = future.result()
            quotas = told.get("quotas") if isinstance(told, dict) else None
            if isinstance(quotas, dict):
                take(rows(quotas))

    future = remote.builtin(ASKED).submit()
    future.add_done_callback(settle)
    return future


def rows(quotas: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each quota: ``name``, ``most`` (0 is no bound), ``used`` or None, ``size``.

    What is no number is left out: another machine says it.
    """
    found = []
    for key, name in NAMES.items():
        most = _count(quotas.get(key))
        if most is not None:
            used = _count(quotas.get(f"{key}_used"))
            found.append({"name": name, "most": most, "used": used, "size": key in SIZES})
    return found


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
