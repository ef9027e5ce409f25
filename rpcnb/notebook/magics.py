"""The magics: a notebook's way to connect, to see what is connected, and to disconnect."""

from __future__ import annotations

import getpass
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import StdinNotImplementedError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from rpcnb.core.errors import AuthenticationError, RpcnbError
from rpcnb.endpoint.client.connect import parse_url, without_secret
from rpcnb.endpoint.credentials import remember_token
from rpcnb.manager import manager
from rpcnb.notebook.arguments import VARIABLE, find_remote, parse
from rpcnb.notebook.cell_output import TRUSTED
from rpcnb.notebook.displays import SessionTable
from rpcnb.notebook.errors import as_one_line
from rpcnb.remote.client import Remote

if TYPE_CHECKING:
    from argparse import Namespace


HINT = (
    "This cell holds a secret, which is saved with the notebook. Run {variable}.remember() once, and "
    "write  %connect_remote {address}  here."
)


@magics_class
class RemoteMagics(Magics):
    """`%connect_remote` and its like."""

    @line_magic
    @magic_arguments()
    @argument("url", help="host:port, unix:///path.sock, local:, or the path of a connection file")
    @argument("--as", dest="variable", metavar="NAME", help="bind this name instead of `remote`")
    @argument("--name", help="what the session is called; by default what the server calls itself")
    @argument("--token-file", metavar="PATH", help="read the secret from this file")
    @argument("--timeout", type=float, default=10.0, help="seconds to connect within (10)")
    @argument("--trust", action="store_true", help="show HTML and scripts of its cells as such")
    def connect_remote(self, line: str) -> None:
        """Connect to a server and bind the connection to a variable.

        The secret is found by address for a server of yours on this machine; otherwise it is asked
        for once, hidden, and kept in a file that only you can read. Run again, it keeps a
        connection to the same address that still answers, with everything it holds.
        """
        with as_one_line():
            args = parse(self.connect_remote, line)
            variable = args.variable or VARIABLE
            if not variable.isidentifier() or iskeyword(variable):
                raise ValueError(f"{variable!r} cannot be the name of a variable")
            remote = self._still_there(variable, args.url) or self._open(args)
            if args.trust:
                TRUSTED.add(remote)
            self._namespace[variable] = remote
            if "#" in args.url:
                print(HINT.format(variable=variable, address=without_secret(args.url)))
            display(remote)

    @line_magic
    @magic_arguments()
    @argument("name", nargs="?", help="of the session or its variable; by default `remote`")
    @argument("--all", action="store_true", help="close all sessions")
    def disconnect_remote(self, line: str) -> None:
        """Close a session, and with it everything it holds over there."""
        with as_one_line():
            args = parse(self.disconnect_remote, line)
            if args.all:
                manager.close_all()
                return
            remote = find_remote(self._namespace, args.name)
            remote.close()
            print(f"disconnected from {remote.name}")

    @line_magic
    @magic_arguments()
    def remotes(self, line: str) -> None:
        """Show the sessions that are open."""
        with as_one_line():
            parse(self.remotes, line)
            display(SessionTable(manager.table()))

    @line_magic
    @magic_arguments()
    @argument("name", nargs="?", help="of the session or its variable; by default `remote`")
    def remote_handles(self, line: str) -> None:
        """Show what is held over there on behalf of this notebook."""
        with as_one_line():
            args = parse(self.remote_handles, line)
            display(find_remote(self._namespace, args.name).handles)

    @property
    def _namespace(self) -> dict[str, Any]:
        assert self.shell is not None  # magics are made with one
        namespace: dict[str, Any] = self.shell.user_ns
        return namespace

    def _still_there(self, variable: str, url: str) -> Remote | None:
        """Return what the variable holds if that is a connection to `url` which answers."""
        held = self._namespace.get(variable)
        if not isinstance(held, Remote) or held.url != without_secret(url) or held.closed:
            return None
        try:
            held.ping()
        except RpcnbError:
            held.close()
            return None
        return held

    def _open(self, args: Namespace) -> Remote:
        """Connect, asking for the secret where it is not known."""
        token = None
        if args.token_file:
            token = Path(args.token_file).expanduser().read_text(encoding="utf-8").strip()
        try:
            return connect(args, token)
        except AuthenticationError as error:
            asked = None if args.token_file else ask_for_token(str(error))
            if asked is None:
                raise
        remote = connect(args, asked)
        remember_token(parse_url(args.url).transport_url, asked)
        return remote


def connect(args: Namespace, token: str | None) -> Remote:
    """Connect as the magic's arguments say; a name that is given takes over from an older session."""
    name = args.name or args.variable
    return manager.connect(args.url, token, name=name, timeout=args.timeout, replace=True)


def ask_for_token(why: str) -> str | None:
    """Ask for a secret, hidden; None where nobody can be asked, or nothing was typed."""
    print(why)
    try:
        typed = getpass.getpass("token, or the whole line (hidden; empty gives up): ").strip()
        return typed.rpartition("#")[2] or None
    except (StdinNotImplementedError, EOFError):
        return None
