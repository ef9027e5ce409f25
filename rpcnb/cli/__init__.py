"""The command `rpcnb`: each command has its file, which declares its options and carries it out.

Rules for this folder: an error is one line on stderr that says what to do next, with exit status 2
for a command line that cannot be meant and 1 for everything else; a secret is never an option, for
command lines can be read by everybody on a machine. What a command needs is imported when it runs.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rpcnb.cli import bench, demo, find, kernel, serve, servers, share, version
from rpcnb.cli.failure import CommandFailed, explain

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        What follows ``rpcnb`` on the command line; by default what this process was started with.

    Returns
    -------
    int
        Exit status.
    """
    args = make_parser().parse_args(argv)
    try:
        status: int = args.run(args)
    except KeyboardInterrupt:
        return 130  # as shells report it
    except Exception as error:
        if args.debug:
            raise
        failure = error if isinstance(error, CommandFailed) else explain(error)
        print(f"rpcnb {args.command}: {failure}", file=sys.stderr)
        return failure.status
    return status


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="rpcnb",
        description="A remote machine inside a Jupyter notebook.",
        epilog="`rpcnb COMMAND --help` tells more about a command.",
    )
    parser.add_argument(
        "--version", action="version", version=version.text(), help="show the version and exit"
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--debug", action="store_true", help="show rpcnb's own traceback when something fails"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for part in (serve, servers, share, find, demo, kernel, bench, version):
        part.add_parsers(commands, common)
    return parser
