"""What a forked child does first: forget what is its parent's, and must not be touched.

Both would write into one stream, and the child's end would be taken for the parent's. So a fork
closes the child's copies of the descriptors, and says nothing on them.
"""

from __future__ import annotations

import os
import weakref
from functools import cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


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


@cache
def do_in_children(action: Callable[[], None]) -> None:
    """Have children that are forked from now on run `action` first.  Asked again, nothing changes.

    To be asked when there is something to forget, not before: each action takes every child 20 to 40
    pages, which it would share else. `action` may take no locks, as above.
    """
    if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
        os.register_at_fork(after_in_child=action)
