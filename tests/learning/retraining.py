"""What the tests of retraining share: a small corpus, feedback folders, a model in use."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from training.data import read_corpus
from training.feedback.settings import FeedbackSettings
from training.fit import FitSettings, fit
from training.jobs import Jobs
from training.publish import publish, write_bundle
from training.retrain import Order, Retrained, retrain

WHOLE = Path(__file__).resolve().parents[2] / "training" / "corpus"
# Every so many mails of the corpus: quick to fit, and all labels and many themes are in it.
_EVERY = 6
# In so few mails one in a thousand is not to be seen: thresholds would be those of a single mail.
SETTINGS = FitSettings(budget=0.02, unsure_budget=0.05)
FILES = ("bundle.json", "manifest.json", "weights.npz")
# A pitch that the corpus does not have, in three wordings of each sentence.
_PITCH = (
    ("für unser Sammelheft suchen wir Motive", "unser Verlag druckt bald Klebebilder"),
    ("Ihre Zeichnungen haben es der Jury angetan", "die Jury hat Ihre Bilder ausgewählt"),
    ("senden Sie uns die Dateien in Druckauflösung", "schicken Sie die Vorlagen als PDF"),
    ("genannt werden alle Zeichner auf der letzten Seite", "Ihr Name steht auf der Rückseite"),
    ("der Abgabetermin ist schon am Monatsende", "wir brauchen alles binnen zehn Tagen"),
)


def make_corpus(folder: Path) -> Path:
    """A part of the corpus, copied."""
    for path in sorted(WHOLE.glob("*/*/*/*.eml"))[::_EVERY]:
        place = folder / path.relative_to(WHOLE)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return folder


def make_models(folder: Path, corpus: Path) -> Path:
    """A models folder with a model of the corpus alone in use."""
    examples = read_corpus(corpus)
    version = write_bundle(folder, fit(examples, SETTINGS), examples, SETTINGS).name
    publish(folder, version)
    return folder


def pitch(number: int, day: str = "Mon, 2 Nov 2026") -> bytes:
    """The sibling with this number."""
    chance = random.Random(number)
    said = [chance.choice(wordings) for wordings in _PITCH]
    chance.shuffle(said)
    return (
        f"From: Album {number} <a@album{number}.example>\r\nTo: b@site.example\r\n"
        f"Subject: Sammelheft {number}\r\nDate: {day} 10:00:00 +0000\r\n"
        f"Message-ID: <album{number}@x.example>\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
        f"Guten Tag,\r\n{'. '.join(said)}. Heft {number}.\r\n"
    ).encode()


def wanted_mail() -> bytes:
    """A wanted mail that the part of the corpus does not have; nothing in it is like a pitch."""
    return (
        b"From: Praxis <praxis@zahnarzt.example>\r\nTo: b@site.example\r\n"
        b"Subject: Ihr Termin am Donnerstag\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
        b"Message-ID: <termin@zahnarzt.example>\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
        b"Guten Tag Frau Weber,\r\nam Donnerstag um 9 Uhr haben Sie bei uns einen Termin zur "
        b"Kontrolle. Bitte bringen Sie Ihre Karte mit und sagen Sie rechtzeitig ab, wenn Sie "
        b"nicht kommen. Die Rechnung vom letzten Mal ist bezahlt, vielen Dank.\r\n"
        b"Ihre Praxis\r\n"
    )


def file_mail(folder: Path, label: str, name: str, content: bytes, moved: float = 1.8e9) -> Path:
    """Put a mail into a feedback folder; ``moved`` is its file's time."""
    place = folder / label
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{name}.eml"
    path.write_bytes(content)
    os.utime(path, (moved, moved))
    return path


def file_pitches(folder: Path, numbers: range) -> Path:
    """Siblings filed as fake, one a day."""
    for number in numbers:
        file_mail(folder, "fake", str(number), pitch(number), 1.8e9 + 86400 * number)
    return folder


def run(feedback: Path, models: Path, corpus: Path, jobs: Jobs = 1, **more: bool) -> Retrained:
    """Retrain as the command does, with another budget."""
    order = Order([feedback], models, corpus, FeedbackSettings(), SETTINGS, jobs=jobs, **more)
    return retrain(order, lambda *_: None)


def octets(models: Path, version: str) -> dict[str, bytes]:
    """The files of a bundle."""
    return {name: (models / version / name).read_bytes() for name in FILES}
