"""Invariant: whatever the split, octets mean the same; one end of data goes out, nothing stray.

Decoder, encoder, command lines, addresses, replies and XFORWARD; ``checks.wire`` says it in code.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fuzz import loop

# What line ends, dots and smuggling are made of, then the words of the dialog.
PIECES = [
    *b"\r\n|\r|\n|.|\0|\r\n.\r\n|\n.\n|\r.\r|\r\n.|\r\n..|.\r\n|\n.\r\n|\r\n.\n|\r\n.\r|\r\r\n".split(
        b"|"
    ),
    *b"\r\n.\r\r\n|\r\n\0.\r\n|\r\n.\0\r\n|a|Subject: x\r\n\r\n|DATA\r\n|RSET|EHLO x".split(b"|"),
    *b"MAIL FROM:<a@b.example>| SIZE=1000| BODY=8BITMIME| SMTPUTF8|RCPT TO:<|FROM:|TO:|from:".split(
        b"|"
    ),
    *b'<>|>|<|"|\\|\\"|"a b"@c>|@c,@d:e@f|@|:|=|\t| |\x7f|\x1f|\x0b|\x85|\xa0|\xff|SIZE=9'.split(
        b"|"
    ),
    *b"250-x\r\n|250 x\r\n|250\r\n|250-|250 |354 go\r\n|550 5.7.1 no\r\n|421-a\n421 b\n|199 |600 "
    b"|25|250x|250-a\r\n251 b\r\n".split(b"|"),
    *b"NAME=|ADDR=|PORT=|PROTO=ESMTP|HELO=|IDENT=|SOURCE=REMOTE|[UNAVAILABLE]|+40| ADDR=::1"
    b"|XFORWARD ".split(b"|"),
]


def mutate(dice: random.Random, octets: bytes) -> bytes:
    """Pieces of protocol put in; now and then a run long enough for the limits of lines."""
    if dice.random() < 0.05:
        octets = loop.repeated(dice, octets, 5000)
    return loop.inserted(dice, octets, PIECES)


if __name__ == "__main__":
    loop.run("wire", PIECES, mutate, max_len=6000)
