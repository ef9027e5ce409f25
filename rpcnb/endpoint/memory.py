"""What both ends of shared memory do alike: the switch, the note with a descriptor, the copying."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from rpcnb.core.limits import MIB
from rpcnb.transport import segments

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.session.observer import CallObserver

SWITCH = "RPCNB_SHARED_MEMORY"
"""Environment variable of either side; ``off`` keeps it to the socket."""
STEP = 8 * MIB
"""Bytes copied at once: between two steps other threads, and Ctrl-C, have their turn."""
NOTE = struct.Struct("<QQ")
"""What goes with a descriptor: number and size."""


def is_offered() -> bool:
    """Tell whether this process shares memory at all."""
    return segments.AVAILABLE and os.environ.get(SWITCH, "").lower() not in {"off", "0", "no"}


def copy_in_steps(
    source: memoryview, target: memoryview, observer: CallObserver, stopped: Callable[[], object]
) -> None:
    """Copy bytes in steps, until `stopped` says so."""
    total = len(source)
    for start in range(0, total, STEP):
        target[start : start + STEP] = source[start : start + STEP]
        observer.progress(min(start + STEP, total), total, "")
        if stopped():
            return
