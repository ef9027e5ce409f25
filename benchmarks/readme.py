"""``python -m benchmarks.readme``: write the last results into README.md and benchmarks/README.md.

The tables lie between two comments; ``tests/benchmarks/test_readme.py`` fails when they are not
what the JSON in the repository says.
"""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from benchmarks import growth
from benchmarks.child import ROOT
from benchmarks.report import markdown, quantity, times

RESULTS = ROOT / "benchmarks" / "results" / "last.json"
GROWTH = RESULTS.with_name("growth.json")
BEGIN = "<!-- made by python -m benchmarks.readme -->"
END = "<!-- end of what is made -->"
BUSY = 0.5
"""Load of the machine before the run from which on the figures say less, and the table says so."""
GROWTH_TEXT = """### As the work grows

![A call against handles, sessions and hops](results/growth.png)"""
SHOWN = {
    "null call, one core": "call of an empty function, one core",
    "null call, two cores": "the same, two cores",
    "5,000 calls in flight": "5,000 calls in flight",
    "mean of a held 1 MB array": "mean of a 1 MB array that is there",
    "create + free an object": "make and free an object",
    "upload 4 KiB": "upload 4 KiB",
    "upload 64 MiB": "upload 64 MiB",
    "download 64 MiB": "download 64 MiB",
    "connect": "connect",
}
"""Rows of the README: figure -> what it is called there."""


def documents() -> dict[str, str]:
    """Return file name -> its content, as it should be."""
    found = json.loads(RESULTS.read_text())
    return {
        "README.md": filled("README.md", summary(found)),
        "benchmarks/README.md": filled(
            "benchmarks/README.md", f"{everything(found)}\n\n{GROWTH_TEXT}\n\n{as_work_grows()}"
        ),
    }


def filled(name: str, table: str) -> str:
    """Return the text of a file with `table` between its two comments."""
    text = (ROOT / name).read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def summary(found: dict[str, Any]) -> str:
    """Return the table for somebody who wants to know whether it is fast."""
    rows = [("", "bare socket", "rpcnb", "best other Python library", "TVM's C++ server")]
    rows += [
        (SHOWN[figure["figure"]], *compared(figure))
        for figure in found["figures"]
        if figure["figure"] in SHOWN and figure["rpcnb"]
    ]
    busy = (
        f"\n\nThe machine was busy (load {found['load']}): copies say little."
        if _busy(found)
        else ""
    )
    return markdown(rows) + busy


def _busy(found: dict[str, Any]) -> bool:
    return bool(found["load"] >= BUSY)


def compared(figure: dict[str, Any]) -> tuple[str, str, str, str]:
    """Return the columns behind a row's name."""
    ratios = {name: peer["ratio"] for name, peer in figure["peers"].items() if peer["ratio"]}
    tvm = ratios.pop("TVM", None)
    best = min(ratios, key=lambda name: ratios[name], default=None)
    return (
        quantity(median(figure["limit"]), figure["unit"]) if figure["limit"] else "-",
        times(figure["ratio"]),
        "-" if best is None else f"{times(ratios[best])} ({best})",
        times(tvm),
    )


def everything(found: dict[str, Any]) -> str:
    """Return all figures with all libraries."""
    names = list(dict.fromkeys(name for figure in found["figures"] for name in figure["peers"]))
    rows = [("figure", "limit", "rpcnb", "ratio", "target", *names)]
    for figure in found["figures"]:
        unit, bare = figure["unit"], not figure["limit"]
        target = figure["target"]
        goal = quantity(target, unit) if bare and target else times(target)
        rows.append(
            (
                figure["figure"],
                "-" if bare else quantity(median(figure["limit"]), unit),
                quantity(median(figure["rpcnb"]), unit) if figure["rpcnb"] else "-",
                times(figure["ratio"]),
                goal,
                *(times(figure["peers"].get(name, {}).get("ratio")) for name in names),
            )
        )
    machine = found["machine"]
    built = "with" if machine["compiled"] else "without"
    where = (
        f"{machine['cores']} cores, {machine['system']}, Python {machine['python']}, rpcnb {built} "
        "compiled modules"
    )
    busy = f"; its load was {found['load']} before" if _busy(found) else ""
    return f"{where}, {found['rounds']} rounds{busy}.\n\n{markdown(rows)}"


def as_work_grows() -> str:
    """Return the table of `benchmarks.growth`."""
    return growth.table(json.loads(GROWTH.read_text())["points"])


def main() -> None:
    for name, text in documents().items():
        (ROOT / name).write_text(text)


if __name__ == "__main__":
    main()
