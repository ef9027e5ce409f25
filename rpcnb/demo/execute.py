"""Runs a notebook without a browser and prints it as plain text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

CELL_TIMEOUT = 120
"""Seconds one cell may take."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def execute_notebook(path: Path) -> bool:
    """Run a notebook's cells in a fresh kernel, printing each with its outputs.

    Returns
    -------
    bool
        Whether all cells ran without an error; the first one that did not is the last that ran.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # it ships no types
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # it would warn of its own loopback connections
        resources={"metadata": {"path": str(path.parent)}},
    )
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "markdown":
                print(f"\n{cell.source}")
                continue
            print(f"\nIn [{index}]:\n{_indented(cell.source)}", flush=True)
            try:
                client.execute_cell(cell, index)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                _print_outputs(cell)
                print(f"\ncell {index} failed: {type(error).__name__}", flush=True)
                return False
            _print_outputs(cell)
    return True


def _print_outputs(cell: Any) -> None:
    for output in cell.outputs:
        text = output_text(output)
        if text:
            print(f"Out:\n{_indented(text)}", flush=True)


def output_text(output: Any) -> str:
    """Return one output of a cell as plain text."""
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return _COLOURS.sub("", "\n".join(output.traceback))
    return str(output.data.get("text/plain", ""))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.rstrip().splitlines())
