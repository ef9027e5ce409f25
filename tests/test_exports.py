"""The public names: one table, one block for type checkers, and what importing them costs."""

from __future__ import annotations

import ast
import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rpcnb
from rpcnb.core import errors
from rpcnb.endpoint.client import connect
from rpcnb.transport import registry as transports

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(rpcnb.__file__).parent.parent

# Never loaded by `import rpcnb`: each costs more than the whole budget of 40 ms, or opens something.
HEAVY = {"IPython", "ipywidgets", "anywidget", "traitlets", "numpy", "socket", "asyncio"}
# A part without I/O loads nothing that does I/O or starts threads.
IO = {"socket", "ssl", "select", "selectors", "asyncio", "subprocess", "multiprocessing", "numpy"}
IO |= {"concurrent.futures.thread"}


@pytest.fixture
def loaded_by(run_python: Callable[[str], str]) -> Callable[..., set[str]]:
    """Return the names of all modules loaded once those given are imported."""
    return lambda *modules: set(
        run_python(f"import sys, {', '.join(modules)}; print(*sys.modules)").split()
    )


def modules_of(part: str) -> list[str]:
    files = sorted((ROOT / "rpcnb" / part).rglob("*.py"))
    return [".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files]


def project() -> dict[str, Any]:
    """Return what pyproject.toml says of the project."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        table: dict[str, Any] = tomllib.load(file)["project"]
    return table


def entry_points() -> list[str]:
    """Return what pyproject.toml promises to installers: commands and plug-ins."""
    groups = [project()["scripts"], *project()["entry-points"].values()]
    return sorted(entry for group in groups for entry in group.values())


def test_type_checkers_see_the_same_names_as_users() -> None:
    tree = ast.parse(Path(rpcnb.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: node.module for node in imports for alias in node.names}
    assert dict(rpcnb._HOME) == seen
    assert all(alias.asname == alias.name for node in imports for alias in node.names)


@pytest.mark.parametrize("name", rpcnb.__all__)
def test_public_name_is_what_its_module_defines(name: str) -> None:
    assert getattr(rpcnb, name) is getattr(import_module(rpcnb._HOME[name]), name)


def test_every_exception_class_is_public() -> None:
    classes = {n for n, v in vars(errors).items() if isinstance(v, type) and n[0] != "_"}
    exceptions = {n for n in classes if issubclass(getattr(errors, n), BaseException)}
    assert exceptions <= set(rpcnb.__all__)


@pytest.mark.parametrize("entry", entry_points())
def test_entry_point_exists(entry: str) -> None:
    module, _, name = entry.partition(":")
    assert callable(getattr(import_module(module), name))


def test_dir_lists_public_names_before_they_are_used() -> None:
    assert set(rpcnb.__all__) <= set(dir(rpcnb))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'rpcnb' has no attribute 'conect'"):
        _ = rpcnb.conect


@pytest.mark.parametrize(
    "first", ["import rpcnb.manager", "from rpcnb.manager import SessionManager", "pass"]
)
def test_manager_is_the_object_whoever_imports_the_module_first(
    first: str, run_python: Callable[[str], str]
) -> None:
    code = f"{first}\nimport rpcnb\nfrom rpcnb import manager\n"
    code += "print(type(rpcnb.manager).__name__, manager is rpcnb.manager)"
    assert run_python(code).split() == ["SessionManager", "True"]


def test_the_module_about_tvm_needs_no_import_of_its_own(run_python: Callable[[str], str]) -> None:
    code = "import rpcnb; print(rpcnb.tvm.Tracker.__name__, 'tvm' in dir(rpcnb))"
    assert run_python(code).split() == ["Tracker", "True"]


def test_importing_rpcnb_loads_nothing_heavy(loaded_by: Callable[..., set[str]]) -> None:
    assert set() == HEAVY & loaded_by("rpcnb")


@pytest.mark.parametrize("part", ["core", "wire"])
def test_parts_without_io_load_alone(part: str, loaded_by: Callable[..., set[str]]) -> None:
    assert set() == IO & loaded_by(*modules_of(part))


def test_the_tables_of_schemes_agree_with_the_entry_points() -> None:
    groups = project()["entry-points"]
    assert groups[connect.ENTRY_POINT_GROUP] == connect.SCHEMES
    assert groups[transports.ENTRY_POINT_GROUP] == transports._backends
