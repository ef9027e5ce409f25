r"""Text of a peer, made fit to be shown: nothing in it acts on a terminal or hides.

Escape sequences can rename a window, answer in a user's name or paint over what was there; marks of
direction show a name as another one. They are shown as what they are, ``\x1b`` or ``\u202e``. This
is for what a program says about itself, such as names, documentation and messages. Values are
never changed.
"""

from __future__ import annotations

import re

_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories of what is not seen, or moves what is: controls, bidirectional marks."""
_COLOUR = re.compile(r"(\x1b\[[0-9;]{0,32}m)")
_OVERWRITING = "\r\b"
"""How programs without a display of their own show progress; within their own lines."""


def visible(text: object, keep: str = "\n\t") -> str:
    r"""Return text with the characters escaped that would hide or reorder it: ``\u202e``.

    Newlines and tabs stay, or whatever `keep` says.
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    import unicodedata  # few come here

    return "".join(
        c
        if c in keep or unicodedata.category(c) not in _HIDDEN
        else c.encode("unicode_escape").decode()
        for c in shown
    )


def coloured(text: str, keep: str = "\n\t") -> str:
    """Return text as `visible` does, save the codes of colours, which stay."""
    if text.isprintable():
        return text
    parts = _COLOUR.split(text)
    return "".join(part if n % 2 else visible(part, keep) for n, part in enumerate(parts))


def without_colours(text: str) -> str:
    """Return text without the codes of colours."""
    return _COLOUR.sub("", text)


def printable_output(text: str) -> str:
    """Return what a program printed, with colours, and lines that it writes over."""
    return coloured(text, "\n\t" + _OVERWRITING)


def shortened(text: str, length: int) -> str:
    """Return `visible` text of at most so many characters."""
    shown = visible(text[: length + 1])
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"
