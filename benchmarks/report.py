"""The figures as a table for people, and as JSON for programs."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.peers import PACKAGES
from rpcnb.core.version import is_compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.cases import Figure
    from benchmarks.run import Result

TIMES = "\N{MULTIPLICATION SIGN}"
HEADER = ("figure", "limit", "rpcnb", "ratio", "target", "met")
STEPS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "/s": ((1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")),
    "B": ((1e6, "MB"), (1e3, "kB"), (1.0, "B")),
}


def table(results: Sequence[Result]) -> str:
    """Return a Markdown table, padded so that it reads as plain text, too."""
    return markdown([HEADER, *map(row, results)])


def peer_table(results: Sequence[Result]) -> str:
    """Return a table of what other libraries need, as multiples of the limit."""
    compared = [result for result in results if result.peers]
    names = list(dict.fromkeys(name for result in compared for name in result.peers))
    rows = [("figure", "rpcnb", *names)]
    for result in compared:
        found = (result.rpcnb, *(result.peers.get(name, []) for name in names))
        rows.append((result.figure.name, *(times(result.times_limit(each)) for each in found)))
    return markdown(rows)


def times(ratio: float | None) -> str:
    """Write a ratio with the digits that mean something."""
    return "-" if ratio is None else f"{TIMES}{ratio:.2f}" if ratio < 10 else f"{TIMES}{ratio:.0f}"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table, padded so that it reads as plain text, too."""
    widths = [max(len(each[column]) for each in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, each, widths)) + " |" for each in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def row(result: Result) -> tuple[str, ...]:
    figure, ratio = result.figure, result.ratio
    if not result.rpcnb:
        return figure.name, "-", result.failure or "-", "-", goal(figure, bare=False), "-"
    bare = not result.limit
    return (
        figure.name,
        "-" if bare else quantity(median(result.limit), figure.unit),
        quantity(median(result.rpcnb), figure.unit),
        "-" if ratio is None else f"{TIMES}{ratio:.2f}",
        goal(figure, bare=bare),
        {True: "yes", False: "no", None: "-"}[result.met],
    )


def goal(figure: Figure, *, bare: bool) -> str:
    if figure.target is None:
        return "-"
    return f"≤ {quantity(figure.target, figure.unit)}" if bare else f"≤ {TIMES}{figure.target:.4g}"


def quantity(value: float, unit: str) -> str:
    """Write a number with three digits and the unit that suits it."""
    steps = STEPS[unit]
    size, name = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    return f"{value / size:.3g} {name}" if value / size < 999.5 else f"{value / size:.0f} {name}"


def machine() -> dict[str, Any]:
    """Describe this machine, without a name or a path of it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "pinned": hasattr(os, "sched_setaffinity"),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "compiled": is_compiled(),
        "packages": {n: _version(n) for n in ("rpcnb", "numpy", "msgpack", *PACKAGES.values())},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def document(results: Sequence[Result], rounds: int, load: float = 0.0) -> dict[str, Any]:
    """Return everything, ready for JSON; `load` is that of the machine before the first round."""
    return {
        "machine": machine(),
        "load": load,
        "rounds": rounds,
        "figures": [
            {
                "figure": result.figure.name,
                "unit": result.figure.unit,
                "limit": result.limit,
                "rpcnb": result.rpcnb,
                "ratio": result.ratio,
                "peers": {
                    name: {"found": found, "ratio": result.times_limit(found)}
                    for name, found in result.peers.items()
                },
                "target": result.figure.target,
                "met": result.met,
                "failure": result.failure,
            }
            for result in results
        ],
    }
