"""Asks and offers: what a mail wants from its recipient, and what it gives; and signs of its kind.

Three closed lists. Asks and offers are the same words in header, log, metrics and tests; signs (how
a mail goes about it: praise, a dead link, a chaser; an order, a list's footer) count as features
alone. Which phrases show them stands as data in ``phrases/<language>.toml``; the form of an entry
is explained in ``phrases/en.toml``. Phrases of all languages are looked for in every mail: mails
mix languages, and hardly any phrase means another thing in another one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

from milter.spam.memory import Memory

ASKS = (
    "link", "publication", "mention", "review", "advertising", "audience", "data", "work", "call",
)  # fmt: skip
OFFERS = (
    "exposure", "traffic", "link", "free-content", "free-tool", "free-product", "commission",
    "payment", "costs", "joint-work", "licence", "data", "audience",
)  # fmt: skip

SIGNS = (
    # how pitches go about it
    "praise", "found", "noticed", "maker", "fit", "soft-ask", "reader-gain", "client", "quality",
    "chaser", "easy-out", "money-link", "opening-hollow", "collab",
    # what else fills mailboxes
    "trade", "order", "account", "list-mail", "talk", "running", "private", "riches",
    # what proposals have that can be checked
    "terms", "sharing", "limits", "occasion", "research",
)  # fmt: skip
_KINDS = {"asks": ASKS, "offers": OFFERS, "signs": SIGNS}

# Words that "..." may stand for.
_GAP = 4

# Umlauts and accents are typed in two ways, and both are the same word.
_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})

_FOLDER = Path(__file__).with_name("phrases")


@dataclass(frozen=True, slots=True)
class Found:
    """What phrases show of a mail.

    ``ends``: for each kind and name, how many words of the stream stand up to the end of the first
    phrase that shows it.
    """

    ends: Mapping[tuple[str, str], int]

    @property
    def asks(self) -> tuple[str, ...]:
        """The asks, in the order of their list."""
        return self._named("asks")

    @property
    def offers(self) -> tuple[str, ...]:
        """The offers, in the order of their list."""
        return self._named("offers")

    @property
    def signs(self) -> tuple[str, ...]:
        """The signs, in the order of their list."""
        return self._named("signs")

    def _named(self, kind: str) -> tuple[str, ...]:
        return tuple(name for name in _KINDS[kind] if (kind, name) in self.ends)


@dataclass(frozen=True, slots=True)
class _Step:
    """One place in a phrase: the words that may stand there, and how many others before it."""

    exact: frozenset[str]
    beginnings: tuple[str, ...]
    reach: int


@dataclass(frozen=True, slots=True)
class _Phrase:
    """A phrase behind its first word, by which it is looked up."""

    meaning: tuple[str, str]
    rest: tuple[_Step, ...]

    def end(self, words: Sequence[str], at: int, step: int = 0) -> int:
        """The first place behind this phrase whose ``step`` is looked for from ``at``; or 0."""
        if step == len(self.rest):
            return at
        wanted = self.rest[step]
        exact, beginnings = wanted.exact, wanted.beginnings
        near = words[at : at + wanted.reach + 1]
        if not beginnings and exact.isdisjoint(near):  # so it is most of the time
            return 0
        for place, word in enumerate(near, at + 1):
            if word in exact or (beginnings and word.startswith(beginnings)):
                end = self.end(words, place, step + 1)
                if end:
                    return end
        return 0


@dataclass(frozen=True, slots=True)
class _Begun:
    """The phrases that one word begins.

    ``then``: those that go on with a certain word, by that word; ``starred``: those that go on with
    a word of a certain beginning, by that beginning, each with its number; ``other``: the rest, of
    which none can be there unless one of ``near`` is among the next ``reach`` words.
    """

    then: dict[str, list[_Phrase]]
    starred: dict[str, dict[int, _Phrase]]
    other: list[_Phrase]
    near: frozenset[str]
    reach: int

    @classmethod
    def by(cls, phrases: Iterable[_Phrase]) -> _Begun:
        """The phrases by how they go on."""
        then: dict[str, list[_Phrase]] = {}
        starred: dict[str, dict[int, _Phrase]] = {}
        other: list[_Phrase] = []
        for number, phrase in enumerate(phrases):
            if not phrase.rest or phrase.rest[0].reach:
                other.append(phrase)
                continue
            for after in phrase.rest[0].exact:
                then.setdefault(after, []).append(phrase)
            for beginning in phrase.rest[0].beginnings:
                starred.setdefault(beginning, {})[number] = phrase
        seconds = [phrase.rest[0] for phrase in other if phrase.rest]
        if len(seconds) < len(other) or any(step.beginnings for step in seconds):
            return cls(then, starred, other, frozenset(), 0)  # any words may be near
        near = frozenset(word for step in seconds for word in step.exact)
        return cls(then, starred, other, near, max((s.reach + 1 for s in seconds), default=0))

    def with_beginnings(self, beginnings: Iterable[str]) -> list[_Phrase]:
        """Those of ``starred`` that go on with one of these beginnings."""
        found: dict[int, _Phrase] = {}
        for beginning in beginnings:
            found |= self.starred.get(beginning, {})
        return [found[number] for number in sorted(found)]


_NONE: list[_Phrase] = []


class Lexicon:
    """Finds the phrases. Which ones a word begins is looked up once for each distinct word."""

    def __init__(self, tables: Iterable[dict[str, dict[str, list[str]]]]) -> None:
        self._exact: dict[str, list[_Phrase]] = {}
        self._beginnings: dict[str, list[_Phrase]] = {}
        # Beginnings of words with which phrases go on behind their first word.
        self._second: set[str] = set()
        self._longest = 0  # letters of a beginning
        self._sorted: dict[tuple[str, ...], _Begun] = {}
        self._begun: Memory[_Begun | None] = Memory(self._begun_by)
        self._starts: Memory[tuple[str, ...]] = Memory(self._starts_of)
        for table in tables:
            for kind, names in table.items():
                for name, phrases in names.items():
                    if name not in _KINDS[kind]:
                        raise ValueError(f"{name!r} is not one of the {kind}")
                    for phrase in phrases:
                        self._add(phrase, (kind, name))

    @property
    def words(self) -> frozenset[str]:
        """All words that phrases have, but for those of which only the beginning is told."""
        firsts = self._exact.keys()
        return frozenset(firsts).union(*(step.exact for step in self._steps()))

    @property
    def beginnings(self) -> frozenset[str]:
        """The beginnings of words that phrases have."""
        firsts = self._beginnings.keys()
        return frozenset(firsts).union(*(step.beginnings for step in self._steps())) - {""}

    def _steps(self) -> Iterator[_Step]:
        for phrases in (*self._exact.values(), *self._beginnings.values()):
            for phrase in phrases:
                yield from phrase.rest

    def find(self, *streams: Sequence[str]) -> Found:
        """What is asked, offered and shown in streams of words (``tokens.words``)."""
        ends: dict[tuple[str, str], int] = {}
        for words in streams:
            begun_by = map(self._begun.__getitem__, words)
            for at, begun, after in zip(count(1), begun_by, [*words[1:], ""], strict=False):
                if begun is None:
                    continue
                phrases = begun.other
                if phrases and begun.near and begun.near.isdisjoint(words[at : at + begun.reach]):
                    phrases = _NONE
                if after in begun.then:
                    phrases = phrases + begun.then[after]
                if begun.starred and not begun.starred.keys().isdisjoint(self._starts[after]):
                    phrases = phrases + begun.with_beginnings(self._starts[after])
                for phrase in phrases:
                    if phrase.meaning not in ends and (end := phrase.end(words, at)):
                        ends[phrase.meaning] = end
        return Found(ends)

    def _add(self, phrase: str, meaning: tuple[str, str]) -> None:
        first, *rest = _steps(phrase)
        entry = _Phrase(meaning, tuple(rest))
        for word in first.exact:
            self._exact.setdefault(word, []).append(entry)
        for beginning in first.beginnings:
            self._beginnings.setdefault(beginning, []).append(entry)
        if rest:
            self._second.update(rest[0].beginnings)
        for beginning in (*first.beginnings, *(rest[0].beginnings if rest else ())):
            self._longest = max(self._longest, len(beginning))

    def _begun_by(self, word: str) -> _Begun | None:
        shared = [start for start in self._beginnings_of(word) if start in self._beginnings]
        alone = [word] if word in self._exact else []
        if not alone and not shared:
            return None
        # One for all words that begin the same phrases: some of them begin hundreds.
        key = (*alone, "", *shared)
        if key not in self._sorted:
            phrases = [phrase for exact in alone for phrase in self._exact[exact]]
            phrases += [phrase for start in shared for phrase in self._beginnings[start]]
            self._sorted[key] = _Begun.by(phrases)
        return self._sorted[key]

    def _starts_of(self, word: str) -> tuple[str, ...]:
        return tuple(start for start in self._beginnings_of(word) if start in self._second)

    def _beginnings_of(self, word: str) -> list[str]:
        """What may stand for it in a phrase before a star; nothing at all is any word."""
        return [word[:end] for end in range(min(len(word), self._longest) + 1)]


def _steps(phrase: str) -> list[_Step]:
    """The steps of an entry of a list; its form is explained in ``phrases/en.toml``."""
    steps: list[_Step] = []
    reach = 0
    for place in phrase.replace("-", " ").split():
        if place == "...":
            reach += _GAP
        else:
            spellings = set(place.split("|"))
            spellings |= {word.translate(_PLAIN) for word in spellings}
            steps.append(_step(spellings, reach))
            reach = 0
    return steps


def _step(spellings: set[str], reach: int) -> _Step:
    starred = tuple(sorted(word[:-1] for word in spellings if word.endswith("*")))
    if "?" in spellings:
        starred = ("",)
    return _Step(frozenset(word for word in spellings if word[-1] not in "*?"), starred, reach)


@cache
def lexicon() -> Lexicon:
    """The lexicon of all languages, read once."""
    return Lexicon(
        tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.toml"))
    )
