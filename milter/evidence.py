"""Whether it is shown that the model in use keeps the budget of wanted mail that it calls fake.

Nothing is held back before that (``[policy] force_quarantine`` aside). Two witnesses: what
``coop-verdict evidence`` measured on the site's own wanted mail, kept as ``evidence.json`` beside
the index of seen mails; and the bundle's ``manifest.json``, which has what the model said of mails
of the corpus that it was not fitted on. Both count for one model only: after a new one is
published, it is the new one that has to show it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from milter import durable
from milter.binomial import needed, upper_bound
from milter.config import Settings
from milter.errors import JournalError

log = logging.getLogger(__name__)

#: The name of what was measured, in the folder [journal] folder.
NAME = "evidence.json"
_MANIFEST = "manifest.json"
# The labels of mails that somebody wants to read.
_WANTED = ("genuine", "none")
# Seconds between two looks at the file: enough for people, and nothing to the mail path.
_PERIOD = 1.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of ``mails`` wanted ones, ``model`` called ``called_fake`` fake; measured at Unix time
    ``when``."""

    model: str
    mails: int
    called_fake: int
    when: float

    @property
    def bound(self) -> float:
        """The share of wanted mail that it may call fake for all that is known, with 95 %."""
        return upper_bound(self.called_fake, self.mails)

    @property
    def sound(self) -> bool:
        """Whether these can be counts."""
        counts = (self.called_fake, self.mails)
        return all(type(n) is int for n in counts) and 0 <= self.called_fake <= self.mails


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether mail may be held back, and why in a sentence; ``forced``: although nothing shows
    that the budget is kept."""

    armed: bool
    why: str
    forced: bool = False


def percent(share: float) -> str:
    """A share for people."""
    return f"{100 * share:.3g} %"


def decide(
    version: str, budget: float, own: Evidence | None, corpus: Evidence | None, forced: bool = False
) -> Standing:
    """Whether ``version`` may hold mail back, by what was measured on the site's own mail and on
    the corpus. The corpus does not outweigh own mail of which more was called fake than allowed."""
    asked = f"[policy] budget allows {percent(budget)} of wanted mail to be called fake"
    mine = own if own and own.model == version else None
    if mine and mine.bound <= budget:
        return Standing(True, f"Quarantine is armed: {asked}; {_called(version, mine, None)}.")
    refuted = mine is not None and mine.called_fake > budget * mine.mails
    if corpus and corpus.bound <= budget and not refuted:
        return Standing(True, f"Quarantine is armed: {asked}; {_called(version, None, corpus)}.")
    shown = _called(version, mine, corpus) or f"nothing is known of model {version}"
    if own and not mine:
        shown += f", and what was measured on your own is of model {own.model}"
    if forced:
        return Standing(True, f"Quarantine is armed by force_quarantine: {asked}; {shown}.", True)
    return Standing(False, f"Quarantine is not armed: {asked}; {shown}. {_advice(budget, mine)}")


def _called(version: str, own: Evidence | None, corpus: Evidence | None) -> str:
    """What was called fake; nothing where nothing is known."""
    of = {"your own": own, "the corpus": corpus}
    told = [
        f"{found.called_fake:,} of {found.mails:,} of {whose} (at most {percent(found.bound)})"
        for whose, found in of.items()
        if found
    ]
    return f"model {version} called fake {' and '.join(told)}" if told else ""


def _advice(budget: float, mine: Evidence | None) -> str:
    called = mine.called_fake if mine else 0
    many = f", or {needed(budget, called):,} with {called:,}" if called else ""
    return (
        "Measure it on more of your wanted mail (coop-verdict evidence PATH...): it takes "
        f"{needed(budget):,} mails with none called fake{many}."
    )


def store(folder: Path, evidence: Evidence) -> None:
    """Keep what was measured. It is readable for all who may enter ``folder``: root may have
    measured, and the filter's user has to read it. Raises ``JournalError``."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.replace(folder / NAME, json.dumps(asdict(evidence)).encode("ascii") + b"\n", 0o644)
    except OSError as error:
        raise JournalError(
            f"{folder / NAME} cannot be written: {error.strerror}; run this as the filter's user "
            "or root, with the filter's settings (--config)"
        ) from error


def measured(folder: Path) -> Evidence | None:
    """What was measured on own mail last; None where nothing was. Raises ``JournalError``."""
    path = folder / NAME
    try:
        told = json.loads(path.read_bytes())
        evidence = Evidence(**{name: told[name] for name in Evidence.__slots__})
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JournalError(f"{path}: damaged; measure anew") from error
    if not evidence.sound:
        raise JournalError(f"{path}: not what coop-verdict evidence writes; measure anew")
    return evidence


def out_of_fold(bundle: Path) -> Evidence | None:
    """What the model in the folder ``bundle`` said of wanted mails of the corpus that it was not
    fitted on; None where its manifest does not tell."""
    try:
        manifest = json.loads((bundle / _MANIFEST).read_bytes())
        languages: Mapping[str, Mapping[str, Mapping[str, int]]] = manifest["out_of_fold"][
            "by_language"
        ]
        cells = [found[label] for found in languages.values() for label in _WANTED]
        mails, fake = (sum(cell[key] for cell in cells) for key in ("mails", "fake"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    evidence = Evidence(bundle.name, mails, fake, 0.0)
    return evidence if evidence.sound else None


def standing(settings: Settings, version: str) -> Standing:
    """Whether mail may be held back by the model ``version``. Never raises: if in doubt, not."""
    policy, fault = settings.policy, ""
    try:
        own = measured(settings.journal.folder)
    except JournalError as error:
        own, fault = None, f" ({error}.)"
    corpus = out_of_fold(settings.model.folder / version)
    found = decide(version, policy.budget, own, corpus, policy.force_quarantine)
    return Standing(found.armed, found.why + fault, found.forced)


class Arming:
    """Whether mail may be held back, asked before each mail: looked up once a model, and again
    when ``evidence.json`` was written anew, within a second. A change is told to the log, loudly
    where the settings ask to hold mail back and that is not shown to be safe."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._path = settings.journal.folder / NAME
        wishes = (settings.policy.default, *settings.policy.recipients.values())
        self._wished = "quarantine" in wishes
        self._known: tuple[int, ...] = ()
        self._look_again = 0.0
        self._fresh: set[str] = set()
        self._standings: dict[str, Standing] = {}

    def __call__(self, version: str) -> bool:
        """Whether mail that ``version`` calls fake may be held back."""
        now = self._clock()
        if now >= self._look_again:
            self._look_again = now + _PERIOD
            if (mark := self._mark()) != self._known:
                self._known = mark
                self._fresh.clear()
        if version not in self._fresh:
            self._fresh.add(version)
            self._take(version, standing(self._settings, version))
        return self._standings[version].armed

    def _mark(self) -> tuple[int, ...]:
        """What tells one ``evidence.json`` from another."""
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _take(self, version: str, found: Standing) -> None:
        if found == self._standings.get(version):
            return
        self._standings[version] = found
        if self._wished and not found.armed:
            until = (
                "" if self._settings.policy.shadow else " What would be held is tagged until then."
            )
            log.warning("%s%s", found.why, until)
        elif self._wished:
            log.log(logging.WARNING if found.forced else logging.INFO, "%s", found.why)
