"""The mail that was meant: out of its envelope, without what was written on it, and its key."""

from __future__ import annotations

import base64
import random
import time
from pathlib import Path

import pytest
from harness.feedback import collected, fates, learned, letter, prose, put

from milter.mail.folder import as_content
from training.feedback.canonical import canonical, key
from training.feedback.unwrap import unwrapped

ONE = [("1@site.example", "fake")]


def envelope(*parts: bytes, kind: str = "mixed") -> bytes:
    """A mail with MIME parts (headers included)."""
    body = b"".join(b"--b1\n" + part + b"\n" for part in parts) + b"--b1--\n"
    return letter(900, body=body.decode(), Content_Type=f'multipart/{kind}; boundary="b1"')


def attached(octets: bytes, kind: str = "message/rfc822", more: str = "") -> bytes:
    return f"Content-Type: {kind}\n{more}\n".encode() + octets


NOTE = b"Content-Type: text/plain\n\nNoch so eine.\n\n-- \nAnna Sommer\nPapierladen"
HTML = b"Content-Type: text/html\n\n<html><body><p>Noch so eine.</p></body></html>"
IMAGE = b"Content-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo="


@pytest.mark.parametrize(
    "octets",
    [
        envelope(NOTE, attached(letter(1))),
        envelope(NOTE, IMAGE, attached(letter(1))),
        envelope(HTML, attached(letter(1), more="Content-Disposition: attachment\n")),
        envelope(attached(letter(1))),
        envelope(b"Content-Type: text/plain\n\n", attached(letter(1))),
        letter(900, body=letter(1).decode(), Content_Type="message/rfc822"),
        envelope(NOTE, attached(envelope(NOTE, attached(letter(1))).replace(b"b1", b"b2"))),
        envelope(
            NOTE,
            attached(
                letter(1), "application/octet-stream", 'Content-Disposition: x; filename="a.EML"\n'
            ),
        ),
        envelope(
            attached(base64.encodebytes(letter(1)), more="Content-Transfer-Encoding: base64\n")
        ),
    ],
)
def test_a_forwarded_mail_is_the_one_inside(tmp_path: Path, octets: bytes) -> None:
    put(tmp_path / "fake" / "direct.eml", letter(1))
    put(tmp_path / "fake" / "forwarded.eml", octets)
    found = collected(tmp_path)
    assert learned(found) == ONE
    assert fates(found) == ["known/duplicate", "learned"]


def test_several_mails_in_one_envelope(tmp_path: Path) -> None:
    put(tmp_path / "fake" / "f.eml", envelope(NOTE, attached(letter(1)), attached(letter(2))))
    found = collected(tmp_path)
    assert learned(found) == [("1@site.example", "fake"), ("2@site.example", "fake")]
    assert [fate.source[-8:] for fate in found.fates] == ["/f.eml/1", "/f.eml/2"]


def test_more_mails_than_are_looked_at_are_told(tmp_path: Path) -> None:
    put(tmp_path / "fake" / "f.eml", envelope(*[attached(letter(n)) for n in range(150)]))
    assert fates(collected(tmp_path)) == ["unreadable/too-large"]


@pytest.mark.parametrize(
    "octets",
    [
        envelope(b"Content-Type: text/plain\n\n" + prose(5, 120).encode(), attached(letter(1))),
        envelope(NOTE, attached(letter(1)), b"Content-Type: application/pdf\n\n%PDF-1.4"),
        envelope(NOTE, b"Content-Type: message/delivery-status\n\nX: y\n", attached(letter(1))),
        envelope(NOTE, attached(b"no header in here, just words\n")),
        envelope(letter(1), letter(2), kind="digest"),
        letter(5, body="See the attachment pitch.eml please"),
    ],
)
def test_a_mail_with_something_of_its_own_stays(octets: bytes) -> None:
    content = as_content(octets)
    assert unwrapped(content) == [content]


def test_no_deeper_than_three() -> None:
    content = as_content(letter(1))
    for _ in range(5):
        content = as_content(letter(9, body=content.decode(), Content_Type="message/rfc822"))
    (inner,) = unwrapped(content)
    assert inner.count(b"message/rfc822") == 2


OTHER_WAYS = {
    "received": b"Received: from a by b;\n\tMon, 12 Jan 2026 09:00:00 +0100\n" + letter(1),
    "delivered": b"Return-Path: <w@site1.example>\nDelivered-To: x@y.example\n" + letter(1),
    "verdict": b"X-Coop-Verdict: fake; score=0.99;\n asks=link\nX-Coop-Clues: a (+1)\n" + letter(1),
    "forged": b"x-coop-verdict \n : none\n" + letter(1),
    "results": b"Authentication-Results: mx; dkim=pass\nX-Spam-Status: No\n" + letter(1),
    "dovecot": b"X-Sieve: Pigeonhole\nX-Dovecot-Any: 1\nStatus: RO\nX-UID: 5\n" + letter(1),
    "from-line": b"From w@site1.example Mon Jan 12 09:00:00 2026\n" + letter(1),
    "blank-lines": letter(1) + b"\n\r\n \n",
    "crlf": letter(1).replace(b"\n", b"\r\n"),
    "folded": letter(1).replace(b"Anfrage Nummer", b"Anfrage\n Nummer"),
    "tag": letter(1).replace(b"Subject: ", b"Subject: [Kooperation?] "),
    "two-tags": letter(1).replace(b"Subject: ", b"Subject:[Kooperation?] [KOOPERATION?] "),
    "encoded-tag": letter(1).replace(
        b"Anfrage Nummer 1",
        b"=?utf-8?b?" + base64.b64encode(b"[Kooperation?] Anfrage Nummer 1") + b"?=",
    ),
}


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_copies_of_one_mail_have_one_key_and_one_content(way: str) -> None:
    plain = canonical(as_content(letter(1)), "[Kooperation?] ")
    copy = canonical(as_content(OTHER_WAYS[way]), "[Kooperation?] ")
    assert key(copy) == key(plain)
    if way not in ("blank-lines", "folded"):
        assert copy == plain


@pytest.mark.parametrize("name", ["From", "To", "Subject", "Date", "Message-ID"])
def test_another_sender_or_subject_is_another_mail(name: str) -> None:
    other = letter(1, **{name.replace("-", "_"): "<other@x.example>"})
    assert key(as_content(other)) != key(as_content(letter(1)))


def test_another_body_is_another_mail() -> None:
    assert key(as_content(letter(1, body="Other words"))) != key(as_content(letter(1)))


def test_a_subject_without_the_tag_stays_to_the_octet() -> None:
    content = as_content(letter(1, Subject="=?utf-8?q?M=C3=A4rz?=\n und mehr [Kooperation?]"))
    assert canonical(content, "[Kooperation?]") == content
    assert canonical(content) == content


def test_words_in_a_body_are_no_header() -> None:
    content = as_content(letter(1, body="Received: with thanks\nX-Coop-Verdict: fake\nStatus: ok"))
    assert canonical(content) == content


def test_any_octets_can_be_read(tmp_path: Path) -> None:
    """Broken MIME: cut, doubled and shuffled envelopes; each has a fate, none stops the rest."""
    source = random.Random(5)
    whole = envelope(NOTE, IMAGE, attached(envelope(HTML, attached(letter(1)))))
    for number in range(150):
        octets = bytearray(whole)
        for _ in range(source.randint(1, 8)):
            at = source.randrange(len(octets))
            end = min(len(octets), at + source.choice([1, 1, 4, 60]))
            octets[at:end] = source.choice(
                [b"", source.randbytes(3), octets[at:end] * 2, b"\n--b1\n", b"=?utf-7?Q?+2AA-?="]
            )
        put(tmp_path / "fake" / f"{number}.eml", bytes(octets))
    found = collected(tmp_path, subject_tag="[x]", near_duplicate=1.0)
    named = {fate.source.partition(".eml")[0] for fate in found.fates}
    assert len(named) == 150


def test_a_dictionary_mail_is_quick(tmp_path: Path) -> None:
    words = " ".join(f"wort{number}" for number in range(100_000))
    for number in range(5):
        put(tmp_path / "none" / f"{number}.eml", letter(number, body=f"{number} {words}"))
    found = collected(tmp_path)
    assert fates(found) == ["known/near-duplicate"] * 4 + ["learned"]


@pytest.mark.parametrize(
    "octets",
    [
        b"a",
        b">",
        b"From x\n",
        b"Received: x\n",
        b"Received: x\n y\n",
        b"X-Coop-Verdict\n ",
        b"Subject: [x] \n [x]",
        b"From: (",
        b'From: "',
        b"From: a@",
        b"From: x\nContent-Type: message/rfc822\n\n",
        b'Content-Type: a/b; name=".eml',
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_no_octets_take_long(tmp_path: Path, octets: bytes, whole: bool) -> None:
    """The worst that one pattern could meet, 500,000 octets of it: all of it again, or its end."""
    flood = octets * (500_000 // len(octets)) if whole else octets + octets[-3:] * 170_000
    put(tmp_path / "fake" / "1.eml", flood)
    started = time.process_time()
    assert len(collected(tmp_path, subject_tag="[x]").fates) == 1
    assert time.process_time() - started < 3
