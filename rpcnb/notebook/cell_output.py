"""What a remote cell displays, in this notebook: pictures and text, or everything where trusted.

A server chooses what it sends, and a notebook runs the HTML and the scripts of a cell that was just
run. So of an untrusted session only forms are shown that can do no more than look: plain text,
bitmaps that were decoded here once, and formulas without commands that reach out of them. HTML is
shown as text, and a line says so.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from IPython.display import clear_output, display

from rpcnb.core.visible import coloured, visible
from rpcnb.notebook.displays import quiet
from rpcnb.notebook.flood import DISPLAYS, Allowance, left_out

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote

BITMAPS = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
MARKUP = ("text/html", "text/markdown", "image/svg+xml", "application/javascript")
"""What may run scripts or fetch from elsewhere, the most readable as text first."""
KEPT_MARKUP = 2000
"""Characters of markup that are shown as text."""
KEPT_LATE = 20
"""Displays that came too fast and are shown when the cell has ended."""
_EMPTY_REPR = re.compile(r"<IPython\.core\.display\.\w+ object>")
_REACHING = re.compile(
    r"\\(href|url|class|cssId|style|data|require|includegraphics|html\w*|unicode|toggle|action"
    r"|mmlToken|bbox|csname)(?![a-zA-Z])"
)
"""Commands of MathJax that leave the formula: links, attributes, extensions."""

TRUSTED: WeakSet[Remote] = WeakSet()
"""Sessions whose markup is shown as such: the user said so."""
_TOLD: WeakSet[Remote] = WeakSet()
"""Sessions of which was said that their markup is shown as text."""


class CellOutput:
    """Shows what one cell displays.

    Parameters
    ----------
    remote : Remote
        Where the cell runs.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._trusted = remote in TRUSTED
        self._withheld = False
        self._allowance = Allowance(*DISPLAYS)
        self._dropped = 0
        self._late: dict[str | None, tuple[str, dict[str, Any], dict[str, Any], str]] = {}

    def show(
        self, what: str, data: dict[str, Any], metadata: dict[str, Any], display_id: str
    ) -> None:
        """Show something; see `CellView`.  Of what comes too fast, the last is shown at the end."""
        if not self._allowance.take(1):
            self._dropped += 1
            self._late[display_id or None] = what, data, metadata, display_id
            return
        self._late.pop(display_id or None, None)
        self._show(what, data, metadata, display_id)

    def _show(
        self, what: str, data: dict[str, Any], metadata: dict[str, Any], display_id: str
    ) -> None:
        if what == "clear":
            clear_output(wait=bool(metadata.get("wait")))
            return
        bundle = dict(data) if self._trusted else self._harmless(data)
        sizes = metadata if self._trusted else picture_sizes(metadata)
        name = f"{self._remote.session.table_index}-{visible(display_id)}" if display_id else None
        display(bundle, metadata=sizes, raw=True, display_id=name, update=what == "update")

    def end(self) -> None:
        """Show what came late, and say what was left out; once for each session, what was not trusted."""
        note = left_out(self._dropped - len(self._late), "display")
        if note:
            print(note.strip())
        for late in list(self._late.values())[-KEPT_LATE:]:
            self._show(*late)
        if self._withheld and self._remote not in _TOLD:
            _TOLD.add(self._remote)
            text = (
                f"markup of {self._remote.name} is shown as text; "
                "%connect_remote … --trust shows it as it is meant"
            )
            display({"text/plain": visible(text), "text/html": quiet(text)}, raw=True)

    def _harmless(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the forms of a display that can do no harm; always one of plain text."""
        text = str(data.get("text/plain", ""))
        markup = next((str(data[mime]) for mime in MARKUP if mime in data), "")
        if markup and (not text or _EMPTY_REPR.fullmatch(text)):
            text = markup[:KEPT_MARKUP]
        bundle: dict[str, Any] = {"text/plain": coloured(text)}
        for mime in BITMAPS.intersection(data):
            picture = bitmap(data[mime])
            if picture is not None:
                bundle[mime] = picture
        self._withheld |= bool(markup) and len(bundle) == 1
        formula = data.get("text/latex")
        if isinstance(formula, str) and not _REACHING.search(formula):
            bundle["text/latex"] = formula
        return bundle


def bitmap(data: object) -> str | None:
    """Return a picture's base64 text, made here: the other side's own may hold anything."""
    try:
        return base64.b64encode(base64.b64decode(str(data), validate=False)).decode("ascii")
    except (binascii.Error, ValueError):
        return None


def picture_sizes(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the sizes that pictures are to be shown in, and nothing else."""
    return {
        mime: {
            k: v for k, v in metadata[mime].items() if k in {"width", "height"} and type(v) is int
        }
        for mime in BITMAPS.intersection(metadata)
        if isinstance(metadata[mime], dict)
    }
