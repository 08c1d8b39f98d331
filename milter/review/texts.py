"""The page's words, in English and German: ``texts/*.toml``, with the same keys in both."""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "de")
_FOLDER = Path(__file__).with_name("texts")
# RFC 9110 12.5.4: a language range, and how much it is wished for.
_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q\s*=\s*([01](?:\.\d*)?))?")
_LONGEST_HEADER = 1000
# Clues that are no words of the mail, and where their texts stand.
_CLUES = {"ask": "asks", "offer": "offers", "sign": "signs"}


@dataclass(frozen=True, slots=True)
class Texts:
    """The words of one language. Called with a key it gives its text, values put in."""

    language: str
    words: dict[str, str]

    def __call__(self, key: str, **values: object) -> str:
        text = self.words[key]
        return text.format(**values) if values else text

    def count(self, key: str, number: int, **values: object) -> str:
        """The text for a number of things: ``key.one`` or ``key.many``."""
        return self(f"{key}.{'one' if number == 1 else 'many'}", n=self.number(number), **values)

    def known(self, group: str, word: str) -> str:
        """What a word of a closed list means; one that a newer filter knows is shown as it is."""
        return self.words.get(f"{group}.{word}", word)

    def clue(self, name: str) -> str:
        """A clue as people read it: a word of the mail as it is, what phrases show in words."""
        kind, _, word = name.partition(" ")
        if kind == "sender" and "." in word:
            return self("clue.sender", who=word)
        group = _CLUES.get(kind, "")
        return self.words.get(f"{group}.{word}", name)

    def number(self, value: int) -> str:
        """A whole number with its thousands apart."""
        return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")

    def decimal(self, value: float, digits: int = 2) -> str:
        """A number with a point or a comma."""
        text = f"{value:.{digits}f}"
        return text.replace(".", ",") if self.language == "de" else text

    def percent(self, share: float, digits: int = 0) -> str:
        """A share as a percentage; nothing is ever quite 100 %."""
        most = 100 - 10.0**-digits
        more = ">" if share * 100 > most else ""
        shown = self.decimal(most if more else share * 100, digits)
        return f"{more}{shown}\N{NO-BREAK SPACE}%"

    def date(self, seconds: float) -> str:
        """The day of a Unix time, as this machine's clock has it."""
        at = time.localtime(seconds)
        month = self(f"month.{at.tm_mon}")
        return self("format.date", day=at.tm_mday, month=month, year=at.tm_year)

    def moment(self, seconds: float) -> str:
        """Day and minute of a Unix time."""
        return f"{self.date(seconds)}, {time.strftime('%H:%M', time.localtime(seconds))}"


@cache
def texts(language: str) -> Texts:
    """The words of ``language``, one of ``LANGUAGES``."""
    table = tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return Texts(language, dict(_flat("", table)))


def language_of(accepted: str) -> str:
    """The language to answer in, by an Accept-Language field; English where it asks for neither."""
    wishes = [
        (float(match[2] or 1), -place, match[1].lower())
        for place, part in enumerate(accepted[:_LONGEST_HEADER].split(","))
        if (match := _RANGE.fullmatch(part.rstrip()))
    ]
    for quality, _, language in sorted(wishes, reverse=True):
        if quality > 0 and language in LANGUAGES:
            return language
    return LANGUAGES[0]


def _flat(prefix: str, table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value
