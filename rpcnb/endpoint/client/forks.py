"""What a forked child inherits and must not touch: its parent's connections.

Both would write into one stream, and the child's end would be taken for the parent's. So a fork
closes the child's copies of the descriptors, and says nothing on them.
"""

from __future__ import annotations

import os
import weakref
from functools import cache
from typing import Protocol


class Inherited(Protocol):
    """Somebody whom a fork copies."""

    def forget(self) -> None:
        """Become useless in this child.  No locks may be taken: other threads' are held for ever."""


_INHERITED: weakref.WeakSet[Inherited] = weakref.WeakSet()


def forget_in_children(something: Inherited) -> None:
    """Let `something` be told in children that are forked from now on."""
    _watch_forks()
    _INHERITED.add(something)


def _forget_all() -> None:
    for something in list(_INHERITED):
        something.forget()
    _INHERITED.clear()


@cache
def _watch_forks() -> None:
    """Have forked children forget: once there is something, as looking takes each of them 20 pages."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_all)
