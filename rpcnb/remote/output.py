"""What remote code prints and warns, on this side."""

from __future__ import annotations

import builtins
import re
import sys
import warnings
from collections import deque
from typing import TYPE_CHECKING

from rpcnb.core.errors import RemoteWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WARNING = re.compile(r"(?P<file>.*?):(?P<line>\d+): (?P<category>\w+): (?P<message>.*)", re.DOTALL)

KEPT_OUTPUT = 1 << 20
"""Characters of one stream that a future keeps; the oldest go first."""


class KeptText:
    """The end of what was written to a stream, bounded.  Appended to by one thread."""

    def __init__(self, limit: int = KEPT_OUTPUT) -> None:
        self._limit = limit
        self._pieces: deque[str] = deque()
        self._size = 0

    def append(self, text: str) -> None:
        """Add what was written."""
        self._pieces.append(text[-self._limit :])
        self._size += len(self._pieces[-1])
        while self._size > self._limit:
            self._size -= len(self._pieces.popleft())

    def __str__(self) -> str:
        return "".join(tuple(self._pieces))


passes: Callable[[str], str] = str
"""Given text, returns what of it is to be shown; a notebook, whose browser cannot take everything,
puts its own here."""


def print_output(stream: str, text: str) -> None:
    """Print what a blocking call printed, as far as it `passes`."""
    text = passes(text)
    if text:
        write_output(stream, text)


def write_output(stream: str, text: str) -> None:
    """Print text of a call: ``stdout`` or ``stderr``."""
    target = sys.stderr if stream == "stderr" else sys.stdout
    if target is not None:  # as in a program without a console
        target.write(text)
        target.flush()


def read_warning(text: str) -> Warning:
    """Make the warning to give here from one as `warnings.formatwarning` wrote it over there.

    Only builtin categories are used; any other becomes a `RemoteWarning` that names it. The place
    over there is added to the message.
    """
    from pathlib import PurePath

    match = _WARNING.match(text)
    if match is None:
        return RemoteWarning(text.strip())
    message, _, source = match["message"].rstrip("\n").rpartition("\n")
    if not source.startswith("  "):  # the line over there, which is missing where unknown
        message = f"{message}\n{source}".lstrip("\n")
    place = f"{PurePath(match['file']).name}:{match['line']}"
    category = getattr(builtins, match["category"], None)
    if isinstance(category, type) and issubclass(category, Warning):
        return category(f"{message} ({place})")
    return RemoteWarning(f"{match['category']}: {message} ({place})")


def give_warnings(texts: Sequence[str], stacklevel: int) -> None:
    """Give the warnings of a call that has ended, as if the caller's line had warned.

    Not at once: a filter that turns warnings into errors must raise where the call was made, not
    on the thread that receives.
    """
    for text in texts:
        warnings.warn(read_warning(text), stacklevel=stacklevel + 1)


def give_warnings_at(given: Sequence[tuple[str, str, int]]) -> None:
    """Give warnings as if the line of a file had warned, for each: text, file, line."""
    for text, file, line in given:
        warnings.warn_explicit(read_warning(text), None, file, line)
