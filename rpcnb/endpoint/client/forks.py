"""What a forked child inherits and must not touch: its parent's connections.

Both would write into one stream, and the child's end would be taken for the parent's. So a fork
closes the child's copies of the descriptors, and says nothing on them.
"""

from __future__ import annotations

import weakref
from typing import Protocol

from rpcnb.core.forks import do_in_children


class Inherited(Protocol):
    """Somebody whom a fork copies."""

    def forget(self) -> None:
        """Become useless in this child.  No locks may be taken: other threads' are held for ever."""


_INHERITED: weakref.WeakSet[Inherited] = weakref.WeakSet()


def forget_in_children(something: Inherited) -> None:
    """Let `something` be told in children that are forked from now on."""
    do_in_children(_forget_all)
    _INHERITED.add(something)


def _forget_all() -> None:
    for something in list(_INHERITED):
        something.forget()
    _INHERITED.clear()
