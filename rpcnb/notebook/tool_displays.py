"""How the tools around remote things look: trees of functions, measurements, the manager, a server.

The rules are those of `displays`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.notebook.displays import (
    SessionTable,
    code,
    counted,
    cut,
    function_table,
    headline,
    quiet,
    sessions_html,
)
from rpcnb.notebook.markup import Html, join, table
from rpcnb.remote.benchmark import duration
from rpcnb.remote.catalogue import functions_below

if TYPE_CHECKING:
    from rpcnb.manager import SessionManager
    from rpcnb.remote.benchmark import BenchmarkResult
    from rpcnb.remote.catalogue import FunctionTree


def line_html(thing: object) -> Html:
    """Show what has no more to show than its ``repr``."""
    return headline(code(cut(repr(thing).strip("<>"))))


def tree_html(tree: FunctionTree) -> Html:
    """Show the functions below a prefix."""
    functions = functions_below(tree)
    return join([quiet(counted(len(functions), "function")), function_table(functions)])


def benchmark_html(result: BenchmarkResult) -> Html:
    """Show a measurement."""
    names = ("mean", "median", "std", "min", "max")
    figures = ((name, duration(getattr(result, name))) for name in names)
    return table(("of", "time"), figures, numbers=frozenset({1}))


def manager_html(manager: SessionManager) -> Html:
    """Show the sessions there are."""
    return sessions_html(SessionTable(manager.table()))
