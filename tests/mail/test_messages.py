"""Mails that are odd in one way each, and what a reader sees of them.

``messages/expected.toml`` says for each mail: ``why`` it is here, its ``subject``, text that must
be ``seen`` in subject or body and text that must be ``unseen`` there, and what is kept apart as
``quoted`` or ``hidden``.

``COOP_REWRITE_EXPECTED=1 pytest tests/mail/test_messages.py`` writes that file anew: subjects as
they are read now, without the texts that no longer come out as they should, and with the first
lines of mails that are new. Read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from milter.mail.folder import as_content
from milter.mail.text import MailText, read_text

FOLDER = Path(__file__).with_name("messages")
EXPECTED = FOLDER / "expected.toml"
COMMENT = (
    "# What is to be read from each mail beside this file; "
    "tests/mail/test_messages.py explains the keys.\n"
)
REWRITE = bool(os.environ.get("COOP_REWRITE_EXPECTED"))
NAMES = sorted(path.stem for path in FOLDER.glob("*.eml"))


def read(name: str) -> MailText:
    return read_text(as_content((FOLDER / f"{name}.eml").read_bytes()))


def expected() -> dict[str, dict[str, Any]]:
    return tomllib.loads(EXPECTED.read_text(encoding="utf-8"))


@pytest.mark.skipif(REWRITE, reason="the expectations are being rewritten")
@pytest.mark.parametrize("name", NAMES)
def test_what_is_read(name: str) -> None:
    mail, wanted = read(name), expected()[name]
    own = f"{mail.subject}\n{mail.body}"
    assert mail.subject == wanted["subject"], wanted["why"]
    assert [text for text in wanted.get("seen", []) if text not in own] == [], wanted["why"]
    assert [text for text in wanted.get("unseen", []) if text in own] == [], wanted["why"]
    for kept_apart in ("quoted", "hidden"):
        missing = [t for t in wanted.get(kept_apart, []) if t not in getattr(mail, kept_apart)]
        assert missing == [], wanted["why"]


@pytest.mark.parametrize("name", NAMES)
def test_text_has_lf_line_ends(name: str) -> None:
    """``MailText`` promises it, and the patterns that look for lines rely on it."""
    mail = read(name)
    assert "\r\n" not in mail.subject + mail.body + mail.quoted + mail.hidden


def test_every_mail_has_an_expectation_and_a_reason() -> None:
    wanted = expected()
    assert sorted(wanted) == NAMES
    assert all(entry["why"].endswith((".", ")")) for entry in wanted.values())


@pytest.mark.skipif(not REWRITE, reason="only where COOP_REWRITE_EXPECTED asks for it")
def test_rewrite_expectations() -> None:
    old = expected()
    tables = [_table(name, _as_read(read(name), old.get(name, {}))) for name in NAMES]
    EXPECTED.write_text(COMMENT + "".join(tables), encoding="utf-8")


def _as_read(mail: MailText, old: dict[str, Any]) -> dict[str, Any]:
    own = f"{mail.subject}\n{mail.body}"
    return {
        "why": old.get("why", "TODO."),
        "subject": mail.subject,
        "seen": [
            text for text in old.get("seen", mail.body.split("\n")[:3]) if text and text in own
        ],
        "unseen": [text for text in old.get("unseen", []) if text not in own],
        "quoted": [text for text in old.get("quoted", []) if text in mail.quoted],
        "hidden": [text for text in old.get("hidden", []) if text in mail.hidden],
    }


def _table(name: str, entry: dict[str, Any]) -> str:
    # JSON's texts and lists of texts are TOML's too.
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in entry.items()
        if value or key == "subject"
    ]
    return f"\n[{name}]\n" + "\n".join(lines) + "\n"
