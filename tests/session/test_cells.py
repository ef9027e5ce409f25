from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rpcnb.core.errors import PermissionDenied, SessionError
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.session.cells import NOT_ALLOWED, Cells
from rpcnb.session.files import WorkFolder
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession

if TYPE_CHECKING:
    from collections.abc import Callable


class PlainShell:
    """Runs cells with `exec`."""

    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {"__name__": "__main__"}

    def run_for(
        self, source: str, show: Callable[..., object], number: int, *, coloured: bool
    ) -> None:
        exec(source, self.user_ns)
        show("display", {"text/plain": f"{number} {coloured}"}, {}, "")


def nothing(*shown: object) -> None:
    pass


@pytest.fixture
def registry() -> FunctionRegistry:
    registry = FunctionRegistry()
    registry.add("served", lambda: "served")
    return registry


@pytest.fixture
def cells(registry: FunctionRegistry) -> Cells:
    made = Cells(registry, WorkFolder.to_be(DEFAULT_LIMITS))
    made._shell = PlainShell()
    return made


@pytest.mark.parametrize("name", ["run", "get", "set"])
def test_a_session_runs_no_cells_unless_told_to(name: str) -> None:
    with LocalSession(FunctionRegistry()) as session:
        ref = session.get_function(f"rpcnb.cell.{name}")
        assert ref is not None
        with pytest.raises(PermissionDenied, match="--allow-exec") as caught:
            session.call_func(ref, ("1 + 1", None))
        assert str(caught.value) == NOT_ALLOWED


def test_cells_share_one_namespace_which_is_read_and_written(cells: Cells) -> None:
    cells.run("x = 40", nothing)
    cells.set("y", 2)
    cells.run("z = x + y", nothing)
    assert cells.get("z") == 42
    with pytest.raises(NameError, match="'nowhere' is not defined"):
        cells.get("nowhere")
    with pytest.raises(ValueError, match="cannot be the name"):
        cells.set("a b", 1)


def test_functions_of_cells_are_offered_before_the_servers(cells: Cells) -> None:
    assert cells.registry.names() == ["served"]
    assert cells.run(
        "def served(): return 'mine'\ndef _own(): pass\nfrom os import getpid", nothing
    )
    assert cells.registry.names() == ["served"]
    assert cells.registry.get("served")() == "mine"  # type: ignore[misc]
    assert cells.registry.get("_own") is cells.registry.get("getpid") is None
    assert cells.run("del served", nothing)
    assert cells.registry.get("served")() == "served"  # type: ignore[misc]


def test_a_cell_says_whether_it_changed_the_functions(cells: Cells) -> None:
    assert cells.run("def f(): pass", nothing)
    assert not cells.run("x = 1", nothing)
    assert cells.run("def f(): return 2", nothing)


def test_what_a_server_registers_later_is_offered_too(
    cells: Cells, registry: FunctionRegistry
) -> None:
    cells.registry.add("late", print)
    assert registry.get("late") is print
    cells.registry.remove("late")
    assert cells.registry.get("late") is None


def test_two_cells_at_once_are_refused(cells: Cells) -> None:
    def again(*shown: object) -> None:
        cells.run("1", nothing)

    with pytest.raises(SessionError, match="another cell"):
        cells.run("1", again)
    cells.run("1", nothing)


def test_a_server_without_ipython_says_what_is_missing(run_python: Callable[[str], str]) -> None:
    printed = run_python(
        "import sys\n"
        "sys.modules['IPython'] = sys.modules['IPython.core'] = None\n"
        "from rpcnb.session.cells import Cells\n"
        "from rpcnb.session.functions import REGISTRY\n"
        "try:\n"
        "    Cells(REGISTRY, None).run('1', print)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    assert printed.startswith("SessionError cells need IPython")
    assert "pip install ipython" in printed
