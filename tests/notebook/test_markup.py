from __future__ import annotations

import html.parser
import unicodedata

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.visible import visible
from rpcnb.notebook.markup import details, join, table, tag


class Reader(html.parser.HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(name)
        self.attributes += attributes

    def handle_data(self, text: str) -> None:
        self.texts.append(text)


@given(st.text(), st.text())
def test_no_text_becomes_markup(content: str, attribute: str) -> None:
    page = Reader(tag("p", content, style=attribute))
    assert page.tags == ["p"]
    assert page.attributes == [("style", visible(attribute))]
    assert "".join(page.texts) == visible(content)


@given(st.text())
def test_what_hides_or_reorders_is_escaped(text: str) -> None:
    categories = {unicodedata.category(c) for c in visible(text) if c not in "\n\t"}
    assert categories.isdisjoint({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u202eabc", "\\u202eabc"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc", "a\nb\tc"),
        ("grüße 図", "grüße 図"),
        ("\ud800", "\\ud800"),
    ],
)
def test_readable_text_stays(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_markup_is_nested_not_escaped() -> None:
    assert tag("b", tag("i", "x"), " & y") == "<b><i>x</i> &amp; y</b>"
    assert join(["<", tag("i", "x")]) == "&lt;<i>x</i>"
    assert tag("progress", value=None, max=1) == '<progress max="1"></progress>'


def test_tables_align_numbers_to_the_right() -> None:
    text = table(("name", "size"), [("a", 1)], numbers=frozenset({1}))
    assert [t for t in Reader(text).texts if t] == ["name", "size", "a", "1"]
    styles = [value for name, value in Reader(text).attributes if name == "style"][1:]
    assert ["right" in str(style) for style in styles] == [False, True, False, True]
    assert "thead" not in Reader(table(None, [("a", 1)])).tags


def test_details_fold() -> None:
    assert Reader(details("more", "text")).tags == ["details", "summary"]
