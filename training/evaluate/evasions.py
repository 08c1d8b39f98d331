"""Evasions measured: they are done to labelled fakes, and recall is what it is then.

``disguises`` says what is done; here each changed mail is judged, by the model in use or by the one
that saw none of its theme.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from milter.spam.bundle import Bundle
from milter.spam.judge import judge_content
from milter.spam.verdict import Verdict
from training.data import Example, digest
from training.evaluate.disguises import Wanted, evasions
from training.evaluate.measure import rate, rounded
from training.evaluate.sets import Mail, SourceError, open_sources

if TYPE_CHECKING:
    from training.fit import FitSettings, Fitted

#: What each mail's luck hangs on, besides its content: change it, and figures change a little.
SEED = 20261123
#: The row that all others are compared with.
PLAIN = "none: the mail as it is"
# Far above the filter's own limit: a figure must not depend on how busy this machine is.
_SECONDS = 60.0

#: Told of the number of mails done so far.
Progress = Callable[[int], None]


def of_sources(
    arguments: Sequence[str], bundle: Bundle, wanted: Wanted, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """The rows on the fakes in the sources that ``arguments`` name (``sets``), by ``bundle``."""
    told = {"kind": "model", "version": bundle.version}
    return measure(_in_sources(arguments, bundle), wanted, told, progress)


def of_folds(
    examples: list[Example],
    fitted: Fitted,
    settings: FitSettings,
    wanted: Wanted,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """The rows on the fakes of a corpus, each judged by the model that saw none of its theme."""
    told = {"kind": "folds", "folds": settings.folds, "sha256": digest(examples)}
    return measure(_in_folds(examples, fitted, settings), wanted, told, progress)


def _in_sources(arguments: Sequence[str], bundle: Bundle) -> Iterator[tuple[Mail, Bundle]]:
    for source in open_sources(arguments):
        for mail in source.mails():
            if mail.label == "fake" and not mail.fault:
                yield mail, bundle


def _in_folds(
    examples: list[Example], fitted: Fitted, settings: FitSettings
) -> Iterator[tuple[Mail, Bundle]]:
    for number, fold_ in enumerate(fitted.folds, 1):
        bundle = Bundle(
            version=f"fold-{number}",
            weights=fold_.weights,
            scale=fold_.scale,
            intercept=fold_.intercept,
            temperature=fitted.temperature,
            thresholds=fitted.thresholds,
            too_little=settings.too_little,
        )
        for example in (examples[i] for i in fold_.test.tolist()):
            if example.label == "fake":
                yield Mail(example.name, "fake", example.language, example.content), bundle


def measure(
    fakes: Iterable[tuple[Mail, Bundle]],
    wanted: Wanted,
    judged_by: dict[str, Any],
    progress: Progress | None = None,
    seed: int = SEED,
) -> list[dict[str, Any]]:
    """Recall of ``fakes``, each with its judge, as they are and under each evasion.

    An object each: ``evasion``; ``judged_by``, as in a report; ``mails``; ``recall``, the share
    called fake, with ``low`` and ``high`` of its 95 % interval; ``fall`` of recall against the
    mails as they are; ``noticed``, the share called unsure or fake; ``unscored``, the share not
    judged.
    """
    verdicts: dict[str, list[Verdict]] = {}
    for done, (mail, bundle) in enumerate(fakes, 1):
        for name, content in _changed(mail, wanted, seed):
            verdicts.setdefault(name, []).append(judge_content(content, bundle, _SECONDS).verdict)
        if progress:
            progress(done)
    if not verdicts:
        raise SourceError("there is no fake to measure")
    plain = _share(verdicts[PLAIN], Verdict.FAKE)
    return [
        {"evasion": name, "judged_by": judged_by} | _row(found, plain)
        for name, found in verdicts.items()
    ]


def _changed(mail: Mail, wanted: Wanted, seed: int) -> Iterator[tuple[str, bytes]]:
    """The mail as it is and under each evasion; its luck hangs on nothing but seed and content."""
    yield PLAIN, mail.content
    known = mail.language in wanted.words
    language = mail.language if known else wanted.language(mail.content)
    for name, evade in evasions(wanted, language).items():
        luck = f"{seed} {name} {zlib.crc32(mail.content)}"
        yield name, evade(mail.content, random.Random(luck))  # noqa: S311 (nobody is to be fooled)


def _share(found: list[Verdict], *verdicts: Verdict) -> float:
    return sum(verdict in verdicts for verdict in found) / len(found)


def _row(found: list[Verdict], plain: float) -> dict[str, Any]:
    recall = _share(found, Verdict.FAKE)
    interval = rate(np.array([verdict == Verdict.FAKE for verdict in found]))
    return {
        "mails": len(found),
        "recall": rounded(recall),
        "low": interval["low"],
        "high": interval["high"],
        "fall": rounded(plain - recall),
        "noticed": rounded(_share(found, Verdict.FAKE, Verdict.UNSURE)),
        "unscored": rounded(_share(found, Verdict.UNSCORED)),
    }
