"""Cells: code that a caller sends to be run here, in the one namespace of a session.

Offered as ``rpcnb.cell.*`` by every session and refused unless its server was told to allow it:
whoever may run cells may do everything the server's user may.  IPython runs them (`ipython`), which
is loaded by the first cell and need not be installed for anything else.
"""

from __future__ import annotations

import importlib
import threading
from types import FunctionType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from rpcnb.core.errors import PermissionDenied, SessionError
from rpcnb.core.roles import Role
from rpcnb.session.functions import FunctionRegistry, describe_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.values import FunctionInfo
    from rpcnb.session.files import WorkFolder

Show: TypeAlias = "Callable[[str, dict[str, Any], dict[str, Any], str], object]"
"""Shows one thing where the cell was written: ``display``, ``update`` or ``clear``, the MIME bundle,
its metadata, and the id that a later update names, or an empty text."""

MAIN = "__main__"
"""What cells find as ``__name__``."""
NOT_ALLOWED = "this server runs no cells; start it with rpcnb serve --allow-exec to allow them"


class Shell(Protocol):
    """What runs cells."""

    user_ns: dict[str, Any]

    def run_for(self, source: str, show: Show, number: int, *, coloured: bool) -> None:
        """Run a cell; raise what it raises."""


class Cells:
    """Runs cells in one namespace.  A worker process has one of these at most.

    Parameters
    ----------
    registry : FunctionRegistry
        The server's functions.
    folder : WorkFolder
        The session's, whose path cells find as ``work_folder``.

    Attributes
    ----------
    registry : FunctionRegistry
        The server's functions, and those that cells have defined.
    """

    def __init__(self, registry: FunctionRegistry, folder: WorkFolder) -> None:
        self.namespace: dict[str, Any] = {}
        self.registry: FunctionRegistry = CellRegistry(registry, self)
        self._folder = folder
        self._shell: Shell | None = None
        self._turn = threading.Lock()

    def builtins(self) -> dict[str, Callable[..., Any]]:
        """Return the functions that a session offers for cells."""
        return {"rpcnb.cell.run": self.run, "rpcnb.cell.get": self.get, "rpcnb.cell.set": self.set}

    def run(self, source: str, show: Show, number: int = 0, *, coloured: bool = False) -> bool:
        """Run a cell.

        Parameters
        ----------
        source : str
            As typed: magics and top-level ``await`` are allowed.
        show : callable
            Given what the cell displays, as it does so.
        number : int
            Of the cell, where it was written; tracebacks name it.
        coloured : bool
            Whether the traceback has colours.

        Returns
        -------
        bool
            Whether the functions have changed that the cells define.

        Raises
        ------
        SessionError
            IPython is not installed here, or a cell of this session runs already.
        BaseException
            What the cell raised; its traceback as IPython shows it travels with it.
        """
        if not self._turn.acquire(blocking=False):
            raise SessionError("another cell of this session is running; wait until it has ended")
        try:
            shell = self._open()
            before = self.functions()
            try:
                shell.run_for(source, show, number, coloured=coloured)
            finally:
                self.namespace = shell.user_ns
            return self.functions() != before
        finally:
            self._turn.release()

    def get(self, name: str) -> Any:
        """Return what a name stands for; NameError when it is not bound."""
        try:
            return self.namespace[name]
        except KeyError:
            raise NameError(f"name {name!r} is not defined over there") from None

    def set(self, name: str, value: Any) -> None:
        """Bind a name; ValueError when it is none."""
        if not name.isidentifier():
            raise ValueError(f"{name!r} cannot be the name of a variable")
        self._open().user_ns[name] = value

    def functions(self) -> dict[str, FunctionType]:
        """Return name -> function of what the cells define, private names left out."""
        return {
            name: thing
            for name, thing in list(self.namespace.items())
            if isinstance(thing, FunctionType)
            and thing.__module__ == MAIN
            and not name.startswith("_")
            and name.isascii()
        }

    def _open(self) -> Shell:
        if self._shell is None:
            try:
                ipython = importlib.import_module("rpcnb.session.ipython")
            except ModuleNotFoundError as error:
                missing = error.name or ""
                if missing.partition(".")[0] not in {"IPython", "traitlets"}:
                    raise
                raise SessionError(
                    f"cells need {missing.partition('.')[0]}, which is not installed on this "
                    "server; pip install ipython there"
                ) from None
            shell: Shell = ipython.open_shell(self._folder.path)
            self._shell, self.namespace = shell, shell.user_ns
        return self._shell


class CellRegistry(FunctionRegistry):
    """A server's functions, and before them what the cells of one session define."""

    def __init__(self, server: FunctionRegistry, cells: Cells) -> None:
        super().__init__()
        self._server = server
        self._cells = cells

    def add(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        override: bool = False,
        role: str = "executor",
    ) -> None:
        self._server.add(name, function, override=override, role=role)

    def remove(self, name: str) -> None:
        self._server.remove(name)

    def get(self, name: str) -> Callable[..., Any] | None:
        return self._cells.functions().get(name) or self._server.get(name)

    def describe(self, name: str, function: Callable[..., Any]) -> FunctionInfo:
        own = name in self._cells.functions()
        return describe_function(function, name) if own else self._server.describe(name, function)

    def role_of(self, name: str) -> Role:
        return Role.EXECUTOR if name in self._cells.functions() else self._server.role_of(name)

    def names(self) -> list[str]:
        return sorted({*self._server.names(), *self._cells.functions()})


def refused() -> dict[str, Callable[..., Any]]:
    """Return what a session offers for cells that may run none."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionDenied(NOT_ALLOWED)

    return dict.fromkeys(("rpcnb.cell.run", "rpcnb.cell.get", "rpcnb.cell.set"), refuse)
