"""What SECURITY.md says about the code, checked against the code.

Rules for this file: an entry of `ALLOWED` has a reason beside it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rpcnb
from rpcnb.core.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = Path(rpcnb.__file__).parent
SECURITY_MD = PACKAGE.parent / "SECURITY.md"

# Modules that rebuild objects from bytes by running what the bytes say.  `multiprocessing` is one
# of them: its queues, pipes and managers pickle; its shared memory does not.
PICKLING = {"cPickle", "cloudpickle", "dill", "jsonpickle", "marshal", "multiprocessing", "pickle"}
PICKLING |= {"_pickle", "joblib", "shelve"}
HARMLESS = {"multiprocessing.shared_memory", "multiprocessing.resource_tracker"}

SECRET = re.compile(
    r"(^|_)(secret|token|proof|password|passphrase|digest|hmac|mac|tag)s?$", re.IGNORECASE
)

ALLOWED: set[tuple[str, str]] = set()
"""(file below rpcnb, what it does) for the code that may do it: running cells with --allow-exec."""


def imported_modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        # `from multiprocessing import shared_memory` names the submodule last
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def pickles(node: ast.AST) -> str | None:
    for name in imported_modules(node):
        harmless = any(name == h or name.startswith(f"{h}.") for h in HARMLESS)
        if name.partition(".")[0] in PICKLING and not harmless:
            return f"import {name}"
    if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
        return None if isinstance(node.value, ast.Constant) and not node.value.value else "pickle"
    return None


def evaluates(node: ast.AST) -> str | None:
    """Catch calls of the builtins, also as ``builtins.exec``; a method named exec is fine."""
    match node:
        case ast.Call(func=ast.Name(id="eval" | "exec" | "compile" | "__import__" as name)):
            return name
        case ast.Attribute(value=ast.Name(id="builtins"), attr="eval" | "exec" | "compile" as name):
            return name
        case _:
            return None


def compares_a_secret(node: ast.AST) -> str | None:
    """Catch ``==`` on secrets, whose duration tells how many bytes were right."""
    if not isinstance(node, ast.Compare):
        return None
    if not any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
        return None
    for side in (node.left, *node.comparators):
        name = getattr(side, "id", None) or getattr(side, "attr", None)
        if name and SECRET.search(name):
            return f"== on {name}"
    return None


GATES = [pickles, evaluates, compares_a_secret]


@pytest.mark.parametrize("gate", GATES)
def test_no_code_does_what_is_forbidden(gate: Callable[[ast.AST], str | None]) -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), what)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (what := gate(node))
    }
    assert set() == found - ALLOWED


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from multiprocessing import Queue",
        "from cloudpickle import dumps",
        "np.load(f, allow_pickle=True)",
        "exec(source)",
        "run = builtins.eval",
        "__import__(name)",
        "if proof == expected: pass",
        "ok = message.token != self.token",
    ],
)
def test_gates_catch(code: str) -> None:
    assert any(gate(node) for node in ast.walk(ast.parse(code)) for gate in GATES)


@pytest.mark.parametrize(
    "code",
    [
        "from multiprocessing import shared_memory",
        "np.load(f, allow_pickle=False)",
        "self.exec(source)",
        "re.compile(text)",
        "ok = compare_digest(proof, expected)",
        "ok = token is None",
        "stage == 'open'",
    ],
)
def test_gates_let_pass(code: str) -> None:
    assert not any(gate(node) for node in ast.walk(ast.parse(code)) for gate in GATES)


NEEDS_AN_EXTRA = {"rpcnb.session.pytorch"}
"""Loaded where PyTorch is, by its own tests (`make test-torch`)."""


def test_no_module_of_ours_holds_a_pickling_module(run_python: Callable[[str], str]) -> None:
    # NumPy imports pickle for itself, so its presence in sys.modules says nothing.
    code = f"""
import importlib, pkgutil, sys, rpcnb.core, rpcnb.wire, rpcnb.session
for part in (rpcnb.core, rpcnb.wire, rpcnb.session):
    for found in pkgutil.walk_packages(part.__path__, part.__name__ + "."):
        if found.name not in {sorted(NEEDS_AN_EXTRA)!r}:
            importlib.import_module(found.name)
ours = [m for name, m in sys.modules.items() if name.split(".")[0] == "rpcnb"]
held = {{(m.__name__, getattr(v, "__module__", None) or getattr(v, "__name__", ""))
        for m in ours for v in vars(m).values()}}
assert len(ours) > 5
print([pair for pair in held if str(pair[1]).split(".")[0] in {PICKLING!r}])
"""
    assert run_python(code).strip() == "[]"


def test_security_md_states_the_limits_in_force() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d,]+) ?(\w*) \|", SECURITY_MD.read_text("utf-8"), re.MULTILINE
    )
    factor = {"": 1, "s": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
    stated = {name: int(number.replace(",", "")) * factor[unit] for name, number, unit in rows}
    assert asdict(DEFAULT_LIMITS) == stated


def test_every_test_that_security_md_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", SECURITY_MD.read_text("utf-8"))
    assert len(named) > 30
    root = SECURITY_MD.parent
    missing = [
        f"{path}::{name}"
        for path, name in named
        if f"def {name}(" not in (root / path).read_text("utf-8")
    ]
    assert missing == []
