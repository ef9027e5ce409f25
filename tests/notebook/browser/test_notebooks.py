"""Tutorial notebooks as a person runs them, and as they read when they are opened again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
LOST = "model not found"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lab", pytest.param("notebook", marks=pytest.mark.nightly)])
def test_the_notebook_about_handles_runs_and_reads_without_its_kernel(
    open_notebook: Callable[..., Any], kind: str
) -> None:
    notebook = open_notebook(NOTEBOOKS / "04_handles_and_lifetimes.ipynb", kind=kind)
    notebook.run_all()
    notebook.page.get_by_text("disconnected from lab").wait_for()
    notebook.wait_idle()
    assert notebook.tracebacks() == {}
    bar = notebook.page.get_by_role("group", name="Session")
    bar.scroll_into_view_if_needed()  # nobody is told who does not look
    bar.get_by_text("○ closed").wait_for()
    notebook.save()
    assert notebook.complaints == []
    assert notebook.outside == []

    again = open_untrusted(open_notebook, notebook.path)
    assert "lab as it was when this panel was opened" in again.panel.inner_text()
    assert "live view of lab: open this notebook with its kernel" in again.panel.inner_text()
    assert LOST not in again.panel.inner_text()
    assert again.outside == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["notebook", pytest.param("lab", marks=pytest.mark.nightly)])
def test_the_notebook_about_looking_runs_and_reads_in_html(
    open_notebook: Callable[..., Any], kind: str
) -> None:
    notebook = open_notebook(NOTEBOOKS / "05_look_into_arrays.ipynb", kind=kind)
    notebook.run_all()
    notebook.page.get_by_text("KiB moved").first.wait_for()
    notebook.page.locator(".rx-inspector[data-ready='true']").nth(1).wait_for()
    notebook.wait_idle()
    assert notebook.tracebacks() == {}
    notebook.save()
    assert notebook.complaints == []
    assert notebook.outside == []

    again = open_untrusted(open_notebook, notebook.path)
    picture = again.panel.locator("img[alt^='f32[2048, 2048]']")
    again.panel.get_by_text("picture and figures").first.click()
    picture.wait_for()
    assert picture.evaluate("(image) => image.complete && image.naturalWidth") >= 128
    html = as_html(notebook.path)
    assert "f32[8, 256, 256] 2.0 MiB" in html
    assert LOST not in html


def open_untrusted(open_notebook: Callable[..., Any], path: Path) -> Any:
    """Open what was saved as if it came from elsewhere, with a kernel that knows nothing of it."""
    document = nbformat.read(path, as_version=4)
    document.cells.append(nbformat.v4.new_markdown_cell("from elsewhere"))  # its signature is void
    copy = path.with_name(f"copy-{path.name}")
    nbformat.write(document, copy)
    return open_notebook(copy)


def as_html(path: Path) -> str:
    command = ["-m", "nbconvert", "--to", "html", "--stdout", "--log-level=ERROR", str(path)]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=50, check=True
    )
    return done.stdout
