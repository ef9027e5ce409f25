"""The version, where every layer may read it."""

VERSION = "0.1.0"
"""As in CHANGELOG.md; the packaging reads this line."""
