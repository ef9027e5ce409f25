"""The version, where every layer may read it."""

from __future__ import annotations

VERSION = "0.1.0"
"""As in CHANGELOG.md; the packaging reads this line."""


def is_compiled() -> bool:
    """Tell whether this is an installation with compiled modules: see ``hatch_build.py``."""
    from importlib.util import find_spec

    spec = find_spec("rpcnb.wire.short")
    return spec is not None and not str(spec.origin).endswith(".py")
