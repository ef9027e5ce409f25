"""`rpcnb demo`: a server with demo functions, and JupyterLab beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcnb.cli.failure import CommandFailed
from rpcnb.cli.options import port_number

if TYPE_CHECKING:
    import argparse


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare the command."""
    text = "start a server with demo functions, and JupyterLab on the notebooks"
    description = f"{text[0].upper()}{text[1:]}. Ctrl-C stops both."
    parser = commands.add_parser("demo", parents=[common], help=text, description=description)
    parser.set_defaults(run=run)
    parser.add_argument(
        "--port", type=port_number, help="of the server (9090, or a free one if that is taken)"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--no-browser", action="store_true", help="print JupyterLab's address only")
    how.add_argument(
        "--execute",
        action="store_true",
        help="run the quickstart notebook without a browser and print its outputs",
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo until it is stopped, or its notebook has run."""
    from rpcnb.demo.launch import DemoFailed, run_demo

    try:
        return run_demo(port=args.port, browser=not args.no_browser, execute=args.execute)
    except DemoFailed as error:
        raise CommandFailed(str(error)) from error
