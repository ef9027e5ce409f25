from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.cases import CASES, Figure, quickened
from benchmarks.report import HEADER, document, peer_table, quantity, table, times
from benchmarks.run import Result

if TYPE_CHECKING:
    from pathlib import Path


def result(unit: str, target: float | None, limit: list[float], rpcnb: list[float]) -> Result:
    return Result(Figure("a figure", unit=unit, target=target), limit, rpcnb)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (13.4e-6, "s", "13.4 µs"),
        (0.9996e-3, "s", "1000 µs"),
        (2.5, "s", "2.5 s"),
        (359_000, "/s", "359 k/s"),
        (45e6, "B", "45 MB"),
    ],
)
def test_a_quantity_has_three_digits_and_a_unit(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_each_round_is_compared_with_the_limit_of_its_own_round() -> None:
    assert result("s", None, [1.0, 10.0, 2.0], [2.0, 20.0, 6.0]).ratio == 2.0


def test_of_a_rate_more_is_better() -> None:
    faster = result("/s", 2.0, [100.0], [80.0])
    assert faster.ratio == 1.25
    assert faster.met is True


def test_a_target_without_a_limit_is_an_amount() -> None:
    assert result("B", 3e6, [], [4e6]).met is False
    assert result("B", None, [], [4e6]).met is None


def test_a_failed_figure_says_why_in_its_row() -> None:
    failed = result("s", 1.5, [], [])
    failed.failure = "one core only"
    assert "one core only" in table([failed])


def test_the_table_has_a_row_for_each_figure_and_lines_of_one_length() -> None:
    lines = table([result("s", 1.5, [1.0], [2.0]), result("B", None, [], [3.0])]).splitlines()
    assert len(lines) == 4
    assert len(set(map(len, lines))) == 1
    assert all(name in lines[0] for name in HEADER)


def test_the_document_is_json_without_names_of_machines_or_paths() -> None:
    text = json.dumps(document([result("s", 1.5, [1.0], [2.0])], 1))
    assert json.loads(text)["figures"][0]["ratio"] == 2.0
    assert "/" not in text.replace('"/s"', "")


def test_figures_have_names_of_their_own() -> None:
    names = [figure.name for case in CASES for figure in case.figures]
    assert len(names) == len(set(names))


def test_a_quick_run_leaves_out_the_largest_copies_only() -> None:
    left_out = [case.figures[0].name for case in CASES if quickened(case) is None]
    assert left_out == ["upload 256 MiB", "download 256 MiB"]


def test_another_library_is_compared_with_the_limit_of_the_same_rounds() -> None:
    found = result("s", None, [1.0, 2.0], [2.0, 4.0])
    found.peers = {"RPyC": [3.0, 6.0], "late": [3.0]}
    assert found.times_limit(found.peers["RPyC"]) == 3.0
    assert found.times_limit(found.peers["late"]) is None
    columns = [column.strip() for column in peer_table([found]).splitlines()[2].split("|")]
    assert columns[2:5] == [times(2.0), times(3.0), "-"]
    assert document([found], 2)["figures"][0]["peers"]["RPyC"]["ratio"] == 3.0


def test_the_picture_has_a_row_for_each_ratio(tmp_path: Path) -> None:
    from benchmarks.plot import draw

    found = result("s", 1.5, [1.0], [2.0])
    found.peers = {"RPyC": [3.0]}
    draw(document([found, result("B", None, [], [3.0])], 1), tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    assert "RPyC" in text
    assert text.count("a figure") == 1
