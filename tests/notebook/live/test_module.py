"""The browser's side: checked by node, tested by node's own test runner."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from rpcnb.notebook.live.module import ENTRY, STATIC, order, source, style

TESTS = Path(__file__).parent.parent / "static"
FILES = sorted(STATIC.glob("*.js"))


def node(*arguments: str | Path, text: str | None = None) -> None:
    done = subprocess.run(
        ["node", *arguments], input=text, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_node_can_read_each_file(path: Path) -> None:
    node("--check", path)


def test_node_can_read_the_whole(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mjs"
    whole.write_text(source(), "utf-8")
    node("--check", whole)


@pytest.mark.slow
def test_the_modules_do_what_their_tests_say() -> None:
    node("--test", *sorted(TESTS.glob("*.test.js")))


def test_every_file_is_part_of_the_whole_after_what_it_needs() -> None:
    files = order(ENTRY)
    assert sorted(files) == [path.name for path in FILES]
    for number, name in enumerate(files):
        needed = re.findall(r'from "\./([\w-]+\.js)"', (STATIC / name).read_text("utf-8"))
        assert set(needed) <= set(files[:number])


def test_the_whole_imports_nothing_and_is_small() -> None:
    assert not re.search(r"^\s*(import|export (?!default))", source(), re.MULTILINE)
    assert "http" not in source() + style()
    assert len(source().encode()) < 80 * 1024
    assert len(style().encode()) < 12 * 1024


def test_text_enters_the_page_as_text_only() -> None:
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
    assert [word for word in forbidden if word in source()] == []
