"""The notebook about TVM devices, run against TVM's own server."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent.parent / "notebooks" / "07_tvm_device.ipynb"


def output_of(notebook: nbformat.NotebookNode, source: str) -> str:
    """Return what the one cell that contains `source` shows, as text."""
    (cell,) = [c for c in notebook.cells if c.cell_type == "code" and source in c.source]
    return "\n".join(o.get("text") or o.data.get("text/plain", "") for o in cell.outputs)


@pytest.mark.slow
@pytest.mark.timeout(180)  # it starts a kernel and a server, and both import much
def test_the_notebook_starts_a_tvm_server_and_does_what_it_says() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    # The last cell ends the server, so that it has to run whatever happens before.
    NotebookClient(notebook, timeout=50, kernel_name="python3", allow_errors=True).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert "<Remote device at tvm://" in output_of(notebook, "rpcnb.connect")
    assert output_of(notebook, "add_one(41)") == "42"
    assert output_of(notebook, "adder(5)") == "15"
    assert "no such layer" in output_of(notebook, "rpc.test.except")
    assert "[3, 4]" in output_of(notebook, "image = remote")
    assert "[ 0.,  0.,  0.,  0.]" in output_of(notebook, "image[1] = 0")
    assert "[10]" in output_of(notebook, "remote_return_nd")
    assert "5 measurements" in output_of(notebook, "time_evaluator")
    assert output_of(notebook, "remote.upload").endswith("b'weights'")
    assert output_of(notebook, "submit") == "[1, 2, 3]"
    assert "rpc.test.addone" in output_of(notebook, "remote.handles")
    lines = output_of(notebook, "rpcnb.tvm.trace").splitlines()
    assert [line.split("ms  ")[1].split()[:2] for line in lines] == [
        ["→", "Call"],
        ["←", "Result"],
        ["→", "CopyFrom"],
        ["←", "CopyAck"],
    ]
