"""Eight invented campaigns that the corpus does not have, each of twenty mails in other words.

``families/*.toml``: ten mails of each to learn from, and ten that no model may see before it
judges them. Everybody and everything in them is invented.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).with_name("families")
#: A German campaign, an English one, one in both languages: by them the settings were chosen.
CHOSEN_BY = ("lichterpfad", "earleaf", "sprachzwilling")
#: The same, written after all that was chosen; by them the steps of a cautious candidate were.
SECOND = ("lesepuls", "openhearth", "fragefuchs")
#: A German and an English one, written after that: nothing is to be chosen by what comes out.
FRESH = ("nebenzimmer", "larkannual")
NAMES = (*CHOSEN_BY, *SECOND, *FRESH)

Part = Literal["learn", "unseen"]


def mails(family: str, part: Part) -> list[bytes]:
    """The mails of one half of a campaign, CRLF lines, in the order in which they came."""
    return [
        _mail(family, f"{part}-{number}", number, table)
        for number, table in enumerate(_read(family)[part], 1)
    ]


@cache
def _read(family: str) -> dict[str, list[dict[str, str]]]:
    path = FOLDER / f"{family}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _mail(family: str, name: str, day: int, table: dict[str, str]) -> bytes:
    header = [
        f"From: {table['from']}",
        "To: redaktion@owner.example",
        f"Subject: {table['subject']}",
        f"Date: {day} Nov 2026 09:00:00 +0100",
        f"Message-ID: <{name}@{family}.example>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    ]
    lines = [*header, "", *table["body"].strip().splitlines(), ""]
    return "\r\n".join(lines).encode()
