"""The curves of a set as SVG for the page: matplotlib draws, the page's style gives the colours.

Each function takes the figures of one set (``measure``) and a name that no other drawing of the
page has; it returns an ``<svg>`` element, or nothing where the set has not what the curve shows.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from milter.spam.bundle import LABELS
from training.evaluate import wording

# Inches, at 72 units each: what a phone shows one to one.
_SIZE = (4.2, 3.1)
# Colours that stand for the page's own, so that they follow its light or dark style.
_INK, _FAINT, _FIRST, _SECOND, _THIRD = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {
    _INK: "--ink",
    _FAINT: "--faint",
    _FIRST: "--fake",
    _SECOND: "--genuine",
    _THIRD: "--none",
}
_OF_LABEL = dict(zip(LABELS, (_FIRST, _SECOND, _THIRD), strict=True))
_SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text: the page's font, and found by a search
    "svg.hashsalt": "coop-verdict",  # the same drawing, the same octets
    "text.parse_math": False,
    "font.size": 9.5,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": _FAINT,
    "grid.alpha": 0.45,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.constrained_layout.use": True,
}


def roc(figures: dict[str, Any], name: str) -> str:
    """The ROC curve; its false positives on a logarithmic axis, as only small shares matter."""
    found = figures["roc"]
    if not found:
        return ""
    wanted = figures["false_positives"]["mails"]
    least = 10 ** _decade_below(1 / wanted)

    def draw(axes: Axes) -> None:
        points = [(max(x, least), y) for x, y in found["points"]]
        axes.plot(*zip(*points, strict=True), color=_FIRST, drawstyle="steps-post")
        if wanted >= 1000:
            axes.axvline(0.001, color=_INK, linewidth=1.1, linestyle=":")
        axes.set(xscale="log", xlim=(least, 1), ylim=(0, 1.02))
        axes.set(xlabel="share of wanted mail called fake", ylabel="share of fakes found")
        _percent_axis(axes, "xy")

    alt = f"ROC curve: 1 minus the area below it is {wording.one_minus_area(figures)}"
    return _svg(draw, name, alt)


def thresholds(figures: dict[str, Any], marks: dict[str, float], name: str) -> str:
    """What share of fakes and of wanted mail each threshold reaches; the published ones marked."""
    rows = figures["by_threshold"]
    at = [row["threshold"] for row in rows]

    def draw(axes: Axes) -> None:
        for key, colour, dash, text in (
            ("fake", _FIRST, "-", "fakes"),
            ("wanted", _THIRD, "--", "wanted mail"),
        ):
            if rows[0][key] is not None:
                axes.plot(at, [row[key] for row in rows], dash, color=colour, label=text)
        for kind, text in (("unsure", "unsure "), ("fake", " fake")):
            axes.axvline(marks[kind], color=_INK, linewidth=1.1, linestyle=":")
            side = "left" if kind == "fake" else "right"
            axes.text(marks[kind], 1.03, text, ha=side, va="bottom", fontsize=9)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="threshold of p(fake)")
        axes.set_ylabel("share at or above it")
        axes.legend(loc="best")
        _percent_axis(axes, "y")

    alt = (
        f"Shares that reach each threshold; unsure from {marks['unsure']:g}, "
        f"fake from {marks['fake']:g}"
    )
    return _svg(draw, name, alt)


def reliability(figures: dict[str, Any], name: str) -> str:
    """Mean p(fake) of each bin against the share of fakes in it, with its 95 % interval."""
    found = figures["calibration"]
    if not found:
        return ""
    bins = found["bins"]
    x = [row["mean_score"] for row in bins]
    y = [row["count"] / row["mails"] for row in bins]
    below = [share - row["low"] for share, row in zip(y, bins, strict=True)]
    above = [row["high"] - share for share, row in zip(y, bins, strict=True)]

    def draw(axes: Axes) -> None:
        axes.plot((0, 1), (0, 1), color=_INK, linewidth=1.1, linestyle=":")
        gaps = [[max(gap, 0.0) for gap in gaps] for gaps in (below, above)]
        axes.errorbar(x, y, yerr=gaps, fmt="none", ecolor=_FIRST, elinewidth=1, capsize=2.5)
        axes.plot(x, y, "o-", color=_FIRST, markersize=4.5, linewidth=1)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set(xlabel="mean p(fake) of the bin", ylabel="share that is fake")

    alt = (
        f"Reliability diagram of {len(bins)} bins: expected calibration error "
        f"{found['expected_error']:.3f}"
    )
    return _svg(draw, name, alt)


def histogram(figures: dict[str, Any], name: str) -> str:
    """How p(fake) is spread over the mails of each label."""
    counts = figures["histogram"]
    if not counts:
        return ""

    def draw(axes: Axes) -> None:
        for label, dash in zip(LABELS, ("-", "--", "-."), strict=True):
            if label in counts:
                edges = [i / len(counts[label]) for i in range(len(counts[label]) + 1)]
                shares = [count / sum(counts[label]) for count in counts[label]]
                colour = _OF_LABEL[label]
                axes.stairs(shares, edges, fill=True, color=colour, alpha=0.15)
                axes.stairs(shares, edges, color=colour, linestyle=dash, linewidth=1.6, label=label)
        axes.set(xlim=(0, 1), xlabel="p(fake)", ylabel="share of the label's mails")
        axes.legend(loc="upper center")
        _percent_axis(axes, "y")

    return _svg(draw, name, f"Histogram of p(fake) for {', '.join(counts)}")


def _decade_below(share: float) -> int:
    """The power of ten at or below ``share``."""
    power = 0
    while 10.0**power > share:
        power -= 1
    return power


def _percent_axis(axes: Axes, which: str) -> None:
    def words(value: float, _: object) -> str:
        return f"{100 * value:g} %"

    for letter in which:
        axis = axes.xaxis if letter == "x" else axes.yaxis
        axis.set_major_formatter(words)


def _svg(draw: Callable[[Axes], None], name: str, alt: str) -> str:
    """One drawing as an element of the page, with ``alt`` for those who do not see it."""
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=_SIZE)
        draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(buffer.getvalue(), name, alt)


def _for_page(svg: str, name: str, alt: str) -> str:
    """Without a document's head, with ids that are its own, and with the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font-family: [^;\"]*;", "", svg)
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box, "matplotlib's drawings have a size"
    inner = svg[svg.index(">") + 1 :]
    return f'<svg role="img" aria-label="{html.escape(alt)}" {box.group()}>{inner}'
