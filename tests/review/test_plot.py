"""The plot: right heights, round numbers, nothing unescaped, nothing that a strict CSP forbids."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milter.review import plot
from milter.review.plot import ORDER, by_day, table
from milter.review.texts import Texts

TODAY = date(2026, 11, 23)
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
WORDS = {
    "plot.title": "Held by day",
    "plot.summary.one": "{n} mail in {days} days",
    "plot.summary.many": "{n} in {days} days",
    "plot.nothing": "Nothing was held",
    "plot.date": "Day",
    "plot.total": "All",
    "plot.day": "{day} {name}",
    "format.date": "{day} {month} {year}",
    "verdict.fake": "Fake",
    **{f"month.{number}": name for number, name in enumerate(MONTHS, 1)},
}
TEXTS = Texts("en", WORDS)
SVG = "{http://www.w3.org/2000/svg}"
Counts = list[tuple[date, str, int]]


def back(days: int) -> date:
    return TODAY - timedelta(days=days)


def drawn(counts: Counts, days: int, texts: Texts = TEXTS) -> ElementTree.Element:
    """The picture as a tree: it is well-formed, whatever is in it."""
    return ElementTree.fromstring(by_day(counts, days, texts, TODAY))  # noqa: S314 - ours


def bars(figure: ElementTree.Element) -> list[tuple[str, float, float]]:
    """Kind, upper edge and height of the coloured rectangles."""
    return [
        (rect.attrib["class"].split("-")[-1], float(rect.attrib["y"]), float(rect.attrib["height"]))
        for rect in figure.iter(f"{SVG}rect")
        if "y" in rect.attrib and "class" in rect.attrib
    ]


def numbers(figure: ElementTree.Element) -> list[str]:
    return [e.text or "" for e in figure.iter(f"{SVG}text") if e.attrib["class"] == "plot-number"]


def names(figure: ElementTree.Element) -> list[str]:
    return [e.text or "" for e in figure.iter(f"{SVG}text") if "plot-day" in e.attrib["class"]]


def test_a_pile() -> None:
    figure = drawn([(TODAY, "fake", 3), (TODAY, "unsure", 1), (TODAY, "fake", 2)], 1)
    (fake, unsure) = bars(figure)
    assert (fake[0], unsure[0]) == ("fake", "unsure")
    assert fake[2] == pytest.approx(5 * unsure[2], abs=0.5)
    assert unsure[1] + unsure[2] == pytest.approx(fake[1], abs=0.15)
    assert numbers(figure) == ["0", "2", "4", "6"]
    said = [element.text for element in figure.iter(f"{SVG}title")]
    assert said == ["Held by day", "23 Nov 2026: Fake 5, unsure 1"]


def test_nothing_held() -> None:
    figure = drawn([], 30)
    assert bars(figure) == []
    assert numbers(figure) == ["0", "1"]
    assert "Nothing was held" in names(figure)
    # A figure always has a description; without one the test fails here, as it should.
    assert figure.find(f"{SVG}svg/{SVG}desc").text == "0 in 30 days"  # type: ignore[union-attr]
    assert table([], 30, TEXTS, TODAY).rows == ()


def test_a_reader_of_the_page_without_eyes_is_told() -> None:
    svg = drawn([(TODAY, "fake", 1200)], 7).find(f"{SVG}svg")
    assert svg is not None
    assert svg.attrib["role"] == "img"
    ids = {element.attrib["id"]: element.text for element in svg if "id" in element.attrib}
    told = [ids[name] for name in svg.attrib["aria-labelledby"].split()]
    assert told == ["Held by day", "1\u202f200 in 7 days"]


@pytest.mark.parametrize("days", [1, 2, 7, 14, 30, 100, 400])
def test_few_names_of_days_and_the_last_is_today(days: int) -> None:
    figure = drawn([(back(n), "fake", n + 1) for n in range(days)], days)
    assert len(bars(figure)) == days
    assert 1 <= len(names(figure)) <= 4
    assert names(figure)[-1] == "23 Nov"


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 9, 10, 11, 99, 101, 12345, 10**6, 7 * 10**13])
def test_round_numbers(most: int) -> None:
    figure = drawn([(TODAY, "fake", most)], 3)
    told = numbers(figure)
    assert 2 <= len(told) <= 5
    assert len(set(told)) == len(told)
    assert all(len(number) <= 5 for number in told)
    (bar,) = bars(figure)
    assert 0 < bar[2] <= plot._TALL
    assert bar[2] > plot._TALL / 2 or most < 3


def test_other_days_and_numbers_below_one_are_left_out() -> None:
    counts = [(back(7), "fake", 5), (back(-1), "fake", 5), (TODAY, "fake", 0), (TODAY, "none", -3)]
    assert bars(drawn(counts, 7)) == []


def test_no_days() -> None:
    with pytest.raises(ValueError, match="0 days"):
        by_day([], 0, TEXTS)


def test_a_verdict_of_a_newer_filter_is_shown() -> None:
    figure = drawn([(TODAY, 'x"><script>', 2), (TODAY, "fake", 1)], 2)
    assert [kind for kind, _, _ in bars(figure)] == ["fake", "other"]


def test_everything_is_escaped() -> None:
    evil = "<script>alert(1)</script>\"'&]]>"
    texts = Texts("en", dict.fromkeys(WORDS, evil))
    for counts in ([], [(TODAY, evil, 3), (TODAY, "fake", 2)]):
        html = by_day(counts, 5, texts, TODAY)
        assert "<script" not in html
        ElementTree.fromstring(html)  # noqa: S314 - ours


def test_nothing_that_the_policy_of_the_page_forbids() -> None:
    """No style attribute, no script, no handler, no address but a pattern of the picture's own."""
    html = by_day([(TODAY, word, 5) for word in ORDER], 9, TEXTS, TODAY)
    assert not re.search(r"\sstyle=|<style|<script|\son\w+=|href=", html)
    ids = set(re.findall(r'id="([^"]+)"', html))
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= ids


def test_each_verdict_but_the_first_has_a_pattern() -> None:
    """Colour is not the only sign."""
    html = by_day([(TODAY, word, 5) for word in ORDER], 9, TEXTS, TODAY)
    for word in ORDER[1:]:
        assert html.count(f'fill="url(#plot-on-{word})"') == 2  # the bar, and the legend
    assert len(set(re.findall(r"<pattern id=.*?>(.*?)</pattern>", html))) == len(ORDER) - 1


def test_every_class_has_a_rule() -> None:
    css = (Path(plot.__file__).parent / "static" / "plot.css").read_text(encoding="utf-8")
    html = by_day([*((TODAY, word, 5) for word in ORDER), (TODAY, "odd", 1)], 100, TEXTS, TODAY)
    used = {name for names in re.findall(r'class="([^"]+)"', html) for name in names.split()}
    assert used - {"plot-wide"} <= set(re.findall(r"\.(plot[\w-]*)", css)) | {"plot-nothing"}


def test_the_table_says_the_same() -> None:
    counts = [(back(1), "fake", 1500), (TODAY, "fake", 2), (TODAY, "none", 1), (back(9), "none", 1)]
    told = table(counts, 3, TEXTS, TODAY)
    assert told.header == ("Day", "Fake", "none", "All")
    assert told.rows == (
        ("23 Nov 2026", "2", "1", "3"),
        ("22 Nov 2026", "1\u202f500", "0", "1\u202f500"),
    )


COUNTS = st.lists(
    st.tuples(
        st.integers(-3, 130).map(back),
        st.sampled_from([*ORDER, "newer", "<b>"]),
        st.integers(-1, 10**9),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(COUNTS, st.integers(1, 120))
def test_bars_stay_in_the_picture(counts: Counts, days: int) -> None:
    figure = drawn(counts, days)
    for _, upper, height in bars(figure):
        assert upper >= plot._TOP - 0.1
        assert height >= 0
        assert upper + height <= plot._TOP + plot._TALL + 0.2
    shown = [n for day, _, n in counts if back(days - 1) <= day <= TODAY and n > 0]
    assert (len(bars(figure)) > 0) == bool(shown)
