"""The model in use, as far as a candidate can be compared with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milter.spam.bundle import Bundle, open_models
from training.data import Example, digest
from training.figures import LETTERS, in_order

_VERDICTS = {letter: verdict for verdict, letter in LETTERS.items()}


@dataclass(frozen=True, slots=True)
class InUse:
    """A bundle, and what its manifest tells.

    ``known``: what the corrections that it has learned are called (``figures.known_as``).
    ``corpus`` and ``verdicts``: digest of the corpus it was made from, and how its mails were
    judged by models that saw none of their theme; empty where nobody wrote it down.
    """

    bundle: Bundle
    known: frozenset[str]
    corpus: str
    verdicts: str

    def on_corpus(self, base: list[Example]) -> NDArray[np.str_] | None:
        """The verdicts on the corpus ``base``, (n,); None where it was made from another one."""
        if self.corpus != digest(base) or len(self.verdicts) != len(base):
            return None
        found = np.empty(len(base), dtype="<U8")
        for number, letter in zip(in_order(base), self.verdicts, strict=True):
            found[number] = _VERDICTS.get(letter, "none")
        return found


def open_in_use(models: Path) -> InUse:
    """The current bundle of a models folder; raises ``BundleError`` where it cannot be opened."""
    bundle = open_models(models)
    told = _told(models / bundle.version / "manifest.json")
    feedback = told.get("feedback")
    keys = feedback.get("keys", ()) if isinstance(feedback, dict) else ()
    return InUse(
        bundle=bundle,
        known=frozenset(map(str, keys)),
        corpus=str(told.get("corpus", "")),
        verdicts=str(told.get("verdicts", "")),
    )


def _told(path: Path) -> dict[str, Any]:
    """What a manifest tells of the model's judgements; empty where it is damaged or older."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["out_of_fold"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def has_current(models: Path) -> bool:
    """Whether a bundle is in use at all, be it a damaged one."""
    return (models / "current").exists()
