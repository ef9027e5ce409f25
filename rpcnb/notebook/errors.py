"""Errors of ours in a notebook: the user's lines and one clear message, none of our insides.

IPython asks an exception for ``_render_traceback_`` before it formats it; `install` gives our
classes that method. The whole traceback is still there for ``%debug`` and ``sys.last_exc``.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from IPython.core.getipython import get_ipython

from rpcnb.core.errors import RemoteInterrupted, RpcnbError
from rpcnb.notebook.arguments import HelpWanted

if TYPE_CHECKING:
    from collections.abc import Iterator

HOOK = "_render_traceback_"
CLASSES: tuple[type[BaseException], ...] = (RpcnbError, RemoteInterrupted)
_SECRET = re.compile(r"(?<=[#.'\"])[A-Za-z2-7]{52}(?![A-Za-z0-9])")
"""What a secret looks like in an address or a literal: 256 bits in base 32."""
INSIDES = frozenset({"asyncio", "concurrent", "rpcnb", "threading"})
"""Packages whose frames say nothing to somebody who called a remote function."""


def install() -> None:
    """Show our errors this way."""
    for cls in CLASSES:
        setattr(cls, HOOK, render)


def uninstall() -> None:
    """Show our errors as any others."""
    for cls in CLASSES:
        if HOOK in vars(cls):
            delattr(cls, HOOK)


def render(error: BaseException) -> list[str]:
    """Return the lines to show for an error."""
    shell = get_ipython()
    if shell is None:
        return [one_line(error)]
    # What caused it was caught by us and is told by the message; its frames are our insides, too.
    chain = error.__cause__, error.__context__
    error.__cause__ = error.__context__ = None
    try:
        lines: list[str] = shell.InteractiveTB.structured_traceback(
            type(error), error, without_insides(error.__traceback__)
        )
        return list(map(without_secrets, lines))
    finally:
        error.__cause__, error.__context__ = chain


def without_secrets(text: str) -> str:
    """Return a text without the tokens in it.

    A traceback shows the lines of the cell, and an address that was typed there would be saved with
    the outputs.
    """
    return _SECRET.sub("(secret)", text)


def without_insides(trace: TracebackType | None) -> TracebackType | None:
    """Return a copy of a traceback without frames of ours."""
    kept = []
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in INSIDES:
            kept.append(trace)
        trace = trace.tb_next
    copy: TracebackType | None = None
    for entry in reversed(kept):
        copy = TracebackType(copy, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return copy


def one_line(error: BaseException) -> str:
    """Return class and message of an error."""
    return f"{type(error).__name__}: {error}"


@contextmanager
def as_one_line() -> Iterator[None]:
    """Let what fails in the block be shown as one message: a magic has no lines of the user's.

    Where the block was asked for help, that is printed, and the block left.
    """
    try:
        yield
    except HelpWanted as wanted:
        print(wanted)
    except (RpcnbError, RemoteInterrupted, OSError, ValueError) as error:
        if HOOK not in vars(error):
            show_as(error, [one_line(error)])
        raise


def show_as(error: BaseException, lines: list[str]) -> None:
    """Let an error be shown as these lines."""
    setattr(error, HOOK, lambda: lines)
