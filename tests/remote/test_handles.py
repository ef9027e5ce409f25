from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote


def test_handles_are_listed_oldest_first(remote: Remote, crossings: Callable[[], int]) -> None:
    array = remote.zeros((2, 3))
    thing = remote.functions["make_thing"]()
    before = crossings()
    table = remote.handles
    rows = [row for row in table if row.kind != "function"]
    assert [row.kind for row in rows] == ["array", "object"]
    assert rows[0].handle == array.handle
    assert rows[0].summary == "f64[2, 3] on cpu:0"
    assert thing.type_name in rows[1].summary
    assert table[:1][0] == table[0]
    assert f"{len(table)} handles, 48 bytes" in repr(table)
    assert crossings() == before


def test_views_are_not_added_to_the_bytes(remote: Remote) -> None:
    array = remote.zeros(10)
    views = [array[1:], array[:5]]
    assert remote.handles.nbytes == 80
    assert len([row for row in remote.handles if row.kind == "array"]) == 1 + len(views)


def test_freed_and_collected_handles_leave(remote: Remote) -> None:
    kept, freed = remote.zeros(1), remote.zeros(1)
    remote.zeros(1)
    freed.free()
    assert [row.handle for row in remote.handles] == [kept.handle]


def test_every_kind_has_a_row(remote: Remote) -> None:
    held = [
        remote.load_module("numpy.linalg"),
        remote.functions["demo.count_to"](3),
        remote.get_function("echo"),
    ]
    summaries = {row.kind: row.summary for row in remote.handles}
    assert summaries["module"] == "numpy.linalg"
    assert "count_to" in summaries["iterator"]
    assert len(held) == 3


def test_a_view_says_what_it_keeps_alive(remote: Remote, crossings: Callable[[], int]) -> None:
    array = remote.zeros(1000)
    view = array[1:][:2]
    array.free()
    del array
    remote.arrays.settle()
    before = crossings()
    (row,) = [row for row in remote.handles if row.kind == "array"]
    assert (row.nbytes, row.pins) == (16, 8000)
    assert remote.handles.nbytes == 8000
    assert "keeps 8,000 bytes alive" in repr(remote.handles)
    assert crossings() == before
    copy = view.copy()
    view.free()
    assert remote.handles.nbytes == copy.nbytes == 16
