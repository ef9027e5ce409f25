"""What magics are given: arguments, and the session they mean."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from rpcnb.core.errors import SessionError
from rpcnb.manager import manager
from rpcnb.remote.client import Remote

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

VARIABLE = "remote"
"""What a connection is bound to unless told otherwise."""


class HelpWanted(Exception):
    """A magic was asked how it is used; its message says so."""


def parse(magic: Any, line: str) -> Namespace:
    """Read a magic's arguments; a comment may follow them, as on any other line.

    Raises
    ------
    HelpWanted
        ``--help`` is among them.
    ValueError
        They cannot be meant. Not IPython's `UsageError`, which a shell prints and does not keep, so
        that some kernels cannot answer their front end (seen with ipykernel 7.4).
    """
    line = re.split(r"(?:^|\s)#", line)[0]
    if "--help" in line.split():
        raise HelpWanted(magic.parser.format_help().removeprefix("::\n\n"))
    try:
        args: Namespace = magic.parser.parse_args(
            [unquoted(word) for word in shlex.split(line, posix=False)]
        )
    except UsageError as error:
        raise ValueError(f"{error}; see  %{magic.__name__} --help") from None
    return args


def unquoted(word: str) -> str:
    """Return a word without the quotes around it, which IPython leaves: ``"my lab"``."""
    quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "\"'"
    return word[1:-1] if quoted else word


def find_remote(namespace: Mapping[str, Any], name: str | None) -> Remote:
    """Return a session by its name, or by the variable it is bound to.

    Raises
    ------
    SessionError
        There is none of that name; or no name was given, and it is not clear which is meant.
    """
    held = namespace.get(name or VARIABLE)
    if name not in manager.sessions and isinstance(held, Remote) and not held.closed:
        return held
    if name is not None:
        return manager.get(name)
    if not manager.sessions:
        raise SessionError("no session is open; %connect_remote HOST:PORT opens one")
    if len(manager.sessions) != 1:
        raise SessionError(f"which session? open are: {', '.join(manager.sessions)}")
    return next(iter(manager.sessions.values()))
