from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rpcnb.demo.execute import execute_notebook, output_text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_a_cell_that_fails_is_the_last(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cells = [
        new_markdown_cell("# A title"),
        new_code_cell("print('one')\n1 + 1"),
        new_code_cell("1 / 0"),
        new_code_cell("print('never')"),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "n.ipynb")
    assert not execute_notebook(tmp_path / "n.ipynb")
    out = capfd.readouterr().out
    assert "# A title" in out
    assert "In [1]:\n    print('one')\n    1 + 1\nOut:\n    one\nOut:\n    2\n" in out
    assert "ZeroDivisionError: division by zero" in out
    assert "cell 2 failed" in out
    assert "Out:\n    never" not in out


def test_outputs_become_plain_text() -> None:
    shown = new_output("display_data", {"text/html": "<b>x</b>", "text/plain": "x"})
    picture = new_output("display_data", {"image/png": "AAAA"})
    error = new_output("error", ename="E", evalue="v", traceback=["\x1b[31mred\x1b[0m", "plain"])
    assert [output_text(o) for o in (shown, picture, error)] == ["x", "", "red\nplain"]
