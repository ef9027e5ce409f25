"""`%load_ext rpcnb`, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from rpcnb.notebook import displays, errors
from rpcnb.notebook.cell_magic import CellMagics
from rpcnb.notebook.interrupts import AwaitInterrupts
from rpcnb.notebook.magics import RemoteMagics
from rpcnb.notebook.progress import CellBar
from rpcnb.remote import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell


_UNDO: WeakKeyDictionary[InteractiveShell, Callable[[], None]] = WeakKeyDictionary()
"""Shell of a kernel -> what takes back what only kernels get."""


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Bring magics, displays, progress and readable errors to a notebook or an IPython terminal."""
    ipython.register_magics(RemoteMagics, CellMagics)
    displays.register(ipython)
    errors.install()
    if hasattr(ipython, "kernel"):  # a terminal has its own bar, on the line below
        progress.make_view = CellBar
        interrupts = AwaitInterrupts(ipython)
        interrupts.install()
        _UNDO[ipython] = interrupts.uninstall


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Take back what `load_ipython_extension` brought; sessions stay open."""
    for kind, known in ipython.magics_manager.magics.items():
        for magics in (RemoteMagics, CellMagics):
            for name in magics.magics[kind]:
                known.pop(name, None)
    displays.unregister(ipython)
    errors.uninstall()
    _UNDO.pop(ipython, lambda: None)()
    progress.make_view = progress.TerminalBar
