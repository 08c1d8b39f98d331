"""How much was held, by day and verdict: stacked bars as SVG, made here, without a library.

Nothing in it needs a script or a style of its own: colours and sizes are classes, whose rules are
``static/plot.css``. Colour is not the only sign: each verdict has its pattern and its place in the
pile, and every day says its numbers (``title``). ``table`` is the same for who sees no pictures.

Of the page's texts it needs ``plot.title``, ``plot.summary.one`` and ``.many`` (with ``{n}`` and
``{days}``), ``plot.nothing``, ``plot.date`` and ``plot.total`` (heads of columns), ``plot.day``
(short, with ``{day}``, ``{month}`` as a number and ``{name}`` as a word), ``format.date``,
``month.1`` to ``month.12``, and ``verdict.*``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

from milter.review.texts import Texts
from milter.spam.verdict import Verdict

#: Verdicts in the order of the pile, the first at its foot.
ORDER: tuple[str, ...] = (
    *(Verdict.FAKE, Verdict.UNSURE, Verdict.GENUINE, Verdict.NONE, Verdict.UNSCORED),
)

# The picture's units; on a phone two of them are a pixel, and letters are made larger by the CSS.
_WIDTH, _HEIGHT = 720, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 16, 40
_INNER = _WIDTH - _LEFT - _RIGHT
_TALL = _HEIGHT - _TOP - _BOTTOM
# What the bars stand on, drawn after them.
_FOOT = f'<path d="M{_LEFT} {_TOP + _TALL}H{_WIDTH - _RIGHT}" class="plot-foot"/>'
# No bar is wider: a single day need not fill the picture.
_WIDEST = 48.0
# Lines across at most, and days with a name at most: more cannot be read on a phone.
_LINES = 4
_NAMES = 4
# The least width of a day for patterns and seams; in a thinner bar they would be all there is.
_PATTERNED = 10.0
# What is drawn on each colour. Fake is plain: it is most of what is there.
_PATTERNS = {
    "unsure": '<path d="M0 6L6 0" class="plot-ink"/>',
    "genuine": '<circle cx="3" cy="3" r="1.3" class="plot-dot"/>',
    "none": '<path d="M0 3H6" class="plot-ink"/>',
    "unscored": '<path d="M3 0V6M0 3H6" class="plot-ink"/>',
}
_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


@dataclass(frozen=True, slots=True)
class Table:
    """The plot's numbers: days without any are left out. Text, not escaped."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def by_day(
    counts: Sequence[tuple[date, str, int]], days: int, texts: Texts, today: date | None = None
) -> str:
    """A ``figure`` with bars for the last ``days`` days, as HTML; raises ``ValueError`` below 1.

    Counts of one day and verdict are added up, those of other days left out.
    """
    held = _Held.read(counts, days, today)
    total = sum(held.counts.values())
    summary = texts.count("plot.summary", total, days=texts.number(days))
    size = "plot-wide" if held.room >= _PATTERNED else "plot-thin"
    inner = "".join(_bars(held, texts)) if total else _nothing(texts)
    return (
        '<figure class="plot">'
        f'<svg class="{size}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'aria-labelledby="plot-title plot-desc" xmlns="http://www.w3.org/2000/svg">'
        f'<title id="plot-title">{_safe(texts("plot.title"))}</title>'
        f'<desc id="plot-desc">{_safe(summary)}</desc>'
        f"<defs>{''.join(_patterns(held.verdicts))}</defs>"
        f"{''.join(_lines(held))}{inner}{_FOOT}{''.join(_names(held, texts))}</svg>"
        f"<figcaption>{_legend(held, texts)}</figcaption></figure>"
    )


def table(
    counts: Sequence[tuple[date, str, int]], days: int, texts: Texts, today: date | None = None
) -> Table:
    """The numbers of ``by_day`` for the same arguments, the newest day first."""
    held = _Held.read(counts, days, today)
    rows = [
        (
            _date(day, texts),
            *(texts.number(held.counts[day, verdict]) for verdict in held.verdicts),
            texts.number(held.total(day)),
        )
        for day in reversed(held.days)
        if held.total(day)
    ]
    names = (texts.known("verdict", verdict) for verdict in held.verdicts)
    return Table((texts("plot.date"), *names, texts("plot.total")), tuple(rows))


@dataclass(frozen=True, slots=True)
class _Held:
    """The counts of the days that are shown, oldest day first, and the verdicts that occur.

    ``most``: of the fullest day. ``step``: from one line across to the next.
    """

    counts: Counter[tuple[date, str]]
    days: tuple[date, ...]
    verdicts: tuple[str, ...]
    most: int
    step: int

    @classmethod
    def read(cls, counts: Sequence[tuple[date, str, int]], days: int, today: date | None) -> _Held:
        if days < 1:
            raise ValueError(f"a plot of {days} days")
        last = today or date.today()
        shown = tuple(last - timedelta(days=back) for back in range(days - 1, -1, -1))
        sums: Counter[tuple[date, str]] = Counter()
        totals: Counter[date] = Counter()
        for day, verdict, count in counts:
            if shown[0] <= day <= last and count > 0:
                sums[day, verdict] += count
                totals[day] += count
        occur = {verdict for _, verdict in sums}
        verdicts = (
            *(word for word in ORDER if word in occur),
            *sorted(occur.difference(ORDER)),
        )
        most = max(totals.values(), default=0)
        return cls(sums, shown, verdicts, most, _step(most))

    def total(self, day: date) -> int:
        """What was held on a day."""
        return sum(self.counts[day, verdict] for verdict in self.verdicts)

    @property
    def top(self) -> int:
        """What the uppermost line stands for: no more than the highest bar needs."""
        return self.step * max(-(-self.most // self.step), 1)

    @property
    def room(self) -> float:
        """The width of a day."""
        return _INNER / len(self.days)

    def left(self, number: int) -> float:
        """Where the room of a day begins."""
        return _LEFT + self.room * number


def _step(most: int) -> int:
    """1, 2 or 5 times a power of ten, so that a few steps reach ``most``."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * _LINES >= most:
                return factor * power
        power *= 10


def _bars(held: _Held, texts: Texts) -> Iterator[str]:
    width = min(held.room * (0.75 if held.room > 4 else 1), _WIDEST)
    for number, day in enumerate(held.days):
        if held.total(day):
            left = held.left(number) + (held.room - width) / 2
            numbers = ", ".join(
                f"{texts.known('verdict', verdict)} {texts.number(held.counts[day, verdict])}"
                for verdict in held.verdicts
                if held.counts[day, verdict]
            )
            said = f"{_date(day, texts)}: {numbers}"
            yield f"<g><title>{_safe(said)}</title>{_pile(held, day, left, width)}</g>"


def _pile(held: _Held, day: date, left: float, width: float) -> str:
    """One day's rectangles, from the foot up; each but the plain one twice, for its pattern."""
    below = 0
    drawn = []
    for verdict in held.verdicts:
        count = held.counts[day, verdict]
        if not count:
            continue
        high, low = _level(below + count, held), _level(below, held)
        box = f'x="{left:.1f}" y="{high:.1f}" width="{width:.1f}" height="{low - high:.1f}"'
        drawn.append(_painted(f"<rect {box}", verdict, held.room >= _PATTERNED))
        below += count
    return "".join(drawn)


def _painted(shape: str, verdict: str, patterned: bool = True) -> str:
    """A shape (a tag not closed yet) in a verdict's colour, with its pattern on top."""
    known = verdict if verdict in ORDER else "other"
    colour = f'{shape} class="plot-bar plot-{known}"/>'
    return colour + (
        f'{shape} fill="url(#plot-on-{known})"/>' if patterned and known in _PATTERNS else ""
    )


def _level(count: int, held: _Held) -> float:
    return _TOP + _TALL * (1 - count / held.top)


def _lines(held: _Held) -> Iterator[str]:
    """The lines across with their numbers."""
    for count in range(0, held.top + 1, held.step):
        level = _level(count, held)
        yield (
            f'<path d="M{_LEFT} {level:.1f}H{_WIDTH - _RIGHT}" class="plot-line"/>'
            f'<text x="{_LEFT - 8}" y="{level:.1f}" dy=".32em" class="plot-number">'
            f"{_short(count)}</text>"
        )


def _names(held: _Held, texts: Texts) -> Iterator[str]:
    """The names of a few days, the last one among them, as far apart from each other as can be."""
    last = len(held.days) - 1
    every = -(-len(held.days) // _NAMES)
    for number in range(last % every, last + 1, every):
        middle = (held.left(number) + held.left(number + 1)) / 2
        day = _safe(_day(held.days[number], texts))
        ends = len(held.days) > _NAMES and number == last
        kind = "plot-day plot-last" if ends else "plot-day"
        at = _WIDTH - _RIGHT if ends else middle
        yield f'<text x="{at:.1f}" y="{_HEIGHT - 12}" class="{kind}">{day}</text>'


def _nothing(texts: Texts) -> str:
    middle = f'x="{_LEFT + _INNER / 2:.0f}" y="{_TOP + _TALL / 2:.0f}"'
    return f'<text {middle} class="plot-day plot-nothing">{_safe(texts("plot.nothing"))}</text>'


def _legend(held: _Held, texts: Texts) -> str:
    """Each verdict's colour, pattern and name and its sum, the foot of the pile first."""
    entries = []
    for verdict in held.verdicts:
        swatch = _painted('<rect width="18" height="18"', verdict)
        count = sum(held.counts[day, verdict] for day in held.days)
        entries.append(
            '<li><svg viewBox="0 0 18 18" class="plot-swatch" aria-hidden="true">'
            f"{swatch}</svg> {_safe(texts.known('verdict', verdict))} "
            f'<span class="plot-count">{texts.number(count)}</span></li>'
        )
    return (
        f'<ul class="plot-legend">{"".join(entries)}</ul>'
        if entries
        else _safe(texts("plot.nothing"))
    )


def _patterns(verdicts: Sequence[str]) -> Iterator[str]:
    for verdict in verdicts:
        if verdict in _PATTERNS:
            yield (
                f'<pattern id="plot-on-{verdict}" width="6" height="6" '
                f'patternUnits="userSpaceOnUse">{_PATTERNS[verdict]}</pattern>'
            )


def _short(count: int) -> str:
    """A round number for the axis: 1500, 20k, 3M."""
    for unit, letter in _UNITS:
        if count >= max(unit, 10_000):
            return f"{count / unit:g}{letter}"
    return str(count)


def _date(day: date, texts: Texts) -> str:
    month = texts(f"month.{day.month}")
    return texts("format.date", day=day.day, month=month, year=day.year)


def _day(day: date, texts: Texts) -> str:
    """A day's name for the axis, where there is room for six letters."""
    name = texts(f"month.{day.month}")
    return texts("plot.day", day=day.day, month=day.month, name=name)


def _safe(text: str) -> str:
    """Text for an element or a quoted attribute."""
    return escape(text, quote=True)
