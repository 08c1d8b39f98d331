"""Asks and offers: what a mail wants from its recipient, and what it gives.

Two closed lists, the same words in header, log, metrics and tests. Which phrases show them stands
as data in ``phrases/<language>.toml``; the form of an entry is explained in ``phrases/en.toml``.
Phrases of all languages are looked for in every mail: mails mix languages, and hardly any phrase
means another thing in another one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ASKS = (
    "link", "publication", "mention", "review", "advertising", "audience", "data", "work", "call",
)  # fmt: skip
OFFERS = (
    "exposure", "traffic", "link", "free-content", "free-tool", "free-product", "commission",
    "payment", "costs", "joint-work", "licence", "data", "audience",
)  # fmt: skip

_FOLDER = Path(__file__).with_name("phrases")


@dataclass(frozen=True, slots=True)
class Found:
    """Asks and offers of a mail, each in the order of its closed list, without repeats."""

    asks: tuple[str, ...]
    offers: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    """One step of a phrase: what may come next, and what is shown if the phrase ends here."""

    exact: dict[str, _Node]
    beginnings: dict[str, _Node]
    anything: _Node | None
    meanings: set[tuple[str, str]]

    @classmethod
    def empty(cls) -> _Node:
        return cls({}, {}, None, set())

    def add(self, phrase: Sequence[str], meaning: tuple[str, str]) -> None:
        """Put a phrase in, word by word."""
        node = self
        for word in phrase:
            if word == "?":
                node.anything = node.anything or _Node.empty()
                node = node.anything
            elif word.endswith("*"):
                node = node.beginnings.setdefault(word[:-1], _Node.empty())
            else:
                node = node.exact.setdefault(word, _Node.empty())
        node.meanings.add(meaning)

    def next(self, word: str) -> list[_Node]:
        """Where ``word`` leads from here."""
        nodes = [node for start, node in self.beginnings.items() if word.startswith(start)]
        if word in self.exact:
            nodes.append(self.exact[word])
        if self.anything:
            nodes.append(self.anything)
        return nodes


class Lexicon:
    """Finds the phrases. The first word of a phrase is looked up once for each distinct word."""

    # Bounds the memory that words of other people's mail can take; a language has fewer in use.
    _REMEMBERED = 100_000

    def __init__(self, tables: Iterable[dict[str, dict[str, list[str]]]]) -> None:
        self._root = _Node.empty()
        self._first: dict[str, list[_Node]] = {}
        for table in tables:
            for kind, known in (("asks", ASKS), ("offers", OFFERS)):
                for name, phrases in table[kind].items():
                    if name not in known:
                        raise ValueError(f"{name!r} is not one of the {kind}")
                    for phrase in phrases:
                        self._root.add(phrase.replace("-", " ").split(), (kind, name))

    def find(self, *streams: Sequence[str]) -> Found:
        """The asks and offers in streams of words (``tokens.words``)."""
        meanings: set[tuple[str, str]] = set()
        for words in streams:
            for at, nodes in enumerate(map(self._begin, words)):
                if nodes:
                    self._follow(words, at, nodes, meanings)
        return Found(
            tuple(name for name in ASKS if ("asks", name) in meanings),
            tuple(name for name in OFFERS if ("offers", name) in meanings),
        )

    def _begin(self, word: str) -> list[_Node]:
        nodes = self._first.get(word)
        if nodes is None:
            if len(self._first) >= self._REMEMBERED:
                self._first.clear()
            nodes = self._first[word] = self._root.next(word)
        return nodes

    @staticmethod
    def _follow(
        words: Sequence[str], at: int, nodes: list[_Node], meanings: set[tuple[str, str]]
    ) -> None:
        while nodes:
            for node in nodes:
                meanings |= node.meanings
            at += 1
            if at >= len(words):
                return
            nodes = [after for node in nodes for after in node.next(words[at])]


@cache
def lexicon() -> Lexicon:
    """The lexicon of all languages, read once."""
    return Lexicon(
        tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.toml"))
    )
