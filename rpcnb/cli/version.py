"""`rpcnb version`: what to write into a bug report."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from rpcnb.core.version import is_compiled

if TYPE_CHECKING:
    import argparse

PARTS = ("numpy", "msgpack", "ipython", "ipykernel", "jupyterlab")


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare the command."""
    text = "show the versions of rpcnb and of what it works with"
    parser = commands.add_parser("version", parents=[common], help=text, description=f"{text}.")
    parser.set_defaults(run=run)


def text() -> str:
    """Return name and version."""
    from rpcnb import __version__

    return f"rpcnb {__version__}"


def run(_args: argparse.Namespace) -> int:
    """Show them."""
    print(text(), "with compiled modules" if is_compiled() else "without compiled modules")
    print(f"Python {platform.python_version()} on {platform.platform()}")
    for name in PARTS:
        try:
            print(name, version(name))
        except PackageNotFoundError:
            print(name, "not installed")
    return 0
