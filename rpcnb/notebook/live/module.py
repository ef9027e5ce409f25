"""The browser's side as one ES module, joined from the files of ``static``.

A widget carries its whole source as one string, and may import nothing by an address. So the files
are plain modules, which node checks and tests one by one, and are joined here: in the order in which
they need each other, without comments, lines that import and the word that exports. That works because
they import only each other, on single lines, and no two of them use the same name at their top level;
tests/notebook/live/test_module.py checks it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent.parent / "static"
ENTRY = "main.js"

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+\.js)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\b)", re.MULTILINE)
COMMENT = re.compile(r"^[ \t]*(?:/\*\*(?:(?!\*/).)*\*/|//[^\n]*)[ \t]*\n", re.MULTILINE | re.DOTALL)
"""Whole lines of them, which the browser needs not: a fifth of what each widget would send."""


@cache
def source() -> str:
    """Return the module."""
    return "\n".join(_without_imports(name) for name in order(ENTRY))


@cache
def style() -> str:
    """Return the style sheet."""
    return (STATIC / "live.css").read_text("utf-8")


def order(entry: str) -> list[str]:
    """Return the files that one needs and the file itself, each after those it needs."""
    found: list[str] = []

    def visit(name: str) -> None:
        if name not in found:
            for _, needed in IMPORT.findall(_read(name)):
                visit(needed)
            found.append(name)

    visit(entry)
    return found


def _read(name: str) -> str:
    return (STATIC / name).read_text("utf-8")


def _without_imports(name: str) -> str:
    return COMMENT.sub("", EXPORT.sub("", IMPORT.sub("", _read(name)))).strip() + "\n"
