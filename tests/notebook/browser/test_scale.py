"""Ten thousand handles and five thousand calls in one panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HANDLES, CALLS = 10_000, 5_000
SECONDS = 540
LOOK = """() => [
  window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.status === 'idle',
  window.rxTook.length,
]"""
FILL = f"""
from rpcnb.core.events import EVENTS, CallChanged, CallPhase, HandleIssued
from time import monotonic
index, now = remote.session.table_index, monotonic()
for n in range({HANDLES}):
    EVENTS.emit(HandleIssued(index, 100_000 + n, "array", 1000 + n % 5000, "f32[250]", 0, now - n / 1000))
for n in range({CALLS}):
    EVENTS.emit(CallChanged(index, 100_000 + n, "lab.work", CallPhase.SENT, time=now - n))
    EVENTS.emit(CallChanged(index, 100_000 + n, "lab.work", CallPhase.FINISHED, time=now - n + 0.5))
"""
BURY = f"""
from rpcnb.core.events import HandleFreed
for n in range({HANDLES}):
    EVENTS.emit(HandleIssued(index, 200_000 + n, "array", 1000, "f32[250]", 0, now))
    EVENTS.emit(HandleFreed(index, 200_000 + n))
"""
"""As many as are kept when they have gone: from here on, one more is one less."""
CHURN = """
import time
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    x = remote.zeros(10)
    time.sleep(0.02)
"""
WATCH = """(root) => {
  window.rxTook = [];
  new MutationObserver(() => window.rxTook.push(Number(root.dataset.took)))
    .observe(root, { attributes: true, attributeFilter: ['data-took'] });
}"""


def fill(open_notebook: Callable[..., Any], address: str) -> Any:
    connect = f"%load_ext rpcnb\n%connect_remote {address}"
    panel = "from rpcnb.notebook.panel import open_panel; open_panel(remote)"
    notebook = open_notebook([connect, panel, FILL, "", ""])
    for cell in range(3):
        notebook.run(cell)
    bands = notebook.output(1).locator(f"canvas.rx-ribbons[data-bands='{HANDLES}']")
    bands.wait_for()
    return notebook


@pytest.mark.slow
def test_rows_out_of_view_are_not_in_the_page(
    open_notebook: Callable[..., Any], lab_address: str
) -> None:
    notebook = fill(open_notebook, lab_address)
    for label, count in (("Handles", HANDLES), ("Calls", CALLS)):
        grid = notebook.output(1).get_by_role("grid", name=label)
        assert int(grid.get_attribute("aria-rowcount")) == count + 1
        assert grid.locator(".rx-row").count() < 40
    notebook.output(1).locator(".rx-root").evaluate(WATCH)
    notebook.execute(3, CHURN.format(seconds=3))
    took = notebook.page.evaluate("window.rxTook")
    assert len(took) >= 6
    notebook.output(1).get_by_role("grid", name="Handles").get_by_role(
        "button", name="Bytes"
    ).focus()
    notebook.page.keyboard.press("Enter")
    notebook.page.keyboard.press("ArrowDown")
    for _ in range(3):
        notebook.page.keyboard.press("PageDown")
    assert notebook.page.locator(":focus").count() == 1
    assert notebook.complaints == []


class MainThread:
    """What the page's main thread computes: its own time, which a busy machine does not lengthen."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy(self) -> float:
        """Return milliseconds of work since the page was opened."""
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    def while_running(self, notebook: Any, cell: int) -> list[float]:
        """Run a cell; return the milliseconds of work an update took, look by look, ascending."""
        notebook.start(cell)
        self._page.wait_for_timeout(1000)
        found, before, counted, idle = [], self.busy(), 0, False
        while not idle:
            self._page.wait_for_timeout(50)
            idle, count = self._page.evaluate(LOOK)
            now = self.busy()
            found.append((now - before) / max(count - counted, 1))
            before, counted = now, count
        return sorted(found)

    def heap(self) -> int:
        """Return the bytes of the page's objects, after collecting what is garbage."""
        self._session.send("HeapProfiler.collectGarbage")
        return int(self._session.send("Runtime.getHeapUsage")["usedSize"])


@pytest.mark.nightly
@pytest.mark.timeout(1500)
def test_updates_are_short_and_memory_is_steady_for_ten_minutes(
    open_notebook: Callable[..., Any], lab_address: str
) -> None:
    notebook = fill(open_notebook, lab_address)
    notebook.output(1).locator(".rx-root").evaluate(WATCH)
    thread = MainThread(notebook.page)
    notebook.execute(4, BURY)
    notebook.execute(3, CHURN.format(seconds=60), timeout=120)
    before = thread.heap()
    notebook.write(3, CHURN.format(seconds=SECONDS))
    busy = thread.while_running(notebook, 3)
    after = thread.heap()
    p50, p99 = (busy[len(busy) * share // 100] for share in (50, 99))
    print(
        f"{len(busy)} looks at the main thread: {p50:.1f} ms, {p99:.1f} in 99 of 100, {busy[-1]:.1f} at most"
    )
    print(f"the page's objects: {before:,} bytes after a minute, {after:,} after ten")
    assert len(busy) > 2 * SECONDS
    assert p99 < 50  # milliseconds
    assert after < 1.2 * before
