from __future__ import annotations

import json

import pytest

from benchmarks import readme
from benchmarks.cases import CASES
from benchmarks.child import ROOT
from benchmarks.report import times


@pytest.mark.parametrize("name", ["README.md", "benchmarks/README.md"])
def test_the_tables_are_made_from_the_results_in_the_repository(name: str) -> None:
    expected = readme.documents()[name]
    assert (ROOT / name).read_text() == expected, "run: python -m benchmarks.readme"


def test_what_the_readme_shows_is_measured() -> None:
    measured = {figure.name for case in CASES for figure in case.figures}
    assert measured >= set(readme.SHOWN)


def test_the_results_name_no_path_and_no_host() -> None:
    found = json.loads(readme.RESULTS.read_text())
    assert set(found["machine"]) == {
        "cores",
        "pinned",
        "architecture",
        "system",
        "python",
        "compiled",
        "packages",
    }


def test_the_best_other_library_is_the_one_nearest_to_the_limit() -> None:
    figure = {
        "limit": [1e-5],
        "unit": "s",
        "ratio": 1.2,
        "peers": {
            "RPyC": {"found": [4e-5], "ratio": 4.0},
            "execnet": {"found": [3e-5], "ratio": 3.0},
            "TVM": {"found": [1.5e-5], "ratio": 1.5},
        },
    }
    assert readme.compared(figure)[2:] == (f"{times(3.0)} (execnet)", times(1.5))


def test_a_busy_machine_is_told_of() -> None:
    found = json.loads(readme.RESULTS.read_text())
    assert "its load was 3.0 before" in readme.everything(found | {"load": 3.0})
    assert "load" not in readme.everything(found | {"load": 0.1}).splitlines()[0]
