"""Mails that are new and like those of the corpus: sentences of two of a theme, mixed."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from milter.mail.text import read_text
from training.data import Example, hard_cases, wanted

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"[^\W\d_]{3,}")
# Sentences of a mail that is made.
_LONGEST = 14
# Mails of a theme and language below which two of them would give the same mail again.
_LEAST = 4


class Varied:
    """Makes mails of some among ``examples``, never the same one twice.

    Of everyday wanted ones, or with the label ``fake`` of pitches.
    """

    def __init__(self, examples: Sequence[Example], seed: int = 11, label: str = "none") -> None:
        self._chance = random.Random(seed)
        self._made = 0
        self._name = label[0]
        chosen = wanted(list(examples)) & ~hard_cases(list(examples))
        if label == "fake":
            chosen = np.array([example.label == label for example in examples])
        found: defaultdict[tuple[str, str], list[Example]] = defaultdict(list)
        for number, example in enumerate(examples):
            if chosen[number] and example.language in ("de", "en"):
                found[example.group, example.language].append(example)
        self._themes = [mails for mails in found.values() if len(mails) >= _LEAST]

    def mails(self, number: int) -> list[bytes]:
        """So many mails, each from a sender of its own."""
        return [self._mail() for _ in range(number)]

    def words(self, number: int) -> list[str]:
        """So many words, those of wanted mails first, no two the same."""
        known: dict[str, None] = {}
        for mail in (mail for theme in self._themes for mail in theme):
            known |= dict.fromkeys(_WORD.findall(read_text(mail.content).body.lower()))
        words = list(known)
        self._chance.shuffle(words)
        letters = "abcdefghijklmnopqrstuvwxyz"
        while len(words) < number:
            words.append("".join(self._chance.choices(letters, k=self._chance.randint(4, 12))))
        return words[:number]

    def _mail(self) -> bytes:
        self._made += 1
        one, other = self._chance.sample(self._chance.choice(self._themes), 2)
        said = _sentences(one)[::2] + _sentences(other)[1::2]
        self._chance.shuffle(said)
        name = f"{self._name}{self._made}"
        return (
            f"From: Writer {self._made} <writer@{name}.example>\nTo: redaktion@owner.example\n"
            f"Subject: {' '.join(read_text(one.content).subject.split())}\n"
            f"Date: 20 Nov 2026 09:00:00 +0100\nMessage-ID: <{name}@{name}.example>\n"
            "Content-Type: text/plain; charset=utf-8\n\n" + "\n".join(said[:_LONGEST]) + "\n"
        ).encode(errors="replace")


def _sentences(example: Example) -> list[str]:
    body = read_text(example.content).body
    return [sentence.strip() for sentence in _SENTENCE.split(body) if len(sentence) > 15]
