"""What a forked child does first: forget what only its parent has."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def do_in_children(action: Callable[[], None]) -> None:
    """Have children that are forked from now on run `action` first.  Asked again, nothing changes.

    To be asked when there is something to forget, not before: each action takes every child 20 to 40
    pages, which it would share else. `action` may take no locks: other threads' are held for ever.
    """
    if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
        os.register_at_fork(after_in_child=action)
