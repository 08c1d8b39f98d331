"""What mistakes and malice in feedback folders do to the model in use.

    python tests/bench/attacks.py [--measure DIR] [--json FILE] [--only NAME ...] [--jobs N]

Each attack is a folder of feedback and one real retrain into a models folder of its own, where a
model of the corpus alone is in use. The feedback is that of four owners: campaigns that the corpus
does not have, and wanted mails made of sentences of the corpus' own. The table says what became of
the mails, what the gate said, and what the model in use thinks of wanted mail afterwards, be it the
new one or the one before: of the corpus' (each judged by models that saw none of its theme) and of
mail that is only measured on. Exit status 1 where more of everyday mail is called fake than the
budget allows, or a mail has no fate.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when started as a script
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import families
from bench.material import CORPUS, MEASURE, PROCESSES, Measured, forked, measured, sent_by, told
from bench.varied import Varied
from harness.feedback import outcome, put

from milter.mail.folder import as_content
from milter.spam.bundle import open_models
from training.data import Example, read_corpus
from training.fit import FitSettings, fit
from training.jobs import Jobs
from training.publish import publish, write_bundle
from training.retrain import Order, Outcome, Retrained, retrain

# Whose folders there are.
_OWNERS = ("anna", "bert", "cora", "dirk")
# When the first mail was filed; the next ones come an hour apart.
_BEGIN = 1.79e9
# Everyday wanted mails that each attack has beside the campaigns, filed as none.
_WANTED = 70


@dataclass
class Setting:
    """What all attacks start from. ``models`` is copied for each, and never changed.

    ``examples`` is the corpus, read; ``fit`` are the learner's settings. ``theirs``: the measuring
    mail as if all came from who is written in the name of (``another_name``).
    """

    corpus: Path
    models: Path
    examples: list[Example]
    fit: FitSettings
    measuring: Measured | None = None
    theirs: Measured | None = None


@dataclass(slots=True)
class Feedback:
    """A feedback folder that is being filled. ``wanted`` makes wanted mails for it."""

    folder: Path
    wanted: Varied
    filed: int = 0

    def add(self, label: str, content: bytes, owner: str = "") -> Path:
        """File a mail as its ``owner`` would, by default one after the other."""
        owner = owner or _OWNERS[self.filed % len(_OWNERS)]
        path = self.folder / owner / label / f"{self.filed}.eml"
        self.filed += 1
        return put(path, content, _BEGIN + 3600 * self.filed)

    def honest(self, flipped: float = 0.0, campaigns: Sequence[str] = families.CHOSEN_BY) -> None:
        """Campaigns filed as fake and wanted mails as none, a share of them the other way round."""
        right = [("fake", mail) for name in campaigns for mail in families.mails(name, "learn")]
        right += [("none", mail) for mail in self.wanted.mails(_WANTED)]
        chance = random.Random(7)
        chance.shuffle(right)
        wrong = set(chance.sample(range(len(right)), round(flipped * len(right))))
        for number, (label, mail) in enumerate(right):
            other = "none" if label == "fake" else "fake"
            self.add(other if number in wrong else label, mail)


# --- the attacks ------------------------------------------------------------------------

#: Fills a feedback folder; what it gives, if anything, is called while the folder is read.
Attack = Callable[[Feedback], "Callable[[int], None] | None"]


def honest(feedback: Feedback) -> None:
    """No attack: what the others are to be compared with."""
    feedback.honest()


def other_campaigns(feedback: Feedback) -> None:
    """No attack, but campaigns that have much in common with wanted mail of the corpus."""
    feedback.honest(campaigns=families.SECOND)


def flipped_5(feedback: Feedback) -> None:
    """One label in twenty is the wrong one."""
    feedback.honest(0.05)


def flipped_20(feedback: Feedback) -> None:
    """One label in five is the wrong one."""
    feedback.honest(0.20)


def another_name(feedback: Feedback) -> None:
    """Ten pitches in the name of somebody whose mail is wanted: all that is measured is theirs.

    So the budget is not asked: it is of all mail, and this is one sender's.
    """
    feedback.honest()
    for mail in families.mails(families.SECOND[0], "learn"):
        feedback.add("fake", sent_by(as_content(mail), _NAME))


def one_owner(feedback: Feedback, number: int = 500) -> None:
    """One owner files 500 wanted mails as fake."""
    feedback.honest()
    for mail in feedback.wanted.mails(number):
        feedback.add("fake", mail, "mallory")


def dictionary(feedback: Feedback) -> None:
    """A mail of 100,000 words, those of wanted mail first, is filed as fake."""
    feedback.honest()
    feedback.add("fake", _letter("words", " ".join(feedback.wanted.words(100_000))), "mallory")


def large(feedback: Feedback) -> None:
    """A mail of 20 MB is filed as fake, and one as an attachment of another."""
    feedback.honest()
    huge = _letter("large", "\n".join(["a line of a mail that never ends"] * 630_000))
    feedback.add("fake", huge)
    wrapped = _letter("wrapped", "see below").replace(b"text/plain", b"message/rfc822")
    feedback.add("fake", wrapped + huge)


def broken(feedback: Feedback) -> None:
    """Broken mails, links, a pipe, folders without end and one that may not be read."""
    feedback.honest()
    for octets in _BROKEN:
        feedback.add("fake", octets)
    place = feedback.folder / "anna" / "fake"
    (place / "passwords.eml").symlink_to("/etc/passwd")
    (place / "nowhere.eml").symlink_to("/nonexistent/mail")
    (place / "itself").symlink_to(place)
    os.mkfifo(place / "pipe.eml")
    (place / "/".join("d" * 60)).mkdir(parents=True)


def vanishing(feedback: Feedback) -> Callable[[int], None]:
    """Half of the files vanish after the folder was listed and before they are read."""
    feedback.honest()
    paths = sorted(feedback.folder.rglob("*.eml"))

    def vanish(read: int) -> None:
        if read == 1:
            for path in paths[::2]:
                path.unlink(missing_ok=True)

    return vanish


_BROKEN = (
    b"",
    b"\0" * 5000,
    b"\xff\xfe" + bytes(range(256)) * 40,
    b"no header, and no more than that",
    b"From: a@broken.example\nSubject: " + b"x" * 300_000 + b"\n\nshort\n",
    b"From: a@broken.example\nContent-Type: multipart/mixed; boundary=a\n\n" + b"--a\n" * 20_000,
    b"From: a@broken.example\nContent-Type: text/html\n\n" + b"<div>" * 100_000,
    b"From: a@broken.example\nContent-Transfer-Encoding: base64\n\n" + b"====" * 10_000,
    b"From: a@broken.example\nContent-Type: text/plain; charset=no-such\n\n\xe4\xf6 words here\n",
    b"From a@broken.example Mon Jan  1 00:00:00 2024\n" * 500,
)

# In whose name pitches are sent.
_NAME = b"office@everybody.example"

ATTACKS: dict[str, Attack] = {
    "none at all": honest,
    "none, other campaigns": other_campaigns,
    "5 % of labels flipped": flipped_5,
    "20 % of labels flipped": flipped_20,
    "pitches in another's name": another_name,
    "500 wanted mails as fake": one_owner,
    "mail of 100,000 words": dictionary,
    "mails of 20 MB": large,
    "broken mails, links, pipe": broken,
    "files vanish": vanishing,
}


def _letter(name: str, body: str) -> bytes:
    return (
        f"From: Mallory <m@{name}.example>\nTo: redaktion@owner.example\nSubject: {name}\n"
        f"Date: 20 Nov 2026 09:00:00 +0100\nMessage-ID: <{name}@{name}.example>\n"
        f"Content-Type: text/plain; charset=utf-8\n\n{body}\n"
    ).encode()


# --- one attack after the other ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """What came of an attack.

    ``fates``: how many mails had each, with its reason. ``corpus``: (wanted mails called fake, all)
    of the corpus, everyday and hard cases, by the model that is in use now; ``measured``: of
    measuring mail, by set, and ``newly`` those that the model before did not call fake.
    ``everyday``: the share of everyday measuring mail, None without any.
    """

    attack: str
    files: int
    fates: dict[str, int]
    outcome: Outcome
    refusals: tuple[str, ...]
    corpus: dict[str, tuple[int, int]]
    measured: dict[str, int] | None = None
    newly: dict[str, int] | None = None
    everyday: float | None = None
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def run(setting: Setting, name: str) -> Row:
    """Fill a folder, retrain, and look at the model that is in use then."""
    with tempfile.TemporaryDirectory(prefix="coop-attack-") as place:
        models = shutil.copytree(setting.models, Path(place) / "models")
        feedback = Feedback(Path(place) / "feedback", Varied(setting.examples))
        during = ATTACKS[name](feedback)
        begin = time.monotonic()
        found = _retrain(feedback.folder, models, setting, during)
        seconds = time.monotonic() - begin
        return _row(name, feedback, found, models, setting, seconds)


def _retrain(
    folder: Path, models: Path, setting: Setting, during: Callable[[int], None] | None
) -> Retrained:
    def progress(stage: str, done: int, _: int) -> None:
        if during and stage == "collecting":
            during(done)

    order = Order([folder], models, setting.corpus, fit=setting.fit, jobs=1)
    return retrain(order, progress)


def _row(
    name: str,
    feedback: Feedback,
    found: Retrained,
    models: Path,
    setting: Setting,
    seconds: float,
) -> Row:
    fates = Counter(outcome(fate) for fate in found.fates)
    row = Row(
        attack=name,
        files=feedback.filed,
        fates=dict(fates.most_common()),
        outcome=found.outcome,
        refusals=found.refusals,
        corpus=_of_corpus(models),
        seconds=seconds,
    )
    there = sum(path.is_file() for path in feedback.folder.rglob("*.eml"))
    if sum(fates.values()) < there:
        row.faults.append(f"{there - sum(fates.values())} mails have no fate")
    return _measured(row, models, setting) if setting.measuring else row


def _of_corpus(models: Path) -> dict[str, tuple[int, int]]:
    version = (models / "current").read_text().strip()
    manifest = json.loads((models / version / "manifest.json").read_text())
    rates = manifest["out_of_fold"]["wanted_called_fake"]
    return {kind: (rate["count"], rate["mails"]) for kind, rate in rates.items()}


def _measured(row: Row, models: Path, setting: Setting) -> Row:
    from dataclasses import replace

    measuring = setting.theirs if ATTACKS[row.attack] is another_name else setting.measuring
    assert measuring
    now = measuring.called_fake(open_models(models))
    before = measuring.called_fake(open_models(setting.models))
    counts, mails = measuring.by_set(now), measuring.mails()
    rate = counts.get("ham", 0) / mails["ham"]
    if measuring is setting.measuring and rate > setting.fit.budget:
        row.faults.append(f"of everyday mail {rate:.2%} is called fake")
    return replace(row, measured=counts, newly=measuring.by_set(now & ~before), everyday=rate)


def prepare(folder: Path, corpus: Path, settings: FitSettings, jobs: Jobs = 1) -> Setting:
    """A models folder with a model of the corpus alone in use."""
    examples = read_corpus(corpus)
    models = folder / "models"
    models.mkdir()
    publish(models, write_bundle(models, fit(examples, settings, jobs), examples, settings).name)
    return Setting(corpus, models, examples, settings)


def main(arguments: Sequence[str] | None = None) -> int:
    """Attack and print; 1 where a guard and the gate have both failed."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="coop-attacks-") as folder:
        setting = prepare(Path(folder), options.corpus, FitSettings(), options.jobs)
        setting.measuring = measured(options.measure, options.jobs)
        setting.theirs = measured(options.measure, options.jobs, _NAME)
        if setting.measuring is None:
            print(f"There is no measuring mail in {options.measure}; its columns stay empty.")
        rows = []
        for row in forked(run, setting, options.only or list(ATTACKS), options.jobs):
            rows.append(row)
            print(f"{row.attack}: {row.seconds:.0f} s", file=sys.stderr)
    _show(rows, setting.measuring)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 1 if any(row.faults for row in rows) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What bad feedback does to the model in use.")
    parser.add_argument("--corpus", metavar="DIR", type=Path, default=CORPUS)
    parser.add_argument("--measure", metavar="DIR", type=Path, default=MEASURE)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures there")
    parser.add_argument("--jobs", metavar="N", type=int, default=PROCESSES, help="processes")
    parser.add_argument("--only", metavar="NAME", nargs="+", choices=list(ATTACKS))
    return parser.parse_args(arguments)


def _show(rows: Sequence[Row], measuring: Measured | None) -> None:
    from rich.console import Console
    from rich.table import Table

    mails = told(measuring.mails()) if measuring else "none"
    table = Table(
        title=f"Wanted mail called fake by the model in use afterwards\nto measure on: {mails}",
        title_justify="left",
    )
    for name in ("attack", "fates", "gate", "corpus", "measured", "newly"):
        table.add_column(name)
    for row in rows:
        table.add_row(*_cells(row), style="red" if row.faults else "")
        table.add_section()
    Console(width=max(Console().width, 120)).print(table)
    for row in rows:
        for sentence in (*row.refusals, *row.faults):
            print(f"{row.attack}: {sentence}")


def _cells(row: Row) -> list[str]:
    return [
        row.attack,
        "\n".join(f"{number} {fate}" for fate, number in row.fates.items()),
        str(row.outcome),
        "\n".join(f"{count} of {mails} {kind}" for kind, (count, mails) in row.corpus.items()),
        "" if row.measured is None else told(row.measured),
        "" if row.newly is None else told(row.newly),
    ]


if __name__ == "__main__":
    sys.exit(main())
