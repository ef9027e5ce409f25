from __future__ import annotations

from rpcnb.notebook.call_table import SHOWN, CallTable

ROW = {
    "id": 1,
    "name": "demo.<blur>",
    "sent": 1.0,
    "phase": "finished",
    "started": 1.1,
    "ended": 2.5,
    "done": 3.0,
    "total": 4.0,
    "description": "rows",
    "detail": "",
}


def test_a_call_shows_its_state_in_words_and_its_seconds() -> None:
    table = CallTable("lab", [ROW, ROW | {"phase": "failed", "detail": "E: <b>"}], 2, recorded=True)
    assert repr(table).splitlines() == [
        "lab: 2 rows of 2 calls in all",
        "demo.<blur>              ✓ returned        1.50  rows 3/4",
        "demo.<blur>              ✕ raised          1.50  rows 3/4 E: <b>",
    ]
    page = table._repr_html_()
    assert "demo.&lt;blur&gt;" in page
    assert "E: &lt;b&gt;" in page
    assert "<progress" not in page


def test_a_running_call_has_a_bar() -> None:
    table = CallTable("lab", [ROW | {"phase": "started", "ended": None}], None, recorded=True)
    assert 'value="0.750"' in table._repr_html_()
    assert "◌ running" in repr(table)


def test_fast_calls_are_one_row() -> None:
    table = CallTable("lab", [{"id": 1, "fast": 124, "median": 0.0031}], 124, recorded=True)
    assert (
        " ".join(repr(table).splitlines()[1].split()) == "+124 fast calls ✓ returned 3.1 ms median"
    )


def test_only_the_youngest_are_shown() -> None:
    table = CallTable("lab", [ROW] * (SHOWN + 3), SHOWN + 3, recorded=True)
    assert len(table.rows) == SHOWN
    assert "3 earlier rows left out" in repr(table)


def test_before_anything_was_recorded_it_says_so() -> None:
    assert repr(CallTable("lab", [], 7, recorded=False)) == (
        "lab: 7 calls so far; calls are recorded from now on"
    )
