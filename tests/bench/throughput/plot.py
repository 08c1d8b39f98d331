"""The same figures as a picture: a small panel each, ours blue, the aim a red line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.throughput.figures import FIGURES, Figure, Sample, Spread, spreads
from bench.throughput.peers import OURS

_OURS, _OTHER, _AIM = "#1f4e79", "#7f8c8d", "#c0392b"
_LINE = "#d5d8dc"
_COLUMNS = 2


def plot(samples: list[Sample], path: Path) -> None:
    """Write ``path`` (.svg or .png), medians with their ranges."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    found = spreads(samples)
    rows = -(-len(found) // _COLUMNS)
    picture, panels = pyplot.subplots(
        rows, _COLUMNS, figsize=(14, 2.3 * rows), squeeze=False, layout="constrained"
    )
    for panel in panels.flat[len(found) :]:
        panel.set_visible(False)
    for panel, (name, by_filter) in zip(panels.flat, found.items(), strict=False):
        _panel(panel, FIGURES[name], by_filter)
    picture.savefig(path)
    pyplot.close(picture)


def _panel(panel: Any, figure: Figure, by_filter: dict[str, Spread]) -> None:
    names = list(by_filter)[::-1]  # bars are drawn from below
    places = range(len(names))
    medians = [by_filter[who].median for who in names]
    ranges = [
        [by_filter[who].median - min(by_filter[who].values) for who in names],
        [max(by_filter[who].values) - by_filter[who].median for who in names],
    ]
    panel.hlines(places, 0, medians, color=_LINE, linewidth=0.8)
    panel.errorbar(medians, places, xerr=ranges, fmt="none", ecolor=_OTHER, capsize=3)
    colours = [_OURS if who.startswith(OURS) else _OTHER for who in names]
    panel.scatter(medians, places, color=colours, s=30, zorder=3)
    panel.set_yticks(places, names)
    panel.set_ylim(-0.7, len(names) - 0.3)
    if figure.aim:
        panel.axvline(figure.aim, color=_AIM, linewidth=1)
    if max(medians) > 30 * (min(medians) or 1):
        panel.set_xscale("log")
    else:
        panel.set_xlim(left=0)
    arrow = "more is better" if figure.more else "less is better"
    panel.set_title(f"{figure.title} ({figure.unit}; {arrow})", fontsize=8, loc="left")
    panel.tick_params(labelsize=7)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
