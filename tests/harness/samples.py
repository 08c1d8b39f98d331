"""A quarantine as it looks after a month: pitches in two languages, held, released and deleted."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import time
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from unittest.mock import patch

from harness.page import settings_text
from harness.review import ANNA, BEN, desk_in

from milter.quarantine.feedback import file_feedback
from milter.quarantine.item import State
from milter.quarantine.query import Query
from milter.review.desk import Desk
from milter.seen import Index
from milter.smtp.command import Address
from milter.smtp.envelope import Envelope
from milter.smtp.reply import Reply
from milter.spam.action import Action, header_fields
from milter.spam.bundle import Bundle, open_models
from milter.spam.judge import judge_content
from milter.spam.verdict import Judgement, Verdict

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "models"
_DAY = 86400.0
_TAKEN = Reply.of(250, "2.0.0", "taken")
# How the last retrain ended, as the page about the model tells it.
_REFUSED = {
    "outcome": "refused",
    "version": "",
    "refusals": ["campaigns of text-only calls: 3 of 41 are found, the model in use finds 5"],
}


@dataclass(frozen=True)
class Sample:
    """The settings file, and the ids of a mail in English, one in German, and a released one.

    ``english`` has been filed as genuine; all three are anna's.
    """

    config: Path
    desk: Desk
    english: str
    german: str
    released: str


def sample_in(folder: Path) -> Sample:
    """Fill a quarantine below ``folder``: anna has more than a page of mails, ben a few."""
    models = _models_with_a_past(folder / "models")
    desk = desk_in(folder, model={"folder": str(models)})
    config = folder / "coop.toml"
    config.write_text(settings_text(folder) + f'[model]\nfolder = "{models}"\n')
    english, german = [_held_over_a_month(desk, language) for language in ("en", "de")]
    _some_went_through(desk, folder / "index")
    for item in english[-3:]:
        desk.quarantine.delete(item, "anna")
    for item in german[-4:]:
        asyncio.run(desk.quarantine.release(item, desk.ways.onward(), "anna"))
    content = desk.quarantine.content(english[0])
    file_feedback(folder / "feedback", ANNA, english[0], "genuine", content)
    return Sample(config, desk, english[0], german[0], german[-1])


def ids(desk: Desk, recipient: str = ANNA) -> list[str]:
    """The items that are held for ``recipient``, newest first."""
    return [item.id for item in desk.quarantine.find(Query(recipients=(recipient,))).items]


def _held_over_a_month(desk: Desk, language: str) -> list[str]:
    """Hold mails of the corpus in one language; the ids of anna's."""
    chance = random.Random(language)
    now, of_anna = time.time(), []
    for number, (path, judgement) in enumerate(_judged(language)):
        ago = chance.triangular(0, 28 * _DAY, 2 * _DAY) if number else 600.0
        recipient = BEN if number % 9 == 4 else ANNA
        with patch("time.time", return_value=now - ago):  # the one way to a mail of last week
            item = _hold(desk, path.read_bytes(), recipient, judgement)
        if recipient == ANNA:
            of_anna.append(item)
    return of_anna


def _hold(desk: Desk, octets: bytes, recipient: str, judgement: Judgement) -> str:
    to = Address(f"<{recipient}>".encode(), b"")
    envelope = Envelope(
        Address(b"<bounces@mailings.example>", b""), [to], client="mail.mailings.example"
    )
    content = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    state = State.HELD if judgement.verdict is Verdict.FAKE else State.DEFERRED
    batch = desk.quarantine.hold(
        [*header_fields(judgement), content], envelope, [to], judgement, state
    )
    batch.commit()
    return batch.ids[0]


def _judged(language: str) -> list[tuple[Path, Judgement]]:
    """Mails and what the model says of them: one of the demo, then of the corpus a kind each."""
    demo = ROOT / "deploy/demo" / {"de": "1-fake-de.eml", "en": "2-fake-en.eml"}[language]
    found = [(demo, judge_content(demo.read_bytes(), _bundle(), 10))]
    for label, most in (("fake", 34), ("genuine", 3), ("none", 3)):
        kinds = sorted((ROOT / "training/corpus" / label / language).iterdir())
        for kind in islice(kinds, most):
            path = min(kind.glob("*.eml"))
            found.append((path, judge_content(path.read_bytes(), _bundle(), 10)))
    return found


@cache
def _bundle() -> Bundle:
    return open_models(SHIPPED, "current")


def _some_went_through(desk: Desk, folder: Path) -> None:
    index = Index(folder, 1 << 20)
    actions = (Action.TAG, Action.TAG_SUBJECT, Action.QUARANTINE)
    for number, (path, judgement) in enumerate(_judged("en")[::3]):
        digests = index.digests(path.read_bytes(), [ANNA])
        index.record(f"{number:x}a7f3c0e91b2", digests, judgement, _TAKEN, [actions[number % 3]])


def _models_with_a_past(folder: Path) -> Path:
    """The shipped models, and one that was in use before; a retrain that came to nothing."""
    shutil.copytree(SHIPPED, folder)
    version = (folder / "current").read_text().strip()
    older = "2026.11.02-1c0ffee"
    shutil.copytree(folder / version, folder / older)
    lines = f"{older} 2026-11-02T09:30:00+00:00\n{version} 2026-11-20T07:15:00+00:00\n"
    (folder / "history").write_text(lines)
    (folder / "retrain.json").write_text(json.dumps(_REFUSED))
    (folder / "retrain.html").write_text("<!DOCTYPE html><title>Report</title>")
    return folder
