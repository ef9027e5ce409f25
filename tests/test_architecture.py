"""The rules of ARCHITECTURE.md, checked on the source text.

Rules for this file: the tables are the rules; a change of a rule is a change of a table here and a
sentence in ARCHITECTURE.md.  Whatever exists is checked; a folder is not missed before it exists.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple

import pytest

import rpcnb

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(rpcnb.__file__).parent
TESTS = PACKAGE.parent / "tests"


@dataclass(frozen=True)
class Rule:
    """What the modules of one folder, or one top-level file, may import besides each other."""

    ours: str = ""
    """Folders and modules of rpcnb, below rpcnb."""
    others: dict[str, str] = field(default_factory=dict)
    """Package outside the standard library -> patterns of the files that may import it."""
    never: str = ""
    """Modules of the standard library that may not be imported."""
    inside: str = ""
    """Like `ours`, for imports inside functions only."""


NUMPY = {"numpy": "*"}
JUPYTER = dict.fromkeys(
    (
        "IPython",
        "anywidget",
        "comm",
        "ipykernel",
        "ipywidgets",
        "jupyter_client",
        "jupyter_core",
        "traitlets",
    ),
    "*",
)
PARTS = "core wire transport session endpoint array remote manager"
IO = "socket ssl select selectors asyncio subprocess multiprocessing"

RULES = {
    "core": Rule(never=IO),
    "wire": Rule("core", {"msgpack": "*codec*"}, never=f"{IO} threading time"),
    "transport": Rule("core", {"cryptography": "certificate"}, never="asyncio"),
    "session": Rule(
        "core",
        {
            "numpy": "*array* *device* local* cpu dtypes marshal pytorch",
            "torch": "pytorch",
            "IPython": "ipython",
            "traitlets": "ipython",
        },
        never="socket ssl",
    ),
    "endpoint": Rule("core wire transport session"),
    "array": Rule("core session", NUMPY | {"array_api_compat": "*"}, never="socket"),
    "remote": Rule(
        "core session array endpoint.client.connect", NUMPY | {"tqdm": "progress"}, never="socket"
    ),
    "tvm.py": Rule("endpoint.tvm wire.tvm"),
    "manager.py": Rule("core session remote"),
    # the secret that a person types into a notebook is kept where the endpoint keeps its own
    "notebook": Rule(
        "array core.cancelled core.events core.errors core.frozen core.version core.visible manager remote endpoint.client.connect endpoint.credentials",
        NUMPY | JUPYTER,
        never="socket",
    ),
    "testing": Rule(PARTS, NUMPY | {"pytest": "*", "hypothesis": "*"}),
    "demo": Rule("__init__", NUMPY | {"nbclient": "execute*", "nbformat": "execute*"}),
    "cli": Rule(f"__init__ {PARTS} demo", inside="notebook"),
    "__init__.py": Rule("core"),
    "__main__.py": Rule("cli"),
}

# Source file -> the reason why no test file mirrors it.
UNMIRRORED = {
    "__init__.py": "tests/test_exports.py",
    "testing/*": "suites, run by the tests that subclass them",
    "array/*_rules.py": "every rule against NumPy: tests/array/test_inference.py",
    "endpoint/handler.py": "an interface: tests/endpoint/test_connection.py",
    "endpoint/client/asking.py": "an interface: tests/endpoint/client/test_socket_session.py",
    "endpoint/serving/serving.py": "an interface: tests/endpoint/serving/test_dispatch.py",
    "session/device_api.py": "an interface: tests/session/test_local_device.py",
    "demo/*": "run by the tests of the demo command and of the notebooks",
}

LONGEST_FILE, MEDIAN_FILE = 500, 170
LONGEST_FUNCTION, MOST_FUNCTIONS = 60, 30  # nine in ten are under the second


class Import(NamedTuple):
    """One import: the module it reaches, and whether it runs when the importer is imported."""

    target: str
    at_import: bool


@cache
def sources() -> dict[str, Path]:
    """Return module name below rpcnb -> file; ``__init__`` is the package itself."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {module_name(path): path for path in files}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[Import]:
    yield from _imports(tree(path), at_import=True)


def _imports(node: ast.AST, *, at_import: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(_ours(alias.name), at_import) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            yield from (Import(_ours(name, child.module), at_import) for name in names)
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from _imports(ast.Module(child.orelse, []), at_import=at_import)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, at_import=at_import and not inside)


def _ours(name: str, module: str | None = None) -> str:
    """Return ``.core.errors`` for rpcnb.core.errors or a name in it; other modules by their name."""
    root, _, rest = name.partition(".")
    if root != "rpcnb":
        return module or name
    if rest not in sources():
        rest = (module or name).partition(".")[2]
    return f".{rest or '__init__'}"


def reaches(target: str, allowed: str) -> bool:
    return any(target == f".{a}" or target.startswith(f".{a}.") for a in allowed.split())


def breach(path: Path, rule: Rule, folder: str, found: Import) -> bool:
    """Tell whether one import breaks its folder's rule."""
    if found.target.startswith("."):
        allowed = f"{rule.ours} {folder} {'' if found.at_import else rule.inside}"
        return not reaches(found.target, allowed)
    root = found.target.partition(".")[0]
    if root in sys.stdlib_module_names:
        return root in rule.never.split()
    return not any(fnmatch(path.stem, pattern) for pattern in rule.others.get(root, "").split())


def test_every_import_follows_the_table() -> None:
    breaches = []
    for name, path in sources().items():
        part = path.relative_to(PACKAGE).parts[0]
        found = [i for i in imports(path) if breach(path, RULES[part], part.removesuffix(".py"), i)]
        breaches += [f"rpcnb.{name} imports {i.target.removeprefix('.')}" for i in found]
    assert breaches == []


def test_no_module_imports_itself_through_others() -> None:
    graph = {
        f".{name}": {i.target for i in imports(path) if i.at_import and i.target[0] == "."}
        for name, path in sources().items()
    }
    try:
        cycle: list[str] = []
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = error.args[1]
    assert cycle == []


@pytest.mark.parametrize(("end", "other"), [("client", "serving"), ("serving", "client")])
def test_an_end_of_the_connection_does_not_import_the_other(end, other) -> None:
    below = {name: path for name, path in sources().items() if name.startswith(f"endpoint.{end}.")}
    found = [
        name
        for name, path in below.items()
        if any(reaches(i.target, f"endpoint.{other}") for i in imports(path))
    ]
    assert below
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name, path in sources().items() if not ast.get_docstring(tree(path))] == []


def test_files_are_short() -> None:
    lengths = {n: len(p.read_text("utf-8").splitlines()) for n, p in sources().items()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}
    assert median(lengths.values()) <= MEDIAN_FILE


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_functions_are_short() -> None:
    lengths = {
        f"{name}:{node.name}": body_lines(node)
        for name, path in sources().items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}
    assert quantiles(lengths.values(), n=10)[-1] <= MOST_FUNCTIONS


def test_every_source_file_with_code_has_its_test_file() -> None:
    missing = []
    for path in sources().values():
        below = path.relative_to(PACKAGE)
        mirror = TESTS / below.with_name(f"test_{below.stem.strip('_')}.py")
        code = any(
            isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(tree(path))
        )
        excused = any(fnmatch(below.as_posix(), pattern) for pattern in UNMIRRORED)
        if code and not excused and not mirror.is_file():
            missing.append(mirror.relative_to(TESTS).as_posix())
    assert missing == []
