"""`rpcnb kernel`: lets Jupyter find the kernel with rpcnb loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcnb.cli.failure import CommandFailed

if TYPE_CHECKING:
    import argparse


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare the command."""
    text = "install or remove the Jupyter kernel 'Python 3 (rpcnb)'"
    parser = commands.add_parser("kernel", parents=[common], help=text, description=f"{text}.")
    parser.set_defaults(run=run)
    parser.add_argument("action", choices=["install", "remove"])
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--user", action="store_true", help="for this user, in every environment")
    where.add_argument("--prefix", metavar="PATH", help="in that environment (this one)")


def run(args: argparse.Namespace) -> int:
    """Do it, and say where."""
    try:
        from rpcnb.notebook import kernelspec
    except ModuleNotFoundError as error:
        raise CommandFailed(
            f"{error.name} is not installed here; pip install 'rpcnb[notebook]' brings it"
        ) from error
    act = kernelspec.install if args.action == "install" else kernelspec.remove
    try:
        folder = act(user=args.user, prefix=args.prefix)
    except OSError as error:
        raise CommandFailed(str(error)) from error
    print(f"{args.action.removesuffix('e')}ed {folder}")
    return 0
