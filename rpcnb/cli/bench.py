"""`rpcnb bench`: runs the benchmarks of a checkout."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import rpcnb
from rpcnb.cli.failure import CommandFailed


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "bench",
        parents=[common],
        help="run the benchmarks (in a checkout)",
        description="Run the benchmarks, which are part of a checkout and not of the package.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="options of the benchmarks")


def run(args: argparse.Namespace) -> int:
    """Run them in a process of their own."""
    return run_benchmarks(Path(rpcnb.__file__).parent.parent, args.rest)


def run_benchmarks(checkout: Path, options: list[str]) -> int:
    """Run the benchmarks of a checkout and return their exit status.

    Raises
    ------
    CommandFailed
        It has none.
    """
    if not (checkout / "benchmarks" / "__main__.py").is_file():
        raise CommandFailed(
            "the benchmarks are not part of the installed package; run this in a checkout, "
            "where rpcnb was installed with: pip install -e '.[bench]'"
        )
    command = [sys.executable, "-m", "benchmarks", *options]
    return subprocess.run(command, cwd=checkout, check=False).returncode  # noqa: S603 -- our own
