"""`rpcnb share`: a link to give away, with which less can be done than with the server's own token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rpcnb.cli.failure import CommandFailed
from rpcnb.cli.options import port_number
from rpcnb.cli.servers import address_of, find_server

if TYPE_CHECKING:
    import argparse

EPILOG = """\
examples:
  rpcnb share --role inspector --functions 'stats.*' --expires 1h
  rpcnb share --role reader --port 9090

Roles, each including those before it: inspector (names, documentation, sizes, statistics), reader
(content of arrays and files), executor (functions, own arrays and files), exec (cells). Nothing has
to be told to the server; `rpcnb token rotate` makes all links worthless.
"""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare the command."""
    import argparse

    parser = commands.add_parser(
        "share",
        parents=[common],
        help="make a link with which less can be done",
        description="Make a link to give away, with which less can be done than with the token.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("path", nargs="?", metavar="PATH", help="connection file of the server")
    which.add_argument("--port", type=port_number, help="TCP port of the server")
    add = parser.add_argument
    add("--role", default="inspector", help="what the holder may do (inspector)")
    add(
        "--functions",
        default="",
        metavar="PATTERNS",
        help="only these, with commas between them: 'stats.*,demo.show' (all)",
    )
    add("--expires", default="1h", metavar="TIME", help="90s, 30m, 12h, 7d (1h)")


def run(args: argparse.Namespace) -> int:
    """Print the link."""
    from rpcnb.endpoint.share_links import narrowed, share_caveats

    info = find_server(args)
    try:
        caveats = share_caveats(args.role, args.functions, seconds(args.expires))
        token = narrowed(info.token, caveats)
    except ValueError as error:
        raise CommandFailed(str(error), status=2) from error
    print(f"{address_of(info.url)}#{token}")
    return 0


def seconds(text: str) -> float:
    """Read a time such as ``90s``, ``30m``, ``12h`` or ``7d``, in seconds.

    Raises
    ------
    ValueError
        It is none.
    """
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        message = f"{text!r} is no time: write 90s, 30m, 12h or 7d"
        raise ValueError(message)
    return float(match[1]) * _SECONDS[match[2]]
