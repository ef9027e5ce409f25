"""Cells that run over there: what ``%%remote`` does, for a notebook or any other program.

What a cell shows is handed to a `CellView`, in order with what it prints. Names cross in both
directions as arguments and results of calls do: plain values by value, the rest as proxies.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from rpcnb.core.errors import EncodeError, FunctionNotFound, SessionError
from rpcnb.core.values import FunctionInfo
from rpcnb.remote.observer import BlockingObserver
from rpcnb.remote.proxy import Proxy
from rpcnb.remote.wrap import Lent, lower_call

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote
    from rpcnb.remote.function import RemoteFunction

NAME = "%%remote"
"""What a cell is called in messages and views."""


class CellView(Protocol):
    """Shows what a cell displays; called where the cell's caller waits, while it runs."""

    def show(
        self, what: str, data: dict[str, Any], metadata: dict[str, Any], display_id: str
    ) -> None:
        """Show something: ``display``, ``update`` what has that id, or ``clear`` the output.

        `data` is a MIME bundle as the other side chose it: nothing in it is to be trusted.
        """


class CellObserver(BlockingObserver):
    """As for any blocking call; warnings are written when they happen, as in a local cell."""

    def output(self, stream: str, text: str) -> None:
        """Show what it wrote."""
        self.show(self.remote.on_output, "stderr" if stream == "warning" else stream, text)


def run_cell(
    remote: Remote, source: str, view: CellView, number: int = 0, *, coloured: bool = False
) -> None:
    """Run code in the session's namespace over there, and wait.

    Parameters
    ----------
    remote : Remote
        Its server must allow it.
    source : str
        A cell, as IPython takes it.
    view : CellView
        Shows what it displays.
    number : int
        Of the cell; its traceback names it.
    coloured : bool
        Whether its traceback is to have colours.

    Raises
    ------
    PermissionDenied
        The server was started without ``--allow-exec``.
    RemoteError
        What the cell raised, with the traceback as IPython shows it.
    RemoteInterrupted
        It was interrupted here and stopped there.
    """
    function = builtin(remote, "rpcnb.cell.run")
    lent: Lent = {}
    values, named = lower_call(remote, (source, view.show, number), {"coloured": coloured}, lent)
    observer = CellObserver(remote, NAME, lent)
    ref = replace(function.lowered(), info=FunctionInfo(NAME))
    try:
        changed = remote.session.call_func(ref, values, named, observer=observer)
    except Exception:
        remote.refresh()  # it may have defined functions before it failed
        raise
    finally:
        observer.close()
    if changed:
        remote.refresh()


def get_name(remote: Remote, name: str) -> Any:
    """Return what a name stands for over there: a plain value, or a proxy.

    Raises
    ------
    RemoteError
        A `NameError`: it is not bound.
    """
    return builtin(remote, "rpcnb.cell.get")(name)


def set_name(remote: Remote, name: str, value: object) -> None:
    """Bind a name over there to a plain value, a small array, or what a proxy stands for.

    Raises
    ------
    EncodeError
        A function of this side: it can be lent for a call, and not stay.
    """
    if callable(value) and not isinstance(value, Proxy):
        raise EncodeError(
            f"{name} is a function of this side and cannot stay on {remote.name}; define it there, "
            "in a %%remote cell"
        )
    builtin(remote, "rpcnb.cell.set")(name, value)


def builtin(remote: Remote, name: str) -> RemoteFunction:
    """Return a function for cells.

    Raises
    ------
    SessionError
        Another kind of server, which runs no cells.
    """
    try:
        return remote.builtin(name)
    except FunctionNotFound:
        raise SessionError(f"{remote.name} is no rpcnb server, and runs no cells") from None
