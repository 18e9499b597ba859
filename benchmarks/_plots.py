"""Draws the charts of the results with matplotlib, the same way every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from _rounds import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SETTINGS: Final = (
    ("svg.hashsalt", "mida_async"),  # else names within the file are drawn by lot
    ("svg.fonttype", "none"),  # text stays text, which is smaller
    ("axes.spines.top", False),
    ("axes.spines.right", False),
    ("axes.grid", True),
    ("grid.alpha", 0.3),
)


def draw(results: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """
    Write one SVG for each chart.

    Returns:
        Their names.

    Raises:
        MissingError: matplotlib is not installed.
    """
    charts = [chart for each in results for chart in each["charts"] if chart["lines"]]
    if not charts:
        return []
    matplotlib: Any = load("matplotlib", "matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams.update(dict(SETTINGS))
    return [_draw(chart, folder) for chart in charts]


def _draw(chart: Mapping[str, Any], folder: Path) -> str:
    plots: Any = load("matplotlib.pyplot", "matplotlib")
    figure, axes = plots.subplots(figsize=(9, 4))
    for line in chart["lines"]:
        if any(isinstance(each, str) for each in line["x"]):
            bars = axes.bar(line["x"], line["y"], width=0.5)
            axes.bar_label(bars, fmt="{:,.0f}")
        else:
            axes.plot(line["x"], line["y"], label=line["name"], marker="o" if len(line["x"]) < 10 else None)
    if chart["log_x"]:
        axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_title(chart["title"])
    axes.set_xlabel(chart["x_label"])
    axes.set_ylabel(chart["y_label"])
    if len(chart["lines"]) > 1:
        axes.legend()
    name = f"{chart['name']}.svg"
    figure.savefig(folder / name, metadata={"Date": None}, bbox_inches="tight")
    plots.close(figure)
    return name
