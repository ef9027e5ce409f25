"""HTML out of text that nobody vouches for.

`tag` is the only maker of `Html`, and escapes everything that is not `Html` already, so that a
string from a server cannot become markup by being forgotten somewhere.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from rpcnb.core.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LINE = "1px solid rgba(128, 128, 128, 0.4)"
CELL = f"border: {LINE}; padding: 2px 8px; text-align: left; vertical-align: top"
NUMBER = f"border: {LINE}; padding: 2px 8px; text-align: right; vertical-align: top"
"""Inline styles; no colour of text, so that light and dark themes both keep theirs."""


class Html(str):
    """Markup, made by `tag` and `join`."""

    __slots__ = ()


def tag(name: str, *children: object, **attributes: object) -> Html:
    """Return an element.

    Parameters
    ----------
    name : str
        Of the element.
    *children : object
        `Html` as it is, anything else as text.
    **attributes : object
        Values are escaped; None leaves the attribute out.
    """
    given = "".join(
        f' {key}="{html.escape(visible(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(parts: Iterable[object]) -> Html:
    """Return `Html` and texts one after the other."""
    return Html("".join(p if isinstance(p, Html) else html.escape(visible(p)) for p in parts))


def table(
    head: Sequence[str] | None,
    rows: Iterable[Sequence[object]],
    *,
    numbers: frozenset[int] = frozenset(),
) -> Html:
    """Return a table.

    Parameters
    ----------
    head : sequence of str, optional
        Titles of the columns.
    rows : iterable of rows
        Each a sequence of cells.
    numbers : set of int
        The columns that are aligned to the right.
    """
    styles = dict.fromkeys(numbers, NUMBER)

    def row(kind: str, cells: Sequence[object]) -> Html:
        return tag("tr", *(tag(kind, c, style=styles.get(i, CELL)) for i, c in enumerate(cells)))

    first = [] if head is None else [tag("thead", row("th", head))]
    body = tag("tbody", *(row("td", cells) for cells in rows))
    return tag("table", *first, body, style="border-collapse: collapse; margin: 4px 0")


def details(summary: object, *children: object) -> Html:
    """Return what unfolds under a click, without any script."""
    return tag("details", tag("summary", summary, style="cursor: pointer"), *children)
