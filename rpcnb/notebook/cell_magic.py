"""`%%remote`: a cell that runs over there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from rpcnb.core.errors import RemoteError
from rpcnb.core.visible import coloured, visible, without_colours
from rpcnb.notebook.arguments import find_remote, parse
from rpcnb.notebook.cell_output import CellOutput
from rpcnb.notebook.displays import quiet
from rpcnb.notebook.errors import as_one_line, show_as
from rpcnb.remote.cells import get_name, run_cell, set_name

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote


@magics_class
class CellMagics(Magics):
    """`%%remote`."""

    @cell_magic
    @magic_arguments()
    @argument("name", nargs="?", help="of the session or its variable; by default `remote`")
    @argument(
        "--in",
        dest="given",
        nargs="+",
        default=(),
        metavar="VAR",
        help="set these over there first",
    )
    @argument("--out", nargs="+", default=(), metavar="VAR", help="bind these here afterwards")
    @argument("--where", action="store_true", help="say above the output where the cell runs")
    def remote(self, line: str, cell: str) -> None:
        """Run this cell over there, in the session's own namespace.

        It prints, displays, raises and is interrupted as a cell that runs here. Functions it
        defines are callable as `remote.fn.NAME`. Variables cross as arguments and results do: plain
        values and small arrays by value, the rest as proxies. The server must have been started
        with --allow-exec.
        """
        with as_one_line():
            args = parse(self.remote, line)
            remote = find_remote(self._namespace, args.name)
            if args.where:
                where = f"on {remote.name}"
                bundle = {"text/plain": visible(where), "text/html": quiet(where)}
                display(bundle, raw=True)
            for name in args.given:
                if name not in self._namespace:
                    raise ValueError(f"--in {name}: there is no such variable here")
                set_name(remote, name, self._namespace[name])
            self._run(remote, cell)
            for name in args.out:
                self._namespace[name] = get_name(remote, name)

    @property
    def _namespace(self) -> dict[str, Any]:
        assert self.shell is not None  # magics are made with one
        namespace: dict[str, Any] = self.shell.user_ns
        return namespace

    def _run(self, remote: Remote, cell: str) -> None:
        assert self.shell is not None  # magics are made with one
        output = CellOutput(remote)
        try:
            coloured = self.shell.colors.lower() != "nocolor"
            run_cell(remote, cell, output, self.shell.execution_count, coloured=coloured)
        except RemoteError as error:
            show_remote_traceback(error, remote.name)
            raise
        finally:
            output.end()


def show_remote_traceback(error: RemoteError, name: str) -> None:
    """Let an error be shown by its traceback over there alone, as IPython wrote it."""
    trace = error.remote_traceback
    error.remote_traceback = without_colours(trace)
    hops = error.hops if len(error.hops) > 1 else (name,)
    show_as(error, [*coloured(trace).splitlines(), "", f"on {' → '.join(hops)}"])
