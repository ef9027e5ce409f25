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
            f"await slow.submit({str(marker)!r}, 80)",
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

    notebook.start(4)
    cancel.wait_for()
    began = monotonic()
    notebook.press_stop()
    notebook.wait_text(4, "RemoteCancelled: lab.slow stopped after .*confirmed by lab")
    assert monotonic() - began < 1.0
    notebook.wait_idle()
    assert notebook.run(3).strip() == "(42, True)"
    assert not marker.exists()
    use_the_table_by_keys(notebook, panel)
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


def use_the_table_by_keys(notebook: Any, panel: Any) -> None:
    """Reach, sort, inspect and free by keys alone; letters stay in the view."""
    keys, focused = notebook.page.keyboard, notebook.page.locator(":focus")
    table = panel.get_by_role("grid", name="Handles")
    sources = notebook.sources()
    table.get_by_role("button", name="Name").focus()  # the table's one tab stop, at first
    for key in ["ArrowRight"] * 3 + ["Enter", "ArrowDown", "Home", *"aabbddii"]:
        keys.press(key)
    assert notebook.sources() == sources
    assert focused.inner_text() == "image"  # the largest is the first now
    keys.press("Enter")
    panel.locator(".rx-inspector[data-ready='true']").wait_for()
    assert focused.inner_text() == "Close"
    keys.press("Enter")
    assert focused.inner_text() == "image"
    keys.press("p")
    row = table.get_by_role("row").filter(has_text="image")
    row.get_by_text("(pinned)").wait_for()
    panel.get_by_text("image.pin()").wait_for()
    keys.press("Delete")
    row.wait_for(state="detached")
    assert notebook.sources() == sources
