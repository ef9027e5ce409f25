"""What a session may have over there, and how much of it it has, as the panel shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rpcnb.remote.client import Remote

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


def quotas_of(remote: Remote) -> list[dict[str, Any]]:
    """Ask the other side; nothing comes of a server that keeps no quotas."""
    told = remote.builtin("rpcnb.statistics")()
    quotas = told.get("quotas") if isinstance(told, dict) else None
    return rows(quotas) if isinstance(quotas, dict) else []


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
