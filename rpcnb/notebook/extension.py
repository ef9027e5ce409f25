"""`%load_ext rpcnb`, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from rpcnb.notebook import errors, formatters
from rpcnb.notebook.call_view import open_call
from rpcnb.notebook.cell_end import HOOKS, CellEnd
from rpcnb.notebook.cell_magic import CellMagics
from rpcnb.notebook.completion import Completion
from rpcnb.notebook.flood import TEXT_FLOOD
from rpcnb.notebook.inspector import open_inspector
from rpcnb.notebook.interrupts import AwaitInterrupts
from rpcnb.notebook.journal import JOURNAL
from rpcnb.notebook.late_errors import settle
from rpcnb.notebook.listings import fetch_lists
from rpcnb.notebook.magics import RemoteMagics
from rpcnb.notebook.mode_magic import ModeMagic
from rpcnb.notebook.progress import CellBar
from rpcnb.notebook.view_magics import SUMMARIES, ViewMagics
from rpcnb.remote import array, future, output, progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

MAGICS = (RemoteMagics, CellMagics, ViewMagics, ModeMagic)
_UNDO: WeakKeyDictionary[InteractiveShell, list[Callable[[], object]]] = WeakKeyDictionary()
"""Shell -> what takes back what it was given."""


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Bring magics, displays, progress and readable errors to a notebook or an IPython terminal."""
    mode = ModeMagic(ipython)
    ipython.register_magics(RemoteMagics, CellMagics, ViewMagics, mode)
    formatters.register(ipython)
    errors.install()
    end = CellEnd(ipython)
    end.install()
    HOOKS.extend(hook for hook in (settle, fetch_lists) if hook not in HOOKS)
    completion = Completion(ipython, MAGICS)
    completion.install()
    _UNDO[ipython] = [end.uninstall, mode.uninstall, completion.uninstall]
    array.show_inspector = open_inspector
    future.show_live = open_call
    if hasattr(ipython, "kernel"):  # a terminal has its own bar, on the line below
        progress.make_view = CellBar
        output.passes = TEXT_FLOOD.through
        interrupts = AwaitInterrupts(ipython)
        interrupts.install()
        _UNDO[ipython].append(interrupts.uninstall)


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Take back what `load_ipython_extension` brought; sessions stay open."""
    for kind, known in ipython.magics_manager.magics.items():
        for magics in MAGICS:
            for name in magics.magics[kind]:
                known.pop(name, None)
    formatters.unregister(ipython)
    errors.uninstall()
    summary = SUMMARIES.pop(ipython, None)
    if summary is not None:
        summary.switch(on=False)
    JOURNAL.end("calls")
    for undo in _UNDO.pop(ipython, ()):
        undo()
    array.show_inspector = array.print_summary
    future.show_live = print
    progress.make_view = progress.TerminalBar
    output.passes = str
