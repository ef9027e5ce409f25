"""Importing many modules at once, without the garbage collector."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def uncollected() -> Iterator[None]:
    """Leave the garbage collector off meanwhile.

    Imports make thousands of objects, all of which stay. So the collector starts every now and then, walks
    through these and NumPy's, and finds nothing: an eighth of what a client's imports take.

    Notes
    -----
    Threads may do this at the same time: who finds the collector on turns it on again. What was made
    meanwhile counts as old then, as it would after two collections that find nothing, of 3 ms together in a
    fresh process. So does the caller's garbage of a moment ago, which waits for the next full collection.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():  # which somebody means to stay so
                gc.freeze()
                gc.unfreeze()
            gc.enable()
