from __future__ import annotations

import rpcnb
from rpcnb.notebook.tool_displays import benchmark_html, line_html, manager_html, tree_html
from rpcnb.remote.benchmark import BenchmarkResult


def test_a_tree_shows_what_is_below_it(remote: rpcnb.Remote) -> None:
    assert "lab.add(" in tree_html(remote.fn)
    assert "1 function" in tree_html(remote.fn.lab)
    assert "make(" not in tree_html(remote.fn.lab)


def test_a_measurement_is_a_table() -> None:
    page = benchmark_html(BenchmarkResult((0.001, 0.003)))
    assert "<td" in page
    assert "2 ms" in page


def test_the_manager_is_its_session_table(remote: rpcnb.Remote) -> None:
    assert remote.name in manager_html(rpcnb.manager)


def test_a_line_is_escaped_and_bounded() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "<b>" * 10_000

    page = line_html(Odd())
    assert "&lt;b&gt;" in page
    assert len(page) < 20_000
