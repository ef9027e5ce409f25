"""The compiled half of the express lane, `_quick.pyx`, where it was compiled; see ``hatch_build.py``.

Each function is None where it was not, and everything goes the way that it has in Python.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

pack_call: Callable[..., bytes | None] | None = None
pack_ref: Callable[..., bytes | None] | None = None
pack_return: Callable[..., bytes | None] | None = None
pack_frame: Callable[..., bytes] | None = None
unpack_frame: Callable[..., tuple[int, int, Any] | None] | None = None

COMPILED_ITEMS = 15
"""Items of a list or a dict that the compiled half takes at most."""

with suppress(ImportError):
    from rpcnb.wire._quick import (  # noqa: F401 -- those above, for others
        pack_call,
        pack_frame,
        pack_ref,
        pack_return,
        unpack_frame,
    )
