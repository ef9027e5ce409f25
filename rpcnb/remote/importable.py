"""Which name a function of a library has, so that its twin can be called over there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def public_place(function: Callable[..., Any]) -> tuple[str, str]:
    """Return the public module and the name a function is imported from.

    ``scipy.signal.welch`` is defined in ``scipy.signal._spectral_py``, and asked for by the name
    people write.

    Raises
    ------
    TypeError
        It is no function of a module: a method, a lambda, or something of ``__main__``.
    """
    name = getattr(function, "__name__", "")
    module = getattr(function, "__module__", None) or ""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        place = ".".join(parts[:length])
        if any(part.startswith("_") for part in parts[:length]):
            continue
        if getattr(sys.modules.get(place), name, None) is function:
            return place, name
    raise TypeError(
        f"{function!r} cannot be imported by a public name, so there is no twin of it over there; "
        "register it on the server with @rpcnb.register"
    )
