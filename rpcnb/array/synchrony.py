"""Whether array operations are waited for one by one, although that is not needed."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_everywhere = False
_here: ContextVar[bool | None] = ContextVar("rpcnb_sync_mode", default=None)


def set_sync_mode(on: bool) -> None:  # noqa: FBT001 -- the one thing it is told
    """Say for the whole process whether every array operation waits for its result."""
    global _everywhere  # noqa: PLW0603 -- this is the setting
    _everywhere = on


@contextmanager
def sync_mode(on: bool = True) -> Iterator[None]:  # noqa: FBT001, FBT002 -- as above
    """Wait for every array operation within a ``with`` block, so that errors come where they arise.

    Otherwise an operation whose result has a known shape and dtype is sent and not waited for; an
    error that depends on values then comes with the next result that is waited for, at the end of
    the cell or at `close`, and names the line. Threads that the block starts follow the process's
    setting, `set_sync_mode`.
    """
    token = _here.set(on)
    try:
        yield
    finally:
        _here.reset(token)


def waits_for_each() -> bool:
    """Return what holds here and now."""
    here = _here.get()
    return _everywhere if here is None else here
