"""The array inspector: what it moves, and that nothing that matters is lost in it."""

from __future__ import annotations

import json
import re
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from collections.abc import Callable

MOVED = "(lambda s: s['bytes_sent'] + s['bytes_received'])(remote.session.statistics())"
SIDE = 2048  # 16 MiB; the nightly amount is 1 GiB


@pytest.fixture(scope="module")
def notebook(open_notebook: Callable[..., Any], lab_address: str) -> Any:
    """Open a notebook with an array that has one NaN and one hot pixel."""
    connect = (
        f"%load_ext rpcnb\n%connect_remote {lab_address}\na = remote.fn.lab.planted(4 * {SIDE}**2)"
    )
    notebook = open_notebook([connect, f"before = {MOVED}\na.inspect()\n{MOVED} - before", "", ""])
    notebook.run(0)
    return notebook


def inspector(notebook: Any) -> Any:
    return notebook.output(1).locator(".rx-inspector")


def wait_ready(notebook: Any) -> None:
    notebook.page.wait_for_function(
        "() => document.querySelector('.rx-inspector')?.dataset.ready === 'true'"
    )


@pytest.mark.slow
def test_the_first_picture_moves_less_than_200_kib(notebook: Any) -> None:
    shown = notebook.run(1)
    inspector(notebook).get_by_text(re.compile("NaN.1")).first.wait_for()
    wait_ready(notebook)
    moved = int(shown.splitlines()[-1])
    assert 64 * 1024 < moved < 200 * 1024
    assert int(notebook.execute(2, f"{MOVED} - before")) == moved  # the view asked for nothing more
    assert int(inspector(notebook).get_attribute("data-pictures")) == 1
    notebook.picture("inspector-light", 1)
    notebook.use_theme("dark")
    notebook.picture("inspector-dark", 1)
    notebook.use_theme("light")


@pytest.mark.slow
def test_one_nan_and_one_hot_pixel_are_marked_where_they_are(notebook: Any) -> None:
    canvas = inspector(notebook).locator("canvas.rx-heatmap")
    canvas.focus()
    notebook.page.keyboard.press("n")  # to the first mark, the NaN
    wait_ready(notebook)
    notebook.page.keyboard.press("v")
    table = inspector(notebook).get_by_role("table", name="Values")
    assert "nan" in zoomed_values(notebook, table)
    for _ in range(2):  # the least, then the greatest
        notebook.page.keyboard.press("n")
    assert "1000.0" in zoomed_values(notebook, table)
    assert notebook.complaints == []


def zoomed_values(notebook: Any, table: Any) -> str:
    """Zoom in until single elements are shown; return the values in the middle."""
    for _ in range(4):
        notebook.page.keyboard.press("+")
    wait_ready(notebook)
    code = inspector(notebook).locator(".rx-code code").inner_text()
    head = code.partition("[")[2].partition(":")[0]
    table.get_by_role("rowheader", name=str(int(head) + 1)).wait_for()
    return table.inner_text()


@pytest.mark.slow
def test_values_are_those_of_numpy_and_a_pan_fetches_tiles_only(notebook: Any) -> None:
    before = int(notebook.execute(2, MOVED))
    notebook.page.locator("canvas.rx-heatmap").focus()
    for key in ("0", "+", "+", "ArrowRight", "ArrowDown"):
        notebook.page.keyboard.press(key)
        wait_ready(notebook)
    moved = int(notebook.execute(2, MOVED)) - before
    tiles = int(inspector(notebook).get_attribute("data-tiles"))
    assert 0 < moved <= 4 * 9 * (128 * 128 + 4096) + 50_000
    assert tiles > 4
    table = inspector(notebook).get_by_role("table", name="Values")
    columns = [int(text) for text in table.locator("thead th").all_inner_texts()]
    rows = table.locator("tbody tr").all()
    shown = {
        int(row.locator("th").inner_text()): row.locator("td").all_inner_texts() for row in rows
    }
    part = f"{min(shown)}:{max(shown) + 1}, {columns[0]}:{columns[-1] + 1}"
    told = notebook.execute(
        3,
        f"import json; print(json.dumps([[str(v) for v in row] for row in a[{part}].to_numpy()]))",
    )
    assert list(shown.values()) == json.loads(told)
    assert notebook.complaints == []
    assert notebook.outside == []


@pytest.mark.slow
def test_letters_stay_in_the_view_and_axe_finds_nothing_serious(notebook: Any) -> None:
    sources = notebook.sources()
    controls = inspector(notebook).locator("canvas.rx-heatmap, button, select, input").all()
    assert len(controls) >= 9
    for control in controls:
        control.focus()
        for key in "abdi":
            notebook.page.keyboard.press(key)
            notebook.page.keyboard.press(key)
    assert notebook.sources() == sources
    found = Axe().run(notebook.page, context=".rx-root").response["violations"]
    assert [v["id"] for v in found if v["impact"] in {"serious", "critical"}] == []


@pytest.mark.nightly
def test_a_gibibyte_is_seen_in_the_time_of_its_scan(
    open_notebook: Callable[..., Any], lab_address: str
) -> None:
    connect = f"%load_ext rpcnb\n%connect_remote {lab_address}\na = remote.fn.lab.planted(2**30)"
    scan = (
        "import time\nbegan = time.perf_counter()\na.planes(); a.statistics()\n"
        "print(time.perf_counter() - began)"
    )
    inspect = f"before = {MOVED}\na.inspect()\nprint({MOVED} - before)"
    notebook = open_notebook([connect, scan, inspect])
    notebook.run(0)
    allowed = float(notebook.run(1)) + 1.5
    began = monotonic()
    notebook.start(2)
    wait_ready(notebook)
    assert monotonic() - began < allowed
    notebook.wait_idle()
    assert int(notebook.text(2).split()[-1]) < 200 * 1024
