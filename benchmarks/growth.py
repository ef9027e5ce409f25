"""``python -m benchmarks.growth``: what a call costs, and what memory, as the work grows.

Handles held from 1 to a million, sessions on one server from 1 to 1,000, hops from 1 to 5. Each
point is the median of calls that were made in turn with calls of a bare socket.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.child import placements, probe, server
from benchmarks.memory import private_bytes
from benchmarks.report import machine, markdown, quantity, times

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.child import Figures

CALLS = 2000
LIMITS = {"sessions": 2000, "handles": 2_000_000}
IN_ONE = 1000
"""Objects made by one call: a list in a message holds 1,024."""


# --- probes: each runs in a fresh process -------------------------------------------------------------


def with_handles(far: dict[str, Any], bare: dict[str, Any], number: int) -> Figures:
    """Time calls while the session holds `number` objects, and what each takes over there."""
    from benchmarks.probes import connect

    with connect(far) as remote:
        worker = remote.stats()["there"]["pid"]
        hoard = remote.session.get_function("bench.hoard")
        assert hoard is not None  # of `functions`
        nothing = remote.get_function("bench.nothing")
        nothing()
        before = private_bytes(worker)
        for left in range(number, 0, -IN_ONE):
            remote.session.call_func(hoard, (min(left, IN_ONE),))
        grown = private_bytes(worker) - before
        return paired(nothing, bare) | {"bytes": grown / number}


def with_sessions(far: dict[str, Any], bare: dict[str, Any], number: int) -> Figures:
    """Time calls of one session among `number`, and what each takes."""
    from benchmarks.probes import connect

    with ExitStack() as stack:
        remotes = [stack.enter_context(connect(far)) for _ in range(number)]
        workers = [remote.stats()["there"]["pid"] for remote in remotes]
        nothing = remotes[number // 2].get_function("bench.nothing")
        found = paired(nothing, bare)
        return found | {"bytes": median(private_bytes(worker) for worker in workers)}


def with_hops(far: dict[str, Any], bare: dict[str, Any], number: int) -> Figures:
    """Time calls through `number` servers."""
    del number
    from benchmarks.probes import connect

    with connect(far) as remote:
        return paired(remote.get_function("bench.nothing"), bare)


def paired(call: Any, bare: dict[str, Any]) -> Figures:
    """Time a call beside an exchange of a bare socket; the ratio is what lasts."""
    from benchmarks.limits import connect as connect_bare, exchange_of
    from benchmarks.timing import time_each

    with connect_bare(bare, "echo") as sock:
        rounds = [
            (time_each(call, CALLS // 5)["median"], time_each(exchange_of(sock), CALLS)["median"])
            for _ in range(5)
        ]
    return {
        "call": median(call for call, _ in rounds),
        "ratio": median(call / limit for call, limit in rounds),
    }


# --- what is measured ---------------------------------------------------------------------------------


def measure(largest: dict[str, int]) -> dict[str, Any]:
    """Return kind of growth -> points."""
    cores = placements()["one"]
    with (
        server("benchmarks.limits", cores=cores.server) as bare,
        server("benchmarks.serve", cores=cores.server, limits=LIMITS) as far,
    ):
        found = {
            "handles": [
                point("with_handles", cores.client, far, bare, count)
                for count in powers(largest["handles"])
            ],
            "sessions": [
                point("with_sessions", cores.client, far, bare, count)
                for count in powers(largest["sessions"])
            ],
        }
        with ExitStack() as chain:
            found["hops"], last = [], far
            for count in range(1, largest["hops"] + 1):
                if count > 1:
                    following = server("benchmarks.serve", cores=cores.server, behind=last)
                    last = chain.enter_context(following)
                found["hops"].append(point("with_hops", cores.client, last, bare, count))
    return found


def point(
    name: str, cores: tuple[int, ...], far: dict[str, Any], bare: dict[str, Any], count: int
) -> dict[str, float]:
    if sys.stderr.isatty():
        print(f"{name} {count}", file=sys.stderr)
    found = probe(f"benchmarks.growth:{name}", cores, far=far, bare=bare, number=count)
    return {"count": count, **found}


def powers(largest: int) -> list[int]:
    return [count for count in (10**k for k in range(7)) if count <= largest]


# --- what is shown ------------------------------------------------------------------------------------


def table(found: dict[str, Any]) -> str:
    """Return a Markdown table of all points."""
    rows: list[tuple[str, ...]] = [("", "call", "times the limit", "memory of each, over there")]
    for kind, points in found.items():
        rows += [
            (
                f"{kind}: {each['count']:,}",
                quantity(each["call"], "s"),
                times(each["ratio"]),
                quantity(each["bytes"], "B") if each.get("bytes", 0) > 0 else "-",
            )
            for each in points
        ]
    return markdown(rows)


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw a panel for each kind of growth."""
    from benchmarks.plot import OURS, plt

    with plt.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        picture, panels = plt.subplots(1, len(found), figsize=(8, 2.2), layout="constrained")
        for axes, (kind, points) in zip(panels, found.items(), strict=True):
            axes.plot([p["count"] for p in points], [p["ratio"] for p in points], "o-", color=OURS)
            axes.set(xlabel=kind, ylim=(0, None))
            if kind != "hops":
                axes.set_xscale("log")
        panels[0].set_ylabel("a call, times the limit")
        picture.savefig(path, dpi=90)
        plt.close(picture)


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--handles", type=int, default=10**6)
    parser.add_argument("--sessions", type=int, default=100, help="6 MB and a process each")
    parser.add_argument("--hops", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    asked = parser.parse_args(None if arguments is None else list(arguments))
    found = measure({"handles": asked.handles, "sessions": asked.sessions, "hops": asked.hops})
    print(table(found))
    if asked.json is not None:
        document = {"machine": machine(), "points": found}
        asked.json.write_text(json.dumps(document, indent=1) + "\n")
    if asked.plot is not None:
        draw(found, asked.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
