"""How a command says that it failed."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from rpcnb.core.errors import AddressError, RpcnbError

_FRAME = re.compile(r'  File "(?P<path>[^"\n]+)", line \d+, in .*\n(?:    .*\n)*')


class CommandFailed(Exception):
    """A command could not do what it was told.

    Parameters
    ----------
    message : str
        One sentence, with what to do next; a traceback of the user's own code may follow it.
    status : int
        Exit status: 2 for a command line that cannot be meant.
    """

    def __init__(self, message: str, *, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def explain(error: Exception) -> CommandFailed:
    """Make a line for the user out of what a part of rpcnb, or the system, raised."""
    if isinstance(error, AddressError):
        return CommandFailed(str(error), status=2)
    if isinstance(error, RpcnbError | OSError):
        return CommandFailed(str(error))
    return CommandFailed(
        f"{type(error).__name__}: {error}; this should not happen, --debug shows where it did"
    )


def of_the_user(traceback: str) -> str:
    """Return a formatted traceback without the frames of rpcnb and of the import system.

    Empty if none is left, which means that the user's code was not reached.
    """
    kept = _FRAME.sub(lambda frame: "" if _is_ours(frame["path"]) else frame[0], traceback)
    return kept if '  File "' in kept else ""


def _is_ours(path: str) -> bool:
    package, imports = (Path(p).parent for p in (str(Path(__file__).parent), importlib.__file__))
    return path.startswith("<frozen ") or any(f in Path(path).parents for f in (package, imports))
