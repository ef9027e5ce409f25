"""The magics about seeing: calls, the panel, and the line under each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from rpcnb.notebook.arguments import find_remote, parse
from rpcnb.notebook.call_table import CallTable
from rpcnb.notebook.cell_summary import CellSummary
from rpcnb.notebook.errors import as_one_line
from rpcnb.notebook.journal import JOURNAL
from rpcnb.notebook.panel import open_panel

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

SUMMARIES: WeakKeyDictionary[InteractiveShell, CellSummary] = WeakKeyDictionary()


@magics_class
class ViewMagics(Magics):
    """`%remote_calls` and its like."""

    @line_magic
    @magic_arguments()
    @argument("name", nargs="?", help="of the session or its variable; by default `remote`")
    def remote_calls(self, line: str) -> None:
        """Show the calls of a session: how far, how long, how they ended.

        Calls are recorded from the first use of this magic, or of `%remote_cells on`, on.
        """
        with as_one_line():
            remote = find_remote(self._namespace, parse(self.remote_calls, line).name)
            recorded = JOURNAL.open
            JOURNAL.begin("calls")
            rows = JOURNAL.calls(remote.session.table_index).rows()
            made = remote.session.statistics().get("calls")
            number = made if isinstance(made, int) else None
            display(CallTable(remote.name, rows, number, recorded=recorded))

    @line_magic
    @magic_arguments()
    @argument("name", nargs="?", help="of the session or its variable; by default `remote`")
    def remote_panel(self, line: str) -> None:
        """Show the live view of a session: handles and their lifetimes, calls, cancel."""
        with as_one_line():
            open_panel(find_remote(self._namespace, parse(self.remote_panel, line).name))

    @line_magic
    @magic_arguments()
    @argument("switch", nargs="?", choices=["on", "off"], help="without: say which it is")
    def remote_cells(self, line: str) -> None:
        """Say under each cell what it did over there: handles, bytes, calls, seconds, traffic."""
        with as_one_line():
            args = parse(self.remote_cells, line)
            assert self.shell is not None  # magics are made with one
            summary = SUMMARIES.setdefault(self.shell, CellSummary(self.shell))
            if args.switch is None:
                print("on" if summary.on else "off")
            else:
                summary.switch(on=args.switch == "on")

    @property
    def _namespace(self) -> dict[str, Any]:
        assert self.shell is not None  # magics are made with one
        namespace: dict[str, Any] = self.shell.user_ns
        return namespace
