"""The harness itself: both front ends run a cell, and stay on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lab", "notebook"])
def test_a_cell_runs_in_the_browser(
    open_notebook: Callable[..., Any], lab_address: str, kind: str
) -> None:
    notebook = open_notebook(["%load_ext rpcnb", f"%connect_remote {lab_address}"], kind=kind)
    notebook.run_all()
    notebook.wait_text(1, "lab · 127.0.0.1")
    notebook.wait_idle()
    assert notebook.tracebacks() == {}
    assert notebook.complaints == []
    assert notebook.outside == []
