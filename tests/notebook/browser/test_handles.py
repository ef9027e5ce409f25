"""The handle table and the ribbons, by pointer and by keyboard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from collections.abc import Callable

PANEL = "from rpcnb.notebook.panel import open_panel; open_panel(remote)"
STATISTICS = "remote.builtin('rpcnb.statistics')()['nbytes']"


@pytest.fixture(scope="module")
def notebook(open_notebook: Callable[..., Any], lab_address: str) -> Any:
    """Open a notebook with a panel in its second cell, and cells to write in after it."""
    connect = f"%load_ext rpcnb\n%connect_remote {lab_address}\nmake = remote.fn.lab.make"
    notebook = open_notebook([connect, PANEL, "", "", "", ""])
    notebook.run(0)
    notebook.run(1)
    notebook.output(1).get_by_text("0 handles, 0 B held over there").wait_for()
    return notebook


def table(notebook: Any) -> Any:
    return notebook.output(1).get_by_role("grid", name="Handles")


def row_with(notebook: Any, text: str) -> Any:
    return table(notebook).get_by_role("row").filter(has_text=text)


@pytest.mark.slow
def test_forgetting_an_output_frees_what_only_it_held(notebook: Any) -> None:
    before = int(notebook.execute(2, STATISTICS))
    notebook.execute(3, "a = make(1000, 100)\na")
    row_with(notebook, "a, ").wait_for()
    notebook.execute(4, "del a")
    row = row_with(notebook, "Out[").first
    row.wait_for()
    held = row.locator("[data-column='Held by']").inner_text()
    assert re.search(r"Out\[\d+\]", held)
    assert "_" in held
    assert int(notebook.run(2)) == before + 400_000
    row.get_by_role("button", name=re.compile("^Forget output")).click()
    row.wait_for(state="detached")
    assert int(notebook.run(2)) == before


@pytest.mark.slow
def test_ribbons_are_as_many_as_handles_and_as_high_as_their_bytes(notebook: Any) -> None:
    made = int(notebook.output(1).locator("canvas.rx-ribbons").get_attribute("data-bands") or 0)
    notebook.execute(3, "kept = [make(100 * n, 100) for n in range(1, 7)]\nview = kept[0][:5]")
    notebook.execute(4, "del kept[3:], view")
    ribbons = notebook.output(1).locator(f"canvas.rx-ribbons[data-bands='{made + 7}']")
    ribbons.wait_for()
    held = int(notebook.run(2))
    notebook.output(1).locator(f"canvas.rx-ribbons[data-bytes='{held}']").wait_for()
    notebook.execute(4, "view = kept[0][:5]\nview.to_numpy()\ndel kept[0]")  # it keeps the buffer
    assert int(notebook.run(2)) == held
    notebook.output(1).locator(f"canvas.rx-ribbons[data-bytes='{held}']").wait_for()
    notebook.picture("handles-light", 1)
    notebook.use_theme("dark")
    notebook.page.wait_for_timeout(300)
    notebook.picture("handles-dark", 1)
    notebook.use_theme("light")


@pytest.mark.slow
def test_the_table_is_worked_by_keys_alone_and_none_reaches_the_notebook(notebook: Any) -> None:
    keys = notebook.page.keyboard
    notebook.execute(3, "small, large = make(1, 1), make(500, 100)")
    row_with(notebook, "large").wait_for()
    sources = notebook.sources()
    table(notebook).get_by_role("button", name="Bytes").focus()
    keys.press("Enter")  # sorts: the largest first
    keys.press("ArrowDown")
    keys.press("Home")
    focused = notebook.page.locator(":focus")
    assert focused.inner_text() == "large"
    for key in "abdi":
        keys.press(key)
        keys.press(key)
    assert notebook.sources() == sources
    keys.press("w")
    row_with(notebook, "large").locator("[data-column='Held by']").get_by_text("large").wait_for()
    keys.press("End")
    assert focused.inner_text() == "Free"
    keys.press("Enter")
    assert focused.inner_text() == "Undo"
    keys.press("Enter")
    keys.press("Delete")
    row_with(notebook, "large").wait_for(state="detached")
    assert notebook.execute(4, "large.freed, small.freed") == "(True, False)"


@pytest.mark.slow
def test_ribbons_are_walked_by_keys(notebook: Any) -> None:
    notebook.execute(3, "walked = make(300, 100)")
    row_with(notebook, "walked").wait_for()
    ribbons = notebook.output(1).get_by_role("region", name="Lifetimes")
    ribbons.locator("canvas").focus()
    for _ in range(int(ribbons.locator("canvas").get_attribute("data-bands"))):
        notebook.page.keyboard.press("ArrowRight")  # past the last: it stays there
    prompt = notebook.cell(3).locator(".jp-InputArea-prompt").inner_text().strip("[]:\n ")
    life = f"array f32[300, 100], 117 KiB, made in [{prompt}]:1, alive after"
    ribbons.get_by_text(life).wait_for()
    notebook.page.keyboard.press("Enter")  # to its row, and to the cell that made it
    assert notebook.page.locator(":focus").inner_text() == "walked"
    notebook.cell(3).locator(".rx-flash").or_(
        notebook.page.locator(".jp-Cell.rx-flash")
    ).first.wait_for()
    ribbons.get_by_role("button", name="By cells").click()
    notebook.picture("ribbons-by-cells", 1)
    ribbons.get_by_role("button", name="By cells").click()


@pytest.mark.slow
def test_a_call_that_nobody_waits_for_is_watched_and_cancelled(notebook: Any) -> None:
    notebook.execute(3, "call = remote.fn.lab.slow.submit(steps=400)\ncall.live()")
    view = notebook.output(3)
    view.get_by_role("progressbar").wait_for()
    notebook.picture("call-live", 3)
    view.get_by_role("button", name=re.compile("^Cancel call")).click()
    view.get_by_text("⊘ cancelled").nth(1).wait_for()  # in the display that lasts, too
    assert view.locator(".rx-code code").inner_text() == "call.cancel()"
    assert notebook.execute(4, "call.cancelled()") == "True"


@pytest.mark.slow
def test_an_array_is_looked_into_from_the_table(notebook: Any) -> None:
    notebook.execute(3, "looked = make(64, 64)")
    row_with(notebook, "looked").get_by_role("button", name="Inspect").click()
    view = notebook.output(1).locator(".rx-inspector[data-ready='true']")
    view.get_by_text("f32[64, 64] 16.0 KiB").wait_for()
    assert view.locator(".rx-code code").inner_text() == "looked[0:64, 0:64]"
    notebook.picture("handles-inspected", 1)
    notebook.output(1).get_by_role("button", name="Close").click()
    view.wait_for(state="detached")


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(notebook: Any, theme: str) -> None:
    notebook.execute(3, "for _ in range(5): remote.fn.lab.slow(steps=1, pause=0.06)")  # it scrolls
    notebook.use_theme(theme)
    found = Axe().run(notebook.page, context=".rx-root").response["violations"]
    notebook.use_theme("light")
    serious = [
        (v["id"], [node["html"][:160] for node in v["nodes"][:3]])
        for v in found
        if v["impact"] in {"serious", "critical"}
    ]
    assert serious == []


@pytest.mark.slow
def test_a_session_is_left_by_a_click(notebook: Any) -> None:
    bar = notebook.output(1).get_by_role("group", name="Session")
    bar.get_by_role("button", name="Detach").click()
    bar.get_by_text("○ closed").wait_for()
    assert notebook.output(1).locator(".rx-code code").last.inner_text() == "remote.detach()"
    assert bar.get_by_role("button", name="Detach").is_disabled()
    assert notebook.execute(4, "remote.closed") == "True"
    notebook.output(1).get_by_text("0 handles, 0 B held over there").wait_for()
    assert notebook.output(1).locator(".rx-sessions tbody tr").count() == 0
    notebook.picture("panel-detached", 1)


@pytest.mark.slow
def test_a_view_says_that_its_kernel_has_gone(notebook: Any) -> None:
    session = "window.jupyterapp.shell.currentWidget.context.sessionContext.session"
    notebook.page.evaluate(f"{session}.kernel.restart()")
    root = notebook.output(1).locator(".rx-root")
    root.get_by_text("the kernel has gone").wait_for()
    assert root.evaluate("(root) => root.inert")  # no button that does nothing


@pytest.mark.slow
def test_nothing_complained(notebook: Any) -> None:
    assert notebook.complaints == []
    assert notebook.outside == []
