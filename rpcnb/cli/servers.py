"""`rpcnb token`, `rpcnb status`, `rpcnb stop`: the servers of this user that run on this machine."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpcnb.cli.failure import CommandFailed
from rpcnb.cli.options import port_number

if TYPE_CHECKING:
    import argparse

    from rpcnb.endpoint.credentials import ConnectionFile

PATIENCE = 40.0
"""Seconds a server gets to stop: longer than its workers get."""
NONE_RUNS = "no server of yours runs here; start one with: rpcnb serve FILE.py"


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare the three commands."""
    table = (
        ("token", run_token, "show how to connect to a server, with its secret"),
        ("status", run_status, "list the servers that run"),
        ("stop", run_stop, "stop a server in an orderly way"),
    )
    for name, run, text in table:
        description = f"{text[0].upper()}{text[1:]}."
        parser = commands.add_parser(name, parents=[common], help=text, description=description)
        parser.set_defaults(run=run)
        which: Any = parser if name == "token" else parser.add_mutually_exclusive_group()
        which.add_argument("path", nargs="?", metavar="PATH", help="connection file of the server")
        which.add_argument("--port", type=port_number, help="TCP port of the server")
        if name == "token":
            _describe_rotation(parser)


def _describe_rotation(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "`rpcnb token rotate` replaces the secret first: all tokens and links are worthless then, and "
        "the sessions that were opened with them are ended."
    )
    parser.add_argument(
        "--keep-sessions", action="store_true", help="with rotate: let open sessions go on"
    )


def run_token(args: argparse.Namespace) -> int:
    """Show the secret of one server, perhaps a new one; asked for by name, so also to no terminal."""
    rotate = args.path == "rotate"
    if rotate:
        args.path = None
    info = find_server(args)
    if rotate:
        from rpcnb.endpoint.client.connect import ask_status

        command = "rotate" if args.keep_sessions else "rotate all"
        ask_status(info.url, info.admin, command=command)
        info = find_server(args)  # the server has written its file anew
    print(how_to_connect(info.url, info.token))
    return 0


def run_status(args: argparse.Namespace) -> int:
    """Show a table of servers."""
    rows = [("ADDRESS", "NAME", "PID", "SESSIONS", "UPTIME")]
    rows += [_row(info) for info in find_servers(args)]
    if len(rows) == 1:
        print(NONE_RUNS)
        return 0
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        )
    return 0


def _row(info: ConnectionFile) -> tuple[str, str, str, str, str]:
    from rpcnb.core.errors import RpcnbError
    from rpcnb.endpoint.client.connect import ask_status

    try:
        status = ask_status(info.url, info.token)
    except RpcnbError as error:  # the other servers are shown nevertheless
        return short_address(info.url), info.name, str(info.pid), "?", f"no answer: {error}"
    return (
        short_address(info.url),
        str(status.get("name", "")),
        str(status.get("pid", "")),
        str(status.get("sessions", "")),
        duration(float(str(status.get("uptime", 0)))),
    )


def run_stop(args: argparse.Namespace) -> int:
    """Stop one server and wait until it has."""
    from rpcnb.core.errors import TransportError
    from rpcnb.endpoint.client.connect import ask_status
    from rpcnb.endpoint.credentials import is_running

    info = find_server(args)
    where = short_address(info.url)
    if not info.dedicated:
        message = (
            f"the server on {where} is part of process {info.pid}, which does other things, too; "
            "close it there: server.close()"
        )
        raise CommandFailed(message)
    try:
        pid = ask_status(info.url, info.token).get("pid")
    except TransportError as error:
        raise CommandFailed(f"{where} does not answer ({error}); end process {info.pid}") from error
    if pid != info.pid:  # the file is old, and the address has another owner now
        raise CommandFailed(f"process {info.pid} no longer serves on {where}")
    os.kill(info.pid, signal.SIGTERM)
    ends = time.monotonic() + PATIENCE
    while is_running(info.pid):
        if time.monotonic() > ends:
            raise CommandFailed(f"process {info.pid} was told to stop and still runs")
        time.sleep(0.02)  # the end of a process that is not our child announces itself to nobody
    print(f"stopped the server on {where}")
    return 0


def find_server(args: argparse.Namespace) -> ConnectionFile:
    """Return the one server that is meant.

    Raises
    ------
    CommandFailed
        There is none, or several could be meant.
    """
    found = find_servers(args)
    if not found:
        raise CommandFailed(
            f"{NONE_RUNS}" if args.port is None else f"port {args.port}: {NONE_RUNS}"
        )
    if len(found) > 1:
        addresses = ", ".join(short_address(info.url) for info in found)
        raise CommandFailed(f"several servers run ({addresses}); choose one with --port", status=2)
    return found[0]


def find_servers(args: argparse.Namespace) -> list[ConnectionFile]:
    """Return what the options name; all servers of this user by default."""
    from rpcnb.endpoint.credentials import read_connection_file, running_servers

    if args.path is not None:
        return [read_connection_file(Path(args.path).expanduser())]
    servers = [info for _, info in running_servers()]
    if args.port is None:
        return servers
    return [info for info in servers if short_address(info.url).endswith(f":{args.port}")]


def token_for(url: str) -> str:
    """Return the secret for an address, asking for it on a terminal where it is not known.

    Raises
    ------
    CommandFailed
        It is not known, and there is nobody to ask.
    """
    from rpcnb.endpoint.credentials import find_token

    token = find_token(url)
    if token is None and sys.stdin.isatty():
        from getpass import getpass

        token = getpass(f"token of {short_address(url)}: ")
    if not token:
        message = f"no token for {short_address(url)}; give the path of its connection file instead"
        raise CommandFailed(message)
    return token


def how_to_connect(url: str, token: str) -> str:
    """Return what a person needs to connect: the line to paste, and the secret."""
    where = short_address(url)
    if url.startswith("tls://"):
        return f"  paste into a notebook:  %connect_remote {address_of(url)}#{token}"
    return f"  paste into a notebook:  %connect_remote {where}\n  token, when asked:      {token}"


def short_address(url: str) -> str:
    """Return an address as users write it."""
    return url.removeprefix("tcp://").removeprefix("tls://").partition("?")[0]


def address_of(url: str) -> str:
    """Return an address to which ``#`` and a token can be added, as other machines write it."""
    where = short_address(url)
    return f"rpcnb://{from_elsewhere(where)}/" if url.startswith("tls://") else where


def from_elsewhere(where: str) -> str:
    """Return a server's address as other machines write it."""
    host, _, port = where.rpartition(":")
    return f"{os.uname().nodename}:{port}" if host in {"0.0.0.0", "[::]"} else where  # noqa: S104


def duration(seconds: float) -> str:
    """Write a time: ``42 s``, ``3 min``, ``5.2 h``, ``12 d``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
