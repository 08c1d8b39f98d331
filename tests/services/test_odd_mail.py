"""Odd and malformed mails come through Postfix and the filter as through Postfix alone.

The mails are other people's and not part of this project: where the folder with them is not beside
the checkout, there is nothing to test with.
"""

from __future__ import annotations

import re
import smtplib
import tarfile
from pathlib import Path

import pytest
from harness.filter import running_filter
from harness.postfix import Postfix, running_postfix

from milter.mail.folder import as_content
from milter.smtp.data import encode

pytestmark = pytest.mark.postfix

ARCHIVE = Path(__file__).resolve().parents[3] / "shared" / "mail" / "measure.tar.gz"
# What Postfix and the filter add on the way, and the mark by which a mail is known again.
_ADDED = re.compile(
    rb"^(?:Return-Path|Delivered-To|X-Original-To|Received|X-Coop-Verdict|X-Coop-Clues):"
    rb"[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.MULTILINE,
)
# What Postfix makes up for a mail that lacks it: another one each time.
_MADE_UP = re.compile(
    rb"^(?:Message-Id: <\w+\.\w+@mx\.example\.test>|Date: .*\(UTC\))\n", re.MULTILINE
)
_MARK = re.compile(rb"^X-Test: (\S+)\n", re.MULTILINE)


def odd_mails() -> dict[bytes, bytes]:
    """The mails by number, as content (CRLF lines)."""
    # Other people's mail is no part of the project: without it there is nothing to send.
    if not ARCHIVE.is_file():
        pytest.skip(f"{ARCHIVE} is not there: no odd mails to send")
    with tarfile.open(ARCHIVE) as archive:
        files = [archive.extractfile(m) for m in archive if "mime_odd/" in m.name and m.isfile()]
        mails = [as_content(file.read()) for file in files if file]
    whole = [mail if mail.endswith(b"\r\n") else mail + b"\r\n" for mail in mails]
    return {b"%d" % number: mail for number, mail in enumerate(whole)}


def send(port: int, way: bytes, mails: dict[bytes, bytes]) -> set[bytes]:
    """Send all mails to ``port``, marked; the numbers that were taken."""
    taken = set()
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        client.ehlo()
        for number, mail in mails.items():
            if way == b"alone":  # as Postfix tells the listener through the filter
                client.docmd("XFORWARD SOURCE=LOCAL")
            client.docmd("MAIL FROM:<a@example.org>")
            client.docmd("RCPT TO:<owner@example.net>")
            client.docmd("DATA")
            client.send(encode(b"X-Test: %s-%s\r\n" % (way, number) + mail))
            if client.getreply()[0] == 250:
                taken.add(number)
    return taken


def by_mark(postfix: Postfix, count: int) -> dict[bytes, bytes]:
    """What arrived, by mark, without what was added before the mark."""
    arrived = {}
    for mail in postfix.wait_for_mails(count):
        mark = _MARK.search(mail)
        assert mark
        added, own = mail[: mark.start()], mail[mark.end() :]
        assert _ADDED.sub(b"", added) == b""
        assert added.count(b"X-Coop-Verdict:") == mark[1].startswith(b"filtered")
        arrived[mark[1]] = _MADE_UP.sub(b"", own)
    return arrived


def test_odd_mails_are_left_as_they_are(tmp_path: Path) -> None:
    mails = odd_mails()
    assert len(mails) > 400
    with (
        running_postfix("before-queue") as postfix,
        running_filter(
            tmp_path,
            "",
            "--next-hop",
            f"127.0.0.1:{postfix.behind_port}",
            port=postfix.filter_port,
        ) as judge,
    ):
        filtered = send(postfix.port, b"filtered", mails)
        alone = send(postfix.behind_port, b"alone", mails)
        assert filtered == alone
        arrived = by_mark(postfix, len(filtered) + len(alone))
        assert "Traceback" not in judge.log
    assert len(filtered) > 400
    for number in filtered:
        assert arrived[b"filtered-" + number] == arrived[b"alone-" + number]
