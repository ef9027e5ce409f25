"""A notebook that was run, saved, and is looked at later: untrusted, or as a page of HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbconvert import HTMLExporter

if TYPE_CHECKING:
    from collections.abc import Callable

CELLS = [
    "%load_ext rpcnb\n%connect_remote {address}",
    "a = remote.fn.lab.make(10, 10)\na",
    "call = remote.fn.lab.add.submit(1, 2)\ncall.result()\ncall",
    "%remote_handles",
    "%remotes",
    "%remote_panel",
    "remote.fn.lab.slow(steps=20)",
]
READ = {
    0: "lab · 127.0.0.1:",
    1: "f32[10, 10]",
    2: "✓ returned 3",
    3: "f32[10, 10] on cpu:0",
    4: "live",
    5: "lab as it was when this panel was opened",
    6: "steps 20/20 (100%)",
}
"""Cell -> what its reader must find."""


@pytest.mark.slow
def test_what_was_shown_is_read_without_a_kernel_and_without_trust(
    open_notebook: Callable[..., Any], lab_address: str
) -> None:
    notebook = open_notebook([cell.format(address=lab_address) for cell in CELLS])
    notebook.run_all()
    notebook.wait_text(6, "100%")
    notebook.wait_idle()
    notebook.save()
    saved = nbformat.read(notebook.path, as_version=4)
    saved.metadata["changed"] = "elsewhere"  # so that its signature does not hold here
    for cell in saved.cells:
        cell.metadata.pop("trusted", None)
    later = open_notebook(saved)
    for index, text in READ.items():
        later.wait_text(index, re.escape(text), timeout=5)
    live = later.output(5).locator(".jp-OutputArea-child").last
    told = [child.inner_text() for child in later.panel.locator(".jp-OutputArea-child").all()]
    assert [text for text in told if "not found" in text] in ([], [live.inner_text()])
    assert later.complaints == []
    assert later.outside == []
    later.keep_page("saved-and-untrusted")
    read_as_a_page(saved, later)


def read_as_a_page(saved: nbformat.NotebookNode, notebook: Any) -> None:
    """Convert it, and read the page in the same browser."""
    html, _ = HTMLExporter(embed_images=True).from_notebook_node(saved)
    path = notebook.path.with_suffix(".html")
    path.write_text(html, "utf-8")
    page = notebook.page
    page.goto(f"file://{path}")
    shown = page.locator("body").inner_text()
    assert [text for text in READ.values() if text not in shown] == []
    notebook.keep_page("saved-as-html")
