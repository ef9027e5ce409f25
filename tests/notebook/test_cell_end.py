from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rpcnb.notebook.cell_end import HOOKS

if TYPE_CHECKING:
    from conftest import Shell


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    monkeypatch.setattr("rpcnb.notebook.cell_end.HOOKS", [])
    from rpcnb.notebook import cell_end

    return cell_end.HOOKS


def test_hooks_run_at_the_end_of_each_cell_in_order(shell: Shell, hooks: list[object]) -> None:
    hooks += [lambda: print("first"), lambda: print("second")]
    assert shell.run("print('cell')").stdout == "cell\nfirst\nsecond\n"


def test_one_that_raises_is_shown_and_stops_no_other(shell: Shell, hooks: list[object]) -> None:
    def late() -> None:
        raise ValueError("came late")

    hooks += [late, lambda: print("second")]
    printed = shell.run("1;").stdout
    assert "ValueError: came late" in printed
    assert printed.endswith("second\n")


def test_nothing_runs_once_unloaded(shell: Shell, hooks: list[object]) -> None:
    hooks.append(lambda: print("hook"))
    shell.run("%unload_ext rpcnb")
    assert shell.run("1;").stdout == ""
    shell.run("%load_ext rpcnb")
    assert HOOKS is not hooks
