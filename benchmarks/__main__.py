"""``python -m benchmarks``: measure rpcnb beside bare sockets, and print the table."""

from __future__ import annotations

import argparse
import json
import os
import sys
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.cases import CASES, Case, quickened
from benchmarks.peers import PEERS
from benchmarks.report import document, machine, peer_table, table
from benchmarks.run import Runner


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times each figure is measured")
    parser.add_argument("--only", metavar="PATTERN", help="figures: a part of the name, or a glob")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there, too")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the repetitions, no 256 MiB"
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=PEERS,
        metavar="NAME",
        help=f"measure other libraries, too: all, or some of {', '.join(PEERS)}",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios there")
    return parser.parse_args()


def chosen(only: str | None, *, quick: bool) -> list[Case]:
    """Return the cases one of whose figures matches."""
    pattern = f"*{only or ''}*"
    cases = [case for case in CASES if any(fnmatch(each.name, pattern) for each in case.figures)]
    return [c for c in map(quickened, cases) if c is not None] if quick else cases


def note(text: str) -> None:
    """Show what is being measured, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main() -> int:
    asked = arguments()
    cases = chosen(asked.only, quick=asked.quick)
    if not cases:
        print(f"no figure is called {asked.only!r}", file=sys.stderr)
        return 2
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else 0.0
    others = None if asked.peers is None else {name: PEERS[name] for name in asked.peers or PEERS}
    with Runner(others) as runner:
        results = runner.run(cases, asked.rounds, note)
    note("")
    here = machine()
    print(
        f"{here['cores']} cores, {here['system']}, Python {here['python']}, rpcnb "
        f"{'with' if here['compiled'] else 'without'} compiled modules, {asked.rounds} rounds\n"
    )
    print(table(results))
    if any(result.peers for result in results):
        print(f"\nTimes the limit:\n\n{peer_table(results)}")
    found = document(results, asked.rounds, load)
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    if asked.plot is not None:
        from benchmarks.plot import draw  # matplotlib takes half a second

        draw(found, asked.plot)
    return 1 if any(result.failure for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
