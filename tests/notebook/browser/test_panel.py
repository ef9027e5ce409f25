"""The panel in both front ends: what moves, and what its buttons do."""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARRAYS = "make = remote.fn.lab.make\nimage, mask = make(600, 100), make(200, 100); half = image[:300]; make(400, 100)"
PANEL = "from rpcnb.notebook.panel import open_panel; open_panel(remote)"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lab", "notebook"])
def test_a_blocked_cell_is_watched_and_stopped_from_the_panel(
    open_notebook: Callable[..., Any], lab_address: str, tmp_path: Path, kind: str
) -> None:
    marker = tmp_path / "marker"
    notebook = open_notebook(
        [
            f"%load_ext rpcnb\n%connect_remote {lab_address}\n{ARRAYS}",
            PANEL,
            f"slow = remote.fn.lab.slow\nslow({str(marker)!r}, 80)",
            "import time\nbegan = time.perf_counter()\nremote.fn.lab.add(40, 2), time.perf_counter() - began < 0.3",
        ],
        kind=kind,
    )
    notebook.run(0)
    notebook.run(1)
    panel = notebook.output(1)
    panel.get_by_role("group", name="Session").get_by_text("● live").wait_for()

    notebook.start(2)
    cancel = panel.get_by_role("button", name=re.compile("^Cancel call"))
    cancel.wait_for()
    assert len(progress_seen(panel, 1.0)) >= 4
    notebook.picture(f"panel-running-{kind}", 1)
    began = monotonic()
    cancel.click()
    notebook.wait_text(2, "RemoteCancelled: lab.slow stopped after .*confirmed by lab")
    assert monotonic() - began < 1.0
    notebook.wait_idle()
    assert notebook.run(3).strip() == "(42, True)"
    calls = panel.get_by_role("grid", name="Calls")
    calls.get_by_text("⊘ cancelled").wait_for()

    notebook.start(2)
    cancel.wait_for()
    began = monotonic()
    notebook.press_stop()
    notebook.wait_text(2, "RemoteInterrupted.*confirmed")
    assert monotonic() - began < 1.0
    notebook.wait_idle()
    assert notebook.run(3).strip() == "(42, True)"
    assert calls.get_by_text("⊘ cancelled").count() == 2
    notebook.picture(f"panel-cancelled-{kind}", 1)
    assert not marker.exists()
    assert notebook.complaints == []
    assert notebook.outside == []


def progress_seen(panel: Any, seconds: float) -> list[str]:
    """Watch the progress of what runs; return its different texts."""
    bar = panel.get_by_role("progressbar").first
    bar.wait_for()
    return bar.evaluate(
        """(bar, wait) => new Promise((resolve) => {
          const seen = new Set();
          const look = () => seen.add(bar.getAttribute('aria-valuetext'));
          const timer = setInterval(look, 20);
          setTimeout(() => { clearInterval(timer); resolve([...seen]); }, wait);
        })""",
        seconds * 1000,
    )
