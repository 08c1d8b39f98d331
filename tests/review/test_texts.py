"""The words of the page: the same in both languages, and none missing for a closed list."""

from __future__ import annotations

import re
import string
import time
import tomllib
from pathlib import Path

import pytest
from harness.review import browser, desk_in, hold

from milter import why
from milter.quarantine.item import State
from milter.review import texts as module
from milter.review.deeds import DEEDS, Outcome
from milter.review.desk import one_line, person
from milter.review.filters import DAYS, PASSED_DAYS, SORTS, STATES
from milter.review.texts import LANGUAGES, language_of, texts
from milter.spam.action import Action
from milter.spam.bundle import LABELS
from milter.spam.terms import SIGNS
from milter.spam.verdict import Reason, Verdict

PHRASES = Path(why.__file__).parent / "spam" / "phrases"
REVIEW = Path(module.__file__).parent


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_languages_have_the_same_keys_and_the_same_values_to_put_in(language: str) -> None:
    first, words = texts(LANGUAGES[0]).words, texts(language).words
    assert words.keys() == first.keys()
    for key, text in words.items():
        assert isinstance(text, str), key
        assert text.strip(), key
        names = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        wanted = {name for _, name, _, _ in string.Formatter().parse(first[key]) if name}
        assert names <= wanted | {"n", "name", "month", "day"}, key
        if not key.startswith(("plot.", "outcome.", "model.corrections")):
            assert names == wanted, key


@pytest.mark.parametrize(
    ("number", "english", "german"),
    [
        (1, "1 mail was held in the last 7 days.", "wurde 1 Mail zurückgehalten."),
        (2, "2 mails were held in the last 7 days.", "wurden 2 Mails zurückgehalten."),
    ],
)
def test_one_is_not_many(number: int, english: str, german: str) -> None:
    assert texts("en").count("plot.summary", number, days=7) == english
    assert texts("de").count("plot.summary", number, days=7).endswith(german)


def test_german_is_not_english() -> None:
    english, german = texts("en").words, texts("de").words
    same = {key for key, text in english.items() if german[key] == text}
    allowed = {"login.name", "mail.text", "model.fakes"}
    months = {f"month.{number}" for number in range(1, 13)}
    assert not same - allowed - months


def test_every_word_of_every_closed_list_has_a_text() -> None:
    words = texts("en").words
    for path in PHRASES.glob("*.toml"):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        for group in ("asks", "offers"):
            assert {f"{group}.{name}" for name in table[group]} <= words.keys()
    lists = {
        "verdict": Verdict, "says": Verdict, "reason": Reason, "action": Action, "state": State,
        "event": State, "mail.closed": State, "state_group": STATES, "list.title": STATES,
        "days": {*DAYS, *PASSED_DAYS}, "list": SORTS, "label": LABELS, "do": DEEDS,
        "receipt.reason": why._REASONS, "receipt.outcome": why._OUTCOMES,
    }  # fmt: skip
    for group, names in lists.items():
        assert not {f"{group}.{name}" for name in names} - words.keys(), group
    for outcome in Outcome:
        assert {f"outcome.{outcome}.one", f"outcome.{outcome}.many"} <= words.keys()


def test_no_key_is_asked_for_that_there_is_not_and_none_is_useless() -> None:
    sources = [*REVIEW.glob("*.py"), *REVIEW.glob("templates/*.html")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    words = texts("en").words
    called = re.compile(r"""\bt(?:exts)?(?:\.count)?\(\s*f?["']([a-z_.0-9-]+)["'][,)]""")
    asked = set(called.findall(text))
    assert asked
    for key in asked:
        assert key in words or f"{key}.one" in words, key
    for name in re.findall(r"Refused\(\d+, \"([a-z_]+)\"", text):
        assert f"error.{name}.title" in words
        assert f"error.{name}.text" in words


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-GB, de;q=0.9", "en"),
        ("fr, de;q=0.3, en;q=0.2", "de"),
        ("fr", "en"),
        ("*", "en"),
        ("de;q=0", "en"),
        ("en;q=0.1, DE;q=0.2", "de"),
        ("de;q=abc, \x00, ;;;,,,", "en"),
        ("../../etc/passwd", "en"),
        ("de," * 100_000, "de"),
    ],
)
def test_the_language_is_the_browsers_wish(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def test_pages_in_german(tmp_path: Path) -> None:
    desk = desk_in(tmp_path)
    item = hold(desk)
    wish = {"accept-language": "de"}
    with browser(desk, "boss") as page:
        for path, words in {
            "/": "Zurückgehaltene Mails",
            f"/mail/{item}": "Was sie von Ihnen will",
            "/passed": "Beurteilte Mails",
            "/overview": "Überblick",
            "/model": "In Gebrauch:",
            "/nothing": "Nicht gefunden",
        }.items():
            answer = page.get(path, **wish)
            assert words in answer.text
            assert '<html lang="de">' in answer.text
            assert answer.headers["content-language"] == "de"
            assert "Accept-Language" in answer.headers["vary"]
        page.post(f"/mail/{item}", ("do", "fake"), **wish)
        assert "Abgelegt als „Fake“" in page.get("/", **wish).text


def test_numbers_and_dates() -> None:
    at = time.mktime((2026, 3, 5, 14, 7, 0, 0, 0, -1))
    english, german = texts("en"), texts("de")
    assert english.moment(at) == "5 Mar 2026, 14:07"
    assert german.moment(at) == "5. März 2026, 14:07"
    assert german.decimal(0.5, 1) == "0,5"
    assert english.percent(0.97) == "97\N{NO-BREAK SPACE}%"
    assert english.percent(0.9999) == ">99\N{NO-BREAK SPACE}%"
    assert english.percent(1.0) == ">99\N{NO-BREAK SPACE}%"
    assert german.percent(0.9999, 1) == ">99,9\N{NO-BREAK SPACE}%"
    assert english.number(12345) == "12\N{NARROW NO-BREAK SPACE}345"
    assert english.count("outcome.released", 1) == "1 mail was released."


def test_one_line_is_one_line() -> None:
    assert one_line("a\r\n\tb\u2028c  d") == "a b c d"
    assert one_line("\u202egnp.exe") == "[U+202E]gnp.exe"
    assert len(one_line("x" * 100_000)) < 310
    assert one_line("") == ""


@pytest.mark.parametrize(
    ("author", "shown"),
    [
        ("Mia <mia@a.example>", ("Mia", "mia@a.example")),
        ('"Mia, Inc." <mia@a.example>', ("Mia, Inc.", "mia@a.example")),
        ("mia@a.example", ("", "mia@a.example")),
        ("<mia@a.example>", ("", "mia@a.example")),
        ("a <b> <c@d>", ("", "a <b> <c@d>")),
        ("", ("", "")),
    ],
)
def test_name_and_address(author: str, shown: tuple[str, str]) -> None:
    assert person(author) == shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_clues_that_phrases_show_are_told_in_words(language: str) -> None:
    told = texts(language)
    assert all(f"signs.{name}" in told.words for name in SIGNS)
    assert told.clue("ask link") == told.words["asks.link"]
    assert told.clue("sign praise") == told.words["signs.praise"]
    assert told.clue("guest post") == "guest post"
    assert told.clue("sender a.example") == told("clue.sender", who="a.example")
    assert told.clue("ask nobody") == "ask nobody"
