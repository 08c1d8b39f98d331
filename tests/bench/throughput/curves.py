"""Cost against size: a curve of measured points, the power that it grows by, and a page of them."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# How far a fitted power may lie above the allowed one by chance and by fixed costs.
_TOLERANCE = 0.15
_COLUMNS = 3


@dataclass
class Curve:
    """``points``: size and cost. ``allowed``: the power that it may grow by; 0: not at all."""

    title: str
    sizes: str
    unit: str
    allowed: float = 1.0
    points: list[tuple[float, float]] = field(default_factory=list)

    @property
    def power(self) -> float:
        """The exponent of cost over size, by least squares on logarithms.

        Of the upper half of the points, three at least: below, what each mail costs anyhow hides
        the growth.
        """
        upper = sorted(self.points)[-max(3, (len(self.points) + 1) // 2) :]
        logs = [(math.log(size), math.log(max(cost, 1e-9))) for size, cost in upper]
        if len(logs) < 2:
            return 0.0
        middle_x, middle_y = (sum(values) / len(logs) for values in zip(*logs, strict=True))
        together: float = sum((x - middle_x) * (y - middle_y) for x, y in logs)
        alone: float = sum((x - middle_x) ** 2 for x, _ in logs)
        return together / alone

    @property
    def verdict(self) -> str:
        """What there is to say about it."""
        if self.power <= self.allowed + _TOLERANCE:
            return "as it should be"
        return "WORSE THAN LINEAR" if self.allowed else "GROWS, AND SHOULD NOT"


def summary(curves: Sequence[Curve]) -> str:
    """A line for each curve: its power, and whether that will do."""
    width = max((len(curve.title) for curve in curves), default=0)
    return "\n".join(
        f"{curve.title:<{width}}  power {curve.power:5.2f}  {curve.verdict}" for curve in curves
    )


def page(curves: Sequence[Curve], path: Path, note: str) -> None:
    """One HTML file with all plots and the table, nothing outside of it."""
    rows = "".join(
        f"<tr><td>{html.escape(curve.title)}</td><td>{curve.power:.2f}</td>"
        f"<td>{html.escape(curve.verdict)}</td></tr>"
        for curve in curves
    )
    path.write_text(
        '<!doctype html><meta charset="utf-8"><title>Cost against size</title>'
        "<style>body{font:15px sans-serif;margin:2em}td,th{padding:2px 12px;text-align:left}"
        "svg{max-width:100%;height:auto}</style><h1>Cost against size</h1>"
        f"<p>{html.escape(note)}</p>{_drawn(curves)}"
        f"<table><tr><th>curve<th>power<th></tr>{rows}</table>\n"
    )


def _drawn(curves: Sequence[Curve]) -> str:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    rows = -(-len(curves) // _COLUMNS)
    picture, panels = pyplot.subplots(
        rows, _COLUMNS, figsize=(15, 3.4 * rows), squeeze=False, layout="constrained"
    )
    for panel in panels.flat[len(curves) :]:
        panel.set_visible(False)
    for panel, curve in zip(panels.flat, curves, strict=False):
        _panel(panel, curve)
    drawn = io.StringIO()
    picture.savefig(drawn, format="svg")
    pyplot.close(picture)
    return drawn.getvalue().partition("<svg")[1] + drawn.getvalue().partition("<svg")[2]


def _panel(panel: Any, curve: Curve) -> None:
    """On logarithmic axes a power is a slope; the dashed line is the allowed one."""
    sizes, costs = zip(*sorted(curve.points), strict=True)
    panel.loglog(sizes, costs, "o-", markersize=4)
    last_size, last_cost = sizes[-1], costs[-1]
    allowed = [last_cost * (size / last_size) ** curve.allowed for size in sizes]
    panel.loglog(sizes, allowed, "--", color="#aaaaaa", linewidth=1)
    panel.set_title(f"{curve.title}: power {curve.power:.2f}", fontsize=9, loc="left")
    panel.set_xlabel(curve.sizes, fontsize=8)
    panel.set_ylabel(curve.unit, fontsize=8)
    panel.tick_params(labelsize=7)
