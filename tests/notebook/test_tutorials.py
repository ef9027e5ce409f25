"""The notebooks that start servers of their own, run from top to bottom."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"


class Ran:
    """A notebook that was run."""

    def __init__(self, name: str) -> None:
        self.notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        NotebookClient(self.notebook, timeout=50, kernel_name="python3").execute()

    def __getitem__(self, source: str) -> str:
        """Return what the one cell that contains `source` shows, as text."""
        code = [c for c in self.notebook.cells if c.cell_type == "code" and source in c.source]
        (cell,) = code
        return "\n".join(o.get("text") or o.data.get("text/plain", "") for o in cell.outputs)


@pytest.mark.slow
def test_the_notebook_about_handles_does_what_it_says(folders: None) -> None:
    ran = Ran("04_handles_and_lifetimes.ipynb")
    assert "f64[1, 131072] 1.0 MiB" in ran["a = make(1)"]
    assert ran["del a"].startswith("1,048,576 bytes over there")
    assert ran["xdel"] == "0 bytes over there\n"
    assert "a view that keeps 8,388,608 bytes alive" in ran["corner = big["]
    assert ran["corner.copy()"].endswith("\n80 bytes over there\n")
    assert ran["kept = ["] == "7 MiB over there\n"
    assert ran["del kept"] == "1 MiB over there\n"
    assert "(freed)> was freed" in ran["with make(1)"]
    assert "disconnected from lab" in ran["%disconnect_remote"]


@pytest.mark.slow
def test_the_notebook_about_looking_does_what_it_says(folders: None) -> None:
    ran = Ran("05_look_into_arrays.ipynb")
    assert "16 MiB stay there, 193 KiB moved" in ran["def moved"]
    assert ran["xp.isnan"] == "[682, 512]"
    assert "nan" in ran["row, column = place"]
    assert "1.003]" in ran["a[1024, 1638] = 0"]
    assert "f32[8, 256, 256]" in ran["film.inspect()"]
    assert ran["planes ="].count("(64, 64)") == 3
