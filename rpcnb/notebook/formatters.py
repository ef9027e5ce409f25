"""Which class is shown how: what IPython's formatters are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from rpcnb.array.namespace import ArrayNamespace, NamespacePart
from rpcnb.array.random import RandomGenerator, RandomNamespace
from rpcnb.core.visible import visible
from rpcnb.manager import SessionManager
from rpcnb.notebook import displays, tool_displays
from rpcnb.notebook.displays import SessionTable
from rpcnb.notebook.markup import Html
from rpcnb.remote.array import RemoteArray
from rpcnb.remote.benchmark import BenchmarkResult, TimeEvaluator
from rpcnb.remote.catalogue import FunctionCatalogue, FunctionTree
from rpcnb.remote.client import Remote
from rpcnb.remote.device import RemoteDevice, RemoteStream
from rpcnb.remote.function import RemoteFunction
from rpcnb.remote.future import RemoteFuture
from rpcnb.remote.handles import HandleTable
from rpcnb.remote.iterator import RemoteGenerator
from rpcnb.remote.module import RemoteModule
from rpcnb.remote.object import RemoteObject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from IPython.core.interactiveshell import InteractiveShell

Display: TypeAlias = Callable[[Any], Html]

LONGEST = 20_000
"""Characters of plain text; the rest of a longer one is left out."""

DISPLAYS: dict[type | str, Display] = {
    ArrayNamespace: tool_displays.line_html,
    BenchmarkResult: tool_displays.benchmark_html,
    FunctionCatalogue: displays.catalogue_html,
    FunctionTree: tool_displays.tree_html,
    HandleTable: displays.handles_html,
    NamespacePart: tool_displays.line_html,
    RandomGenerator: tool_displays.line_html,
    RandomNamespace: tool_displays.line_html,
    Remote: displays.remote_html,
    RemoteArray: displays.array_html,
    RemoteDevice: displays.device_html,
    RemoteFunction: displays.function_html,
    RemoteFuture: displays.future_html,
    RemoteGenerator: displays.generator_html,
    RemoteModule: displays.module_html,
    RemoteObject: displays.object_html,
    RemoteStream: tool_displays.line_html,
    "rpcnb.endpoint.serving.server.Server": tool_displays.line_html,  # loaded by who serves
    SessionManager: tool_displays.manager_html,
    SessionTable: displays.sessions_html,
    TimeEvaluator: tool_displays.line_html,
}


def register(shell: InteractiveShell) -> None:
    """Let a shell show these classes this way."""
    assert shell.display_formatter is not None  # every shell has one
    formatters = shell.display_formatter.formatters
    for cls, display in DISPLAYS.items():
        formatters["text/html"].for_type(cls, display)
        formatters["text/plain"].for_type(cls, _plain)


def unregister(shell: InteractiveShell) -> None:
    """Let a shell show these classes as any other."""
    assert shell.display_formatter is not None  # every shell has one
    formatters = shell.display_formatter.formatters
    for cls in DISPLAYS:
        formatters["text/html"].pop(cls, None)
        formatters["text/plain"].pop(cls, None)


def _plain(thing: object, printer: Any, _cycle: bool) -> None:  # noqa: FBT001 -- IPython's interface
    text = visible(repr(thing))
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n… {len(text) - LONGEST:,} characters left out"
    lines: Iterable[str] = text.splitlines()
    for number, line in enumerate(lines):
        if number:
            printer.break_()
        printer.text(line)
