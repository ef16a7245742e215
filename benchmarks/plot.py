"""Draws a run with matplotlib.

The drawing has no background, and its text has the colours of the reader's scheme, light or dark.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

WORK = {
    "cached": "cached look-up",
    "factory": "one service",
    "graph": "seven nodes",
    "graph-async": "seven nodes, async",
    "asking": "seven nodes, factories that ask",
    "asking-async": "the same, async",
    "chain": "chain of 50",
    "wide": "200 leaves",
    "inject": "injected function",
    "inject-async": "injected function, async",
    "fastapi": "FastAPI request",
    "wireup-scoped": "wireup's application",
}
# The first colours are Okabe and Ito's, which colour-blind people can tell apart.
MARKS = {
    "wares": ("o", "#0072b2"),
    "wireup": ("s", "#e69f00"),
    "dishka": ("D", "#009e73"),
    "svcs": ("^", "#d55e00"),
    "aioinject": ("v", "#cc79a7"),
    "rodi": ("P", "#56b4e9"),
    "dependency-injector": ("X", "#b8a400"),
    "that-depends": ("<", "#8c6bb1"),
    "FastDepends": (">", "#999999"),
    "FastAPI Depends": ("*", "#999999"),
}
SIZES = {"wares": 9}
INK = "#767676"
STYLE = """<style>
@media (prefers-color-scheme: light) { text { fill: #24292f !important } }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 !important } }
</style>
"""


def draw(run: dict[str, Any], target: Path) -> None:
    """Draw a run.

    Args:
        run: The run, as `--json` writes it.
        target: The SVG file to write.
    """
    mpl.rcParams |= {
        "svg.fonttype": "none",
        "svg.hashsalt": "wares",
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    _draw_run(run).savefig(target, transparent=True, metadata={"Date": None})
    drawn = target.read_text("utf-8")
    opening = drawn.index(">", drawn.index("<svg")) + 1
    target.write_text(f"{drawn[:opening]}\n{STYLE}{drawn[opening:]}", "utf-8")


def _draw_run(run: dict[str, Any]) -> Figure:
    """Draw the cost of each candidate as a multiple of the hand-written code."""
    ratios = {table["row"]: _read_ratios(table) for table in run["tables"]}
    figure, (work, tasks, threads) = plt.subplots(
        3, 1, figsize=(8, 11), height_ratios=(6, 2, 2), layout="constrained"
    )
    _draw_work(work, ratios)
    _draw_scaling(tasks, ratios, "tasks", "concurrent requests in one event loop")
    _draw_scaling(threads, ratios, "threads", "threads")
    handles, labels = work.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    figure.legend(
        [named[name] for name in MARKS if name in named],
        [name for name in MARKS if name in named],
        loc="outside upper center",
        ncols=5,
        frameon=False,
    )
    return figure


def _read_ratios(table: dict[str, Any]) -> dict[str, float]:
    """Read the multiples of the hand-written code; if wares has several entries, the first."""
    ratios: dict[str, float] = {}
    least = {figure["candidate"]: figure["minimum"] for figure in table["figures"]}
    for candidate, minimum in least.items():
        name = "wares" if candidate.startswith("wares") else candidate
        if minimum and least.get("by hand") and name in MARKS:
            ratios.setdefault(name, minimum / least["by hand"])
    return ratios


def _draw_work(axes: Axes, ratios: dict[str, dict[str, float]]) -> None:
    rows = [row for row in WORK if row in ratios]
    for name, (marker, colour) in MARKS.items():
        points = [
            (ratios[row][name], place) for place, row in enumerate(rows) if name in ratios[row]
        ]
        if points:
            x, y = zip(*points, strict=True)
            size = SIZES.get(name, 6)
            axes.plot(
                x, y, marker, color=colour, markersize=size, label=name, zorder=size, alpha=0.9
            )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([1, 1.5, 2, 3, 5, 10, 20, 50, 100]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _lay_out(axes, [WORK[row] for row in rows])
    axes.set_xlabel("times the hand-written code (less is better)")


def _lay_out(axes: Axes, names: list[str]) -> None:
    """Write names at the side, from top to bottom."""
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.axvline(1, color=INK, linewidth=1)
    axes.grid(axis="both", color=INK, alpha=0.25, linewidth=0.5)
    _strip(axes)


def _draw_scaling(
    axes: Axes, ratios: dict[str, dict[str, float]], kind: str, label: str
) -> None:
    counts = sorted(int(row.split("-")[1]) for row in ratios if row.startswith(f"{kind}-"))
    for name in ("wares", "wireup", "dishka", "svcs"):
        marker, colour = MARKS[name]
        points = [
            (count, ratios[f"{kind}-{count}"][name])
            for count in counts
            if name in ratios[f"{kind}-{count}"]
        ]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, f"{marker}-", color=colour, markersize=5, linewidth=1.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(counts))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xlabel(label)
    axes.set_ylabel("times by hand")
    axes.set_ylim(bottom=0)
    axes.axhline(1, color=INK, linewidth=1)
    axes.grid(axis="y", color=INK, alpha=0.25, linewidth=0.5)
    _strip(axes)


def _strip(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
