"""The notebooks of the repository, run against the server they are written for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

import rpcnb
from rpcnb.endpoint.server import load_functions
from rpcnb.session.functions import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"


@pytest.fixture
def demo_address(folders: None) -> Iterator[str]:
    """Serve the demo functions in a thread of this process."""
    load_functions(["rpcnb.demo.functions"])
    with rpcnb.Server(name="demo", registry=REGISTRY, in_process=True) as server:
        yield server.url.removeprefix("tcp://")


def output_of(notebook: nbformat.NotebookNode, source: str) -> str:
    """Return what the one cell that contains `source` shows, as text."""
    (cell,) = [c for c in notebook.cells if c.cell_type == "code" and source in c.source]
    return "\n".join(o.get("text") or o.data.get("text/plain", "") for o in cell.outputs)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == []


@pytest.mark.slow
def test_the_quickstart_does_what_it_says(demo_address: str) -> None:
    text = (NOTEBOOKS / "01_quickstart.ipynb").read_text("utf-8")
    notebook = nbformat.reads(text.replace("127.0.0.1:9090", demo_address), as_version=4)
    NotebookClient(notebook, timeout=50, kernel_name="python3").execute()
    assert "8 functions on demo" in output_of(notebook, "remote.functions")
    assert "u8[1281, 1920, 3]" in output_of(notebook, "picture = remote.array")
    assert "blurred 1281 x 1920 pixels" in output_of(notebook, "blurred = blur(")
    assert "u8[600, 900, 3]" in output_of(notebook, "middle = blurred[")
    assert "a.to_numpy()" in output_of(notebook, "np.asarray(blurred)")
    assert "blurred 427 x 640" in output_of(notebook, "await call")
    assert output_of(notebook, "counting.cancel()").endswith("True")
    assert "cancelled" in output_of(notebook, "RemoteCancelled")
    assert (
        output_of(notebook, "islice(") == "[2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47]"
    )
    assert "slope 2.9" in output_of(notebook, "callback=note")
    assert "Remote traceback" in output_of(notebook, 'sigma="wide"')
    assert "11 handles" in output_of(notebook, "garden.free()")
    assert "disconnected from demo" in output_of(notebook, "%disconnect_remote")
    assert "closed" in notebook.cells[-1].outputs[0].data["text/plain"]
