"""The gate: a candidate that is worse than the model in use is not published.

Four checks in the order of what they protect; each tells its figures in a sentence, whether it is
passed or not. A check that has nothing to go on is passed and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from milter.spam.bundle import LABELS, Thresholds
from milter.spam.verdict import Verdict
from training.compare import Judgements, Tally, tally
from training.data import CorpusError, Example, hard_cases, wanted
from training.fit import FitSettings, expected_rate

# By how much a part of the corpus may fall behind, as a share of its mails. Thirty corrections of
# three new campaigns cost the corpus' pitches some five of a hundred (``NOTES.md``): what they have
# in common with its wanted mail moves the threshold up. What is genuine is rare, and its figures
# move more.
_FLOORS = {"fake": 0.08, "genuine": 0.10}
# A part of thirty mails falls by a tenth for no reason. What chance does to one part of all as
# often as this is none (Bonferroni: each part has its share of it).
_CHANCE = 0.05
#: The least number of newest mails that says anything.
LEAST = 5
# Mails that a refusal names.
_NAMED = 3
_REGRESSION = Path(__file__).with_name("regression.txt")


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it is about, whether it is passed, and its figures as sentences."""

    about: str
    passed: bool
    told: str


@dataclass(frozen=True, slots=True)
class Part:
    """The mails of a language and a label, and how many of them two models get right."""

    language: str
    label: str
    before: int
    after: int
    tally: Tally

    def fallen(self, chance: float) -> bool:
        """Whether it is worse by more than its floor, and by more than ``chance`` explains."""
        if self.before - self.after <= _FLOORS[self.label] * self.tally.mails:
            return False
        lost, won = self.tally.lost, self.tally.won
        return bool(binomtest(lost, lost + won, alternative="greater").pvalue < chance)


def budget(
    examples: list[Example],
    out_of_fold: NDArray[np.float64],
    limits: Thresholds,
    settings: FitSettings,
) -> Check:
    """Wanted mails of the corpus, each judged (n, 3) by a model that saw none of its theme."""
    meant = wanted(examples)
    scores = out_of_fold[meant, LABELS.index("fake")]
    hard = hard_cases(examples)[meant]
    called = int((scores >= limits.fake).sum())
    rate = float(expected_rate(scores, hard, np.array([limits.fake]))[0])
    return Check(
        "false positives on the corpus",
        not (called and rate > settings.budget),
        f"Of the corpus' {len(scores)} wanted mails {called} are called fake; expected of real "
        f"mail is a share of {rate:.2%}, and the budget is {settings.budget:.2%}.",
    )


def corrections(examples: list[Example], before: Judgements, after: Judgements) -> Check:
    """The owner's wanted mails: what was filed as none is never called fake, nothing newly is."""
    labels = np.array([example.label for example in examples], dtype=np.str_)
    called = after.verdicts == Verdict.FAKE
    newly = called & (before.verdicts != Verdict.FAKE)
    wrong = np.flatnonzero(called & (labels == "none") | newly & (labels == "genuine"))
    about = "false positives on corrections"
    number = int((labels != "fake").sum())
    if not len(wrong):
        return Check(about, True, f"None of the {number} wanted mails in feedback is called fake.")
    names = ", ".join(examples[i].name for i in wrong[:_NAMED].tolist())
    more = ", ..." if len(wrong) > _NAMED else ""
    return Check(
        about,
        False,
        f"Of the {number} wanted mails in feedback {len(wrong)} would be called fake all the same: "
        f"{names}{more}.",
    )


def parts(examples: list[Example], before: NDArray[np.str_], after: NDArray[np.str_]) -> list[Part]:
    """The corpus by label, whole and by language; verdicts (n,) are of models new to the theme."""
    labels = np.array([example.label for example in examples])
    spoken = np.array([example.language for example in examples])
    found = []
    for language in ["all", *sorted(set(spoken.tolist()))]:
        for label in _FLOORS:
            chosen = (labels == label) & (True if language == "all" else spoken == language)
            if chosen.any():
                old, new = (int((v[chosen] == label).sum()) for v in (before, after))
                own = tally(labels[chosen], *(_own(v[chosen], label) for v in (before, after)))
                found.append(Part(language, label, old, new, own))
    return found


def _own(verdicts: NDArray[np.str_], label: str) -> NDArray[np.str_]:
    """The verdicts with all that are not the label's own made one: won and lost are of recall."""
    other = "genuine" if label == "fake" else "none"
    return np.where(verdicts == label, label, other)


def floor(found: list[Part]) -> Check:
    """No language and no label worse than the floor."""
    fallen = [part for part in found if part.fallen(_CHANCE / len(found))]
    if not fallen:
        whole = "; ".join(_told(part) for part in found if part.language == "all")
        return Check("languages and labels", True, f"None has fallen: {whole}.")
    told = "; ".join(_told(part) for part in fallen)
    return Check("languages and labels", False, f"The candidate is worse in {told}.")


def _told(part: Part) -> str:
    language = "all languages" if part.language == "all" else part.language
    return (
        f"{part.label} in {language}: {part.after} of {part.tally.mails} found, "
        f"{part.before} by the model in use"
    )


def regression(examples: list[Example], verdicts: NDArray[np.str_]) -> Check:
    """The mails of ``regression.txt`` keep their verdict."""
    expected = read_regression()
    found = [(e.name, v) for e, v in zip(examples, verdicts.tolist(), strict=True)]
    listed = [(name, verdict) for name, verdict in found if name in expected]
    wrong = [(name, v) for name, v in listed if v != expected[name]]
    about = "regression set"
    if not wrong:
        return Check(about, True, f"All {len(listed)} mails of the set keep their verdict.")
    told = "; ".join(f"{name}: {v}, not {expected[name]}" for name, v in wrong[:_NAMED])
    return Check(
        about,
        False,
        f"Of {len(listed)} mails that must keep their verdict {len(wrong)} have another one: "
        f"{told}{'; ...' if len(wrong) > _NAMED else ''}.",
    )


def read_regression() -> dict[str, str]:
    """The names in the corpus of mails whose verdict must stay, and that verdict."""
    return dict(_listed(_REGRESSION.read_text(encoding="utf-8")))


def _listed(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            verdict, _, name = line.partition(" ")
            if verdict not in LABELS or not name:
                raise CorpusError(f"{_REGRESSION}, line {number}: must be a label and a name")
            yield name, verdict


def held_out(labels: NDArray[np.str_], before: Judgements, after: Judgements) -> Check:
    """The newest corrections that the model in use has not learned, by a candidate without them."""
    about = "newest corrections"
    if len(labels) < LEAST:
        told = (
            f"Too few to tell: it takes {2 * LEAST} corrections, and of the newest {LEAST} that "
            "the model in use has not learned."
        )
        return Check(about, True, told)
    found = tally(labels, before.verdicts, after.verdicts)
    lost_mail = [
        int(((labels != "fake") & (verdicts == Verdict.FAKE)).sum())
        for verdicts in (before.verdicts, after.verdicts)
    ]
    return Check(
        about,
        found.won >= found.lost and lost_mail[1] <= lost_mail[0],
        f"On the {found.mails} newest mails a candidate that has not learned them is better than "
        f"the model in use {found.won} times, as good {found.tied} times, worse {found.lost} "
        f"times; wanted mails called fake: {lost_mail[1]}, by the model in use {lost_mail[0]}.",
    )
