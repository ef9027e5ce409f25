from __future__ import annotations

from typing import Any

from rpcnb.notebook.live.cells import Place, place_of_caller


def test_the_line_of_the_cell_that_called_is_found_through_functions(shell: Any) -> None:
    shell.shell.user_ns["look"] = lambda: place_of_caller(shell.shell)
    shell.run("1")
    shell.run("def f():\n    return look()\n\nx = f()")
    number = shell.shell.execution_count - 1
    assert shell["x"] == Place(number, 2)
    assert str(shell["x"]) == f"[{number}]:2"


def test_where_no_cell_runs_there_is_no_place() -> None:
    assert place_of_caller(None) is None
