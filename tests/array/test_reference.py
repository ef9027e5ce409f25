from __future__ import annotations

from pathlib import Path

from rpcnb.array.reference import reference
from rpcnb.array.table import operations

PAGE = Path(__file__).parents[2] / "docs" / "arrays.md"


def test_the_page_is_that_of_the_rows() -> None:
    message = "out of date: python -m rpcnb.array.reference > docs/arrays.md"
    assert PAGE.read_text(encoding="utf-8") == reference(), message


def test_every_function_of_the_namespace_is_on_it_with_its_signature() -> None:
    page = reference()
    for name in ("add(x1, x2, /)", "linalg.svd(x, /, *, full_matrices=True)", "fft.rfft("):
        assert f"`xp.{name}" in page
    assert "`a.sum(axis=None, dtype=None, out=None, keepdims=False)`" in page
    assert "Returns `U`, `S`, `Vh`." in page
    rows = [one for one in operations().values() if one.group in {"elementwise", "linalg"}]
    assert all(f"`xp.{one.name}{one.signature}`" in page for one in rows)
