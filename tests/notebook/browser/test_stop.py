"""The stop button in our own kernel; test_panel.py presses it in both front ends."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from rpcnb.notebook.kernelspec import install

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 20
"""What a call takes that nobody stops."""
CELLS = [
    "%connect_remote {address}",
    "slow = remote.fn.lab.slow\nslow({marker!r}, steps=400)",
    "remote.fn.lab.add(40, 2)",
    "remote.fn.lab.shout()",
]


@pytest.fixture
def our_kernel(site: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the server find the `rpcnb` kernel."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", site.environment["JUPYTER_DATA_DIR"])
    install(user=True)
    return "rpcnb"


@pytest.mark.slow
def test_stop_ends_a_cell_that_waits_and_the_call_over_there(
    open_notebook: Callable[..., Any], lab_address: str, our_kernel: str, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    cells = [cell.format(address=lab_address, marker=str(marker)) for cell in CELLS]
    notebook = open_notebook(cells, kernel=our_kernel)
    notebook.run(0)
    began = monotonic()
    notebook.start(1)
    first = notebook.wait_text(1, r"steps \d+/400")
    notebook.wait_text(1, rf"steps (?!{first.split()[1]})\d+/400")  # it moves while the cell waits
    notebook.press_stop()
    notebook.wait_text(1, r"RemoteInterrupted: lab\.slow stopped after .* \(confirmed by lab\)")
    notebook.wait_idle()
    assert notebook.run(2).strip().endswith("42")
    assert monotonic() - began < SECONDS
    assert not marker.exists()
    notebook.start(3)
    notebook.wait_text(3, "left out: too many at once")
    notebook.press_stop()  # which JupyterLab must have time to notice
    notebook.wait_text(3, r"RemoteInterrupted: lab\.shout stopped after .* \(confirmed by lab\)")
    assert notebook.complaints == []
    assert notebook.outside == []
