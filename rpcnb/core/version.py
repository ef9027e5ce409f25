"""The version, where every layer may read it."""

from __future__ import annotations

VERSION = "0.1.0"
"""As in CHANGELOG.md; the packaging reads this line."""
