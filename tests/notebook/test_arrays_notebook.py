"""The notebook about arrays, run against a server that knows no functions of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

import rpcnb
from rpcnb.session.functions import FunctionRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTEBOOK = Path(__file__).parent.parent.parent / "notebooks" / "02_arrays.ipynb"


@pytest.fixture
def address(folders: None) -> Iterator[str]:
    with rpcnb.Server(name="lab", registry=FunctionRegistry()) as server:
        yield server.url.removeprefix("tcp://")


def output_of(notebook: nbformat.NotebookNode, source: str) -> str:
    """Return what the one cell that contains `source` shows, as text."""
    (cell,) = [c for c in notebook.cells if c.cell_type == "code" and source in c.source]
    return "\n".join(o.get("text") or o.data.get("text/plain", "") for o in cell.outputs)


@pytest.mark.slow
def test_the_notebook_about_arrays_does_what_it_says(address: str) -> None:
    text = NOTEBOOK.read_text("utf-8").replace("127.0.0.1:9090", address)
    notebook = nbformat.reads(text, as_version=4)
    NotebookClient(notebook, timeout=50, kernel_name="python3").execute()
    assert "f64[1797, 64] 898.5 KiB ∈ [0, 16]" in output_of(notebook, "X.summary()")
    assert "f64[1797, 2]" in output_of(notebook, "pca.transform(X)")
    assert "as here: True" in output_of(notebook, "fit_transform(digits.data)")
    assert "f64[427, 640]" in output_of(notebook, "fftshift")
    assert "shares memory: True | masked copy: False" in output_of(notebook, "view += 100")
    assert "pins=2097152" in output_of(notebook, "del big")
    assert output_of(notebook, "corner.copy()") == "[24]"
    assert "898.5 KiB" in output_of(notebook, "except rpcnb.ImplicitTransferError")
    assert "(1797, 64)" in output_of(notebook, "implicit_transfers")
