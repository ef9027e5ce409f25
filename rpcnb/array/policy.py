"""Whether data may move although no line of the program says so.

Three levels: ``forbid`` refuses (the default), ``log`` moves and says so, ``allow`` moves. A limit
in bytes bounds what one operation may move under the last two.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from rpcnb.core.errors import ImplicitTransferError

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS = ("forbid", "log", "allow")
_LOG = logging.getLogger("rpcnb.array")
_HINTS = {
    "scipy": "SciPy leaves arrays where they are only if SCIPY_ARRAY_API=1 is set before its import",
    "sklearn": "scikit-learn does so within sklearn.config_context(array_api_dispatch=True)",
}


class Policy(NamedTuple):
    """What is allowed."""

    level: str = "forbid"
    limit: int | None = None
    """Bytes of one transfer; None for any number."""


_everywhere = Policy()
_here: ContextVar[Policy | None] = ContextVar("rpcnb_implicit_transfers", default=None)


def set_implicit_transfers(level: str, limit: int | None = None) -> None:
    """Say for the whole process whether data may move unasked.

    Parameters
    ----------
    level : {"forbid", "log", "allow"}
    limit : int, optional [bytes]
        Refuse larger transfers even so.
    """
    global _everywhere  # noqa: PLW0603 -- this is the setting
    _everywhere = _policy(level, limit)


@contextmanager
def implicit_transfers(level: str, limit: int | None = None) -> Iterator[None]:
    """Say within a ``with`` block whether data may move unasked; see `set_implicit_transfers`.

    Threads that the block starts follow the process's setting.
    """
    token = _here.set(_policy(level, limit))
    try:
        yield
    finally:
        _here.reset(token)


def _policy(level: str, limit: int | None) -> Policy:
    if level not in LEVELS:
        raise ValueError(f"{level!r} is no level; use one of {', '.join(LEVELS)}")
    return Policy(level, limit)


def current_policy() -> Policy:
    """Return what holds here and now."""
    return _here.get() or _everywhere


def permit(nbytes: int, what: str, ways: str) -> None:
    """Return if a transfer that nobody asked for is allowed.

    Parameters
    ----------
    nbytes : int
        That would move.
    what, ways : str
        What wants it and what there is; and what to write instead.

    Raises
    ------
    ImplicitTransferError
        It is not allowed.
    """
    policy = current_policy()
    if policy.level != "forbid" and (policy.limit is None or nbytes <= policy.limit):
        if policy.level == "log":
            _LOG.warning("%s (%s)", what, _caller()[0])
        return
    line, library = _caller()
    hint = f"; {_HINTS[library]}" if library in _HINTS else ""
    raise ImplicitTransferError(
        f"{what} ({line}); {ways}, or allow it with rpcnb.implicit_transfers('allow'){hint}"
    )


def _caller() -> tuple[str, str]:
    """Return the line of the user's program that led here, and the first library on the way."""
    frame = sys._getframe(2)  # noqa: SLF001 -- inspect.stack() reads every source file
    library = ""
    while frame.f_back is not None:
        root = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if root not in {"rpcnb", "numpy", "contextlib", *_HINTS}:
            break
        if root in _HINTS:
            library = root
        frame = frame.f_back
    return f"{PurePath(frame.f_code.co_filename).name}:{frame.f_lineno}", library
