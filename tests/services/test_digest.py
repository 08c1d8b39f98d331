"""A digest goes through a real Postfix into the mailbox of the one whose mail is held."""

from __future__ import annotations

import re
import time
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from harness.postfix import running_postfix

from milter import cli
from milter.digest.links import Links
from milter.quarantine.store import Quarantine
from milter.smtp.command import Address
from milter.smtp.envelope import Envelope
from milter.spam.verdict import Judgement, Score, Verdict

pytestmark = pytest.mark.postfix

ANNA = "anna@example.net"
SUBJECT = "=?utf-8?b?S29vcGVyYXRpb24g4oCTIGh0dHBzOi8vZXZpbC5leGFtcGxlLw==?="
MAIL = f"From: Max <max@example.com>\r\nSubject: {SUBJECT}\r\n\r\nDear webmaster\r\n"


def hold(folder: Path) -> str:
    """One mail held for Anna; its id."""
    quarantine = Quarantine(folder)
    quarantine.prepare()
    to = [Address(f"<{ANNA}>".encode(), b"")]
    judgement = Judgement(Verdict.FAKE, "m-1", Score(0.97, 0.02, 0.01))
    envelope = Envelope(Address(b"<max@example.com>", b""), to)
    batch = quarantine.hold([MAIL.encode("ascii")], envelope, to, judgement)
    batch.commit()
    return batch.ids[0]


def test_a_digest_arrives(tmp_path: Path) -> None:
    item = hold(tmp_path / "quarantine")
    config = tmp_path / "settings.toml"
    with running_postfix("before-queue") as postfix:
        config.write_text(
            f"[filter]\nnext_hop = '127.0.0.1:{postfix.behind_port}'\n"
            f"[quarantine]\nfolder = '{tmp_path / 'quarantine'}'\n"
            f"[review]\nstate = '{tmp_path / 'review'}'\nurl = 'https://mail.example.net/held'\n"
            "[digest]\nenabled = true\nsender = 'coop@example.net'\n"
        )
        assert cli.main(["digest", "--config", str(config)]) == cli.OK
        (octets,) = postfix.wait_for_mails(1)
    assert octets.startswith(b"Return-Path: <>")  # nobody gets its bounce
    mail = message_from_bytes(octets, policy=policy.default)
    assert (mail["Delivered-To"], mail["To"]) == (ANNA, ANNA)
    assert mail["Auto-Submitted"] == "auto-generated"
    body = mail.get_body(("plain",))
    assert body
    text = body.get_content()
    assert "Kooperation – https[:]//evil[.]example/" in text
    (token,) = re.findall(r"https://mail\.example\.net/held/link/([\w-]+)", text)
    link = Links.kept_in(tmp_path / "review").read(token, time.time())
    assert link
    assert (link.item, link.recipient) == (item, ANNA)
