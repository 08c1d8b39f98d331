"""The mails of the comparison as files that all filters read: the corpus, and measuring mail.

Measuring mail is other people's: it is unpacked into the comparison's own folder, which goes when
the comparison ends, and nothing of it is printed or learned.
"""

from __future__ import annotations

import json
import tarfile
from email.header import Header
from pathlib import Path
from typing import Any

from bench.filters.peer import Mail

from milter.mail.folder import as_content
from milter.mail.text import read_text
from training.data import read_corpus

# Sets of measure.tar.gz; none of them holds pitches. The fourth, of malformed mails, tests readers.
_SETS = ("ham", "ham_hard", "spam")
# pitches.jsonl has three labels; a set is named for what it is to a filter.
_PITCHES = {"fake": "pitches", "genuine": "genuine", "none": "look-alikes"}

_MINIMAL = """\
From: <sender@example.org>
To: <owner@example.net>
Subject: {subject}
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

{body}
"""


def corpus_mails(corpus: Path, into: Path) -> list[Mail]:
    """The corpus, copied octet for octet, so that it may go on growing meanwhile."""
    into.mkdir()
    mails = []
    for number, example in enumerate(read_corpus(corpus)):
        path = into / f"{number}.eml"
        path.write_bytes((corpus / example.name).read_bytes())
        mails.append(Mail(path, example.label, example.language, example.group))
    return mails


def measuring_mails(folder: Path, into: Path) -> list[Mail]:
    """Sets and pitches of ``folder``; see the README there."""
    into.mkdir()
    with tarfile.open(folder / "measure.tar.gz") as archive:
        archive.extractall(into, filter="data")
    rows = _objects(folder / "manifest.jsonl")
    sets = [_of_a_set(row, into) for row in rows if row["set"] in _SETS]
    pitches = enumerate(_objects(folder / "pitches.jsonl"))
    return [_of_a_pitch(row, into / f"pitch-{number}.eml") for number, row in pitches] + sets


def reduce_to_text(mail: Mail) -> None:
    """Leave of a mail only what its reader sees, behind a minimal header.

    Filters for spam learn from every header field. Those of the corpus were written with it, and
    those of measuring mail are partly lost; this shows what the fields do to the figures.
    """
    text = read_text(as_content(mail.path.read_bytes()))
    mail.path.write_bytes(minimal_mail(text.subject, f"{text.body}\n{text.quoted}"))


def _objects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _of_a_set(row: dict[str, Any], into: Path) -> Mail:
    """A mail as it is; one that was kept as text alone gets the header that it needs to be one."""
    path = into / row["file"]
    if not row.get("has_headers", True):
        path.write_bytes(minimal_mail(*_subject_and_body(_text(path.read_bytes()))))
    return Mail(path, "none", row["lang"], row["set"])


def _of_a_pitch(row: dict[str, Any], path: Path) -> Mail:
    path.write_bytes(minimal_mail(row["subject"] or "", row["body"]))
    return Mail(path, row["label"], row["lang"], _PITCHES[row["label"]])


def minimal_mail(subject: str, body: str) -> bytes:
    """A text as a mail with next to no header: nothing in it says where the text is from."""
    field = Header(" ".join(subject.split()), "utf-8").encode() if subject else ""
    return _MINIMAL.format(subject=field, body=body.replace("\r\n", "\n")).encode()


def _subject_and_body(text: str) -> tuple[str, str]:
    """Some texts kept the one line of their header that is not about their way."""
    first, _, rest = text.partition("\n")
    return (first[len("Subject:") :], rest) if first.startswith("Subject:") else ("", text)


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")
