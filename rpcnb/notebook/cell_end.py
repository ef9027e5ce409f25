"""What happens when a cell has ended: hooks, in the order in which they were added.

A hook is called with nothing on the thread that ran the cell, and what it shows lands under that
cell. One that raises is shown as an error of the cell would be, and does not keep the others from
running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.notebook.flood import show_rest

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

HOOKS: list[Callable[[], object]] = [show_rest]
"""What is called at the end of each cell."""


class CellEnd:
    """Calls the hooks, for one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def install(self) -> None:
        """Begin."""
        self._shell.events.register("post_run_cell", self._after_cell)

    def uninstall(self) -> None:
        """End."""
        self._shell.events.unregister("post_run_cell", self._after_cell)

    def _after_cell(self, *_: object) -> None:
        for hook in tuple(HOOKS):
            try:
                hook()
            except Exception:  # noqa: BLE001 -- shown; the cell itself has ended well
                self._shell.showtraceback()
