"""The figures as one table in Markdown, which a terminal shows well, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.throughput.figures import FIGURES, Figure, Sample, Spread, spreads
from bench.throughput.peers import OURS

_HEAD = ("figure", "filter", "median (range)", "ours is better", "aim")


def table(samples: Sequence[Sample]) -> str:
    """A row for each figure and filter, ours first, and what has to be said below."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for name, by_filter in spreads(samples).items():
        rows += _rows(FIGURES[name], by_filter)
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join([*lines, "", *_notes(samples)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _rows(figure: Figure, by_filter: dict[str, Spread]) -> Iterable[tuple[str, ...]]:
    ours = _best_of_ours(figure, by_filter)
    order = sorted(by_filter, key=lambda who: not who.startswith(OURS))
    for number, who in enumerate(order):
        spread = by_filter[who]
        better, aim = "", ""
        if who.startswith(OURS):
            aim = _aim(figure, spread)
        elif ours:
            better = f"{figure.ahead(ours.median, spread.median):.2f} times"
        title = f"{figure.title} ({figure.unit})" if number == 0 else ""
        yield title, who, _median(figure, spread), better, aim


def _best_of_ours(figure: Figure, by_filter: dict[str, Spread]) -> Spread | None:
    """With one worker or with several, whichever a site would take."""
    ours = [spread for who, spread in by_filter.items() if who.startswith(OURS)]
    best = max if figure.more else min
    return best(ours, key=lambda spread: spread.median, default=None)


def _median(figure: Figure, spread: Spread) -> str:
    text = figure.text(spread.median)
    if len(spread.values) > 1:
        text += f" ({figure.text(min(spread.values))}-{figure.text(max(spread.values))})"
    return text + " !" * bool(spread.disturbed)


def _aim(figure: Figure, spread: Spread) -> str:
    if not figure.aim:
        return ""
    bound = f"{figure.aim:g} or {'more' if figure.more else 'less'}"
    return f"{bound}: {'reached' if figure.reached(spread.median) else 'missed'}"


def _notes(samples: Sequence[Sample]) -> Iterable[str]:
    yield "ours is better: ratio of the medians; below 1 ours is worse."
    disturbed = sum(sample.disturbed for sample in samples)
    if disturbed:
        worst = max(sample.foreign for sample in samples)
        yield (
            f"! disturbed: {disturbed} of {len(samples)} measurements, by other load of up to "
            f"{worst:.1f} processors. Repeat them on a machine at rest."
        )
