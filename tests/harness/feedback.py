"""Feedback folders for tests: mails with texts of their own, put where owners would put them."""

from __future__ import annotations

import os
import random
from pathlib import Path

from training.feedback.collect import collect
from training.feedback.mails import Collected, Fate
from training.feedback.settings import FeedbackSettings

_WORDS = (
    "garten beitrag werkstatt link seite leser abend montag preis holz papier buch text frage "
    "antwort bild farbe weg stadt fluss kaffee stuhl lampe brief woche monat jahr haus tür tisch"
).split()


def prose(number: int, words: int = 60) -> str:
    """A text that shares no run of eight words with that of another number."""
    chosen = random.Random(number).choices(_WORDS, k=words)
    return "\n".join(" ".join(chosen[at : at + 10]) for at in range(0, words, 10))


def letter(number: int, body: str = "", sender: str = "", **fields: str) -> bytes:
    """A mail of its own, LF lines. ``fields`` replace those of the header or come on top."""
    header = {
        "From": sender or f"Writer <writer@site{number}.example>",
        "To": "owner@home.example",
        "Subject": f"Anfrage Nummer {number}",
        "Date": "Mon, 12 Jan 2026 09:00:00 +0100",
        "Message-ID": f"<{number}@site.example>",
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"{name}: {value}" for name, value in header.items() if value]
    return ("\n".join(lines) + "\n\n" + (body or prose(number)) + "\n").encode()


def put(path: Path, octets: bytes, moved: float = 1_700_000_000) -> Path:
    """Write a file that came there at ``moved``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(octets)
    os.utime(path, (moved, moved))
    return path


def maildir(folder: Path, *mails: bytes, moved: float = 1_700_000_000, flags: str = "S") -> Path:
    """A Maildir with ``mails`` in it; the last one's file."""
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    path = folder
    for octets in mails:
        name = f"{moved:.0f}.M{len(list((folder / 'cur').iterdir()))}P1.host,S=1:2,{flags}"
        path = put(folder / "cur" / name, octets)
    return path


def mbox(*mails: bytes) -> bytes:
    """The octets of an mbox file."""
    line = b"From writer@site.example Mon Jan 12 09:00:00 2026\n"
    return b"".join(line + octets.replace(b"\nFrom ", b"\n>From ") + b"\n" for octets in mails)


def collected(*folders: Path, force: bool = False, **settings: object) -> Collected:
    """What is collected from folders with some settings changed."""
    # The settings check their own types; a test passes whatever one of them takes.
    return collect(folders, FeedbackSettings(**settings), force=force)  # type: ignore[arg-type]


def learned(found: Collected) -> list[tuple[str, str]]:
    """Message-ID and label of each mail to learn, in order."""
    return sorted((mail.message_id, mail.label) for mail in found.mails)


def fates(found: Collected) -> list[str]:
    """Outcome and reason of each fate, in order."""
    return sorted(outcome(fate) for fate in found.fates)


def outcome(fate: Fate) -> str:
    """``refused/conflict``, or the outcome alone."""
    return "/".join(filter(None, (fate.outcome, fate.reason)))
