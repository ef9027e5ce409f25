"""The ratios of one run as a picture: how many times the limit, for rpcnb and for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")  # no window, whatever the machine has

import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

OURS = "#0b6e99"
MARKERS = "osD^vP*X"
GREY = "#777777"


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw a result of `report.document`; the kind of picture follows from the file's suffix."""
    figures = [figure for figure in document["figures"] if figure["ratio"] is not None]
    names = list(dict.fromkeys(name for figure in figures for name in figure["peers"]))
    with plt.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        picture, axes = plt.subplots(figsize=(8, 1.2 + 0.22 * len(figures)), layout="constrained")
        rows = range(len(figures))
        for name, marker in zip(names, MARKERS, strict=False):
            ratios = [figure["peers"].get(name, {}).get("ratio") for figure in figures]
            _points(axes, ratios, color=GREY, marker=marker, label=name, alpha=0.55)
        _points(axes, [f["ratio"] for f in figures], color=OURS, marker="o", label="rpcnb", s=40)
        for row, figure in zip(rows, figures, strict=True):
            if figure["target"] is not None:
                axes.plot([figure["target"]] * 2, [row - 0.35, row + 0.35], color=OURS, lw=1)
        axes.axvline(1, color="black", lw=0.8)
        axes.set(
            xscale="log",
            xlabel="times the limit, a bare socket; bars are targets",
            yticks=list(rows),
            yticklabels=[figure["figure"] for figure in figures],
        )
        axes.invert_yaxis()
        axes.grid(axis="x", color="#dddddd", lw=0.5)
        axes.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.3, 1.0))
        picture.savefig(path, dpi=90)
        plt.close(picture)


def _points(axes: Axes, ratios: list[float | None], **how: Any) -> None:
    """Draw one library: a point in each row that it has a ratio for."""
    known = [(ratio, row) for row, ratio in enumerate(ratios) if ratio is not None]
    axes.scatter([r for r, _ in known], [row for _, row in known], **{"s": 22, "zorder": 3, **how})
