"""Invariant: an edit changes no octet but ours, leaves just our fields on top, and is idempotent.

Reading is held to the same header: ``body_range`` and ``fields`` against a reader by lines, and
Postfix's view of the mail before and after. ``checks.header`` says it in code.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fuzz import loop

NAMES = [
    *b"X-Coop-Verdict|X-Coop-Clues|x-coop-verdict|X-COOP-CLUES|X-Coop-Verdicts|X-Coop-|Subject".split(
        b"|"
    ),
    *b"X-Coop-Verdict-X|Xx-Coop-Clues|From|To|DKIM-Signature|Received|Content-Type|>From|=?a?=".split(
        b"|"
    ),
]
COLONS = [
    b":",
    b": ",
    b" :",
    b"\t:",
    b"\r\n :",
    b"\r\n\t:",
    b" \r\n  :",
    b"\v:",
    b"\f:",
    b"",
    b"\0:",
]
VALUES = [b"", b"x", b"fake; score=0.99", b"a: b", b" ", b"\xe4\xff", b"\r", b"X-Coop-Verdict: y"]
ENDS = [b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r\n x\r\n", b"\r\n\t\r\n", b"\r\n \r\n", b"\r", b""]
LINES = [
    *[b"\r\n", b"\r\n\r\n", b"\n\n", b" ", b"\t", b" folded\r\n", b"no field at all\r\n", b".\r\n"],
    *[
        b"From a@b Mon Nov 23 2026\r\n",
        b">From a\r\n",
        b">>From a\r\n",
        b"From \r\n",
        b"From : a\r\n",
    ],
    *[b"\xef\xbb\xbf", b"\x85", b"\xa0", b"\x0b", b"\x1c", b": x\r\n", b"X-Coop-Verdict\r\n"],
    b"--b\r\n",
]


def field(dice: random.Random) -> bytes:
    """One field, or what is nearly one."""
    return b"".join(dice.choice(some) for some in (NAMES, COLONS, VALUES, ENDS))


def mutate(dice: random.Random, octets: bytes) -> bytes:
    """Fields and lines put in; now and then all anew from the grammar."""
    if dice.random() < 0.2:
        octets = b"".join(_part(dice) for _ in range(dice.randint(1, 8)))
    return loop.inserted(dice, octets, [_part(dice) for _ in range(8)])


def _part(dice: random.Random) -> bytes:
    return field(dice) if dice.random() < 0.7 else dice.choice(LINES)


if __name__ == "__main__":
    loop.run("header", NAMES + COLONS[1:9] + LINES, mutate, max_len=4000)
