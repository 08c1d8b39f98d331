"""Where a letter ends: below its sign-off stand names and notices, not what the mail says."""

from __future__ import annotations

import pytest

from milter.mail.text import read_text

LETTER = "Hello Anna,\n\nyour order was sent today and should be with you on Friday.\n\n"
BRIEF = "Hallo Anna,\n\nIhre Bestellung ist heute auf die Reise gegangen, Freitag ist sie da.\n\n"


def read(body: str) -> tuple[str, str]:
    mail = read_text(
        f"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}".encode()
    )
    return mail.body, mail.signature


@pytest.mark.parametrize(
    ("letter", "off"),
    [
        (LETTER, "Best regards,"),
        (LETTER, "Kind regards"),
        (LETTER, "Thanks!"),
        (LETTER, "With best wishes from all of us,"),
        (LETTER, "-- "),
        (BRIEF, "Mit freundlichen Grüßen"),
        (BRIEF, "Viele Gruesse aus Köln"),
        (BRIEF, "LG"),
        (BRIEF, "Herzliche Grüße,"),
        (LETTER, "Cordialement,"),
        (LETTER, "Saludos,"),
        (LETTER, "Met vriendelijke groet,"),
        (LETTER, "Pozdrawiam"),
    ],
)
def test_what_stands_below_a_sign_off(letter: str, off: str) -> None:
    body, signature = read(f"{letter}{off}\nPaul Miller\nhttps://shop.example\n")
    assert signature.splitlines()[0] == "Paul Miller"
    assert "Paul" not in body
    assert body.startswith(letter[:20])


@pytest.mark.parametrize(
    "body",
    [
        LETTER,
        "Thanks,\n\nthat is very kind of you, and I will certainly come back to it in May.",
        f"{LETTER}Thanks for your patience, and please tell us if it has not come by Monday.\nPaul",
        "Best regards,\nPaul",
        "-- \nPaul",
    ],
)
def test_no_sign_off(body: str) -> None:
    assert read(body)[1] == ""


def test_of_two_sign_offs_the_last_one_counts() -> None:
    body, signature = read(f"{LETTER}Best,\nPaul\n\nP.S. Do write.\n\nBest,\nPaul again")
    assert "Do write" in body
    assert signature == "Paul again"
