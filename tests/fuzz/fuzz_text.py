"""Invariant: any octets become features: nothing raises, caps hold, 1 s of CPU is never used up.

From ``read_text`` to ``features``, for inputs of up to 200 kB; ``checks.text`` says it in code.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fuzz import loop

MAX_LEN = 200_000

CHARSETS = (
    b"utf-8 utf-7 utf-16 utf-16le utf-32 us-ascii iso-8859-1 iso-8859-15 windows-1252 koi8-r "
    b"iso-2022-jp iso-2022-kr shift_jis gb18030 big5 euc-kr hz idna punycode rot13 hex zlib "
    b"unicode_escape undefined x-unknown mbcs ../x"
).split()
MIME = [
    *[b"Content-Type: " + kind for kind in b"text/plain text/html multipart/mixed; text/;".split()],
    *[b"Content-Type: multipart/%s; boundary=" % kind for kind in (b"alternative", b"digest")],
    *[b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: text/html\r\n\r\n"],
    *[b"; boundary=b\r\n", b'; boundary="b"', b"; boundary*0=", b"; boundary*=utf-8''b", b"b=b"],
    *[b"Content-Transfer-Encoding: " + kind for kind in (b"base64", b"quoted-printable", b"8bit")],
    *[b"Content-Disposition: attachment", b"Subject: ", b"\r\n\r\n", b"\r\n", b"\r\n ", b"\r\n\t"],
    *[
        b"\r\n--b\r\n",
        b"\r\n--b--\r\n",
        b"--",
        b"-",
        b";",
        b'"',
        b"\\",
        b"=",
        b"=\r\n",
        b"=C3",
        b"=",
    ],
    *[
        b"=?utf-8?Q?",
        b"=?utf-8?B?",
        b"=?utf-7?Q?",
        b"?=",
        b"=?",
        b"PGEgaHJlZj0=",
        b"+2AA-",
        b"From ",
    ],
    *[b"; charset=" + charset for charset in CHARSETS],
]
HTML = [
    *b"<p>|<br>|<a href=|http://x|<a href='https://x'>|</a>|<head>|</head>|<body>|<style>|<!--".split(
        b"|"
    ),
    *b"-->|<!|<?|</|<|>|/>|<div style='display:none'>|font-size:0|hidden| hidden>|<p hidden>".split(
        b"|"
    ),
    *b"opacity : 0|max-height:0|<script>|</script>|<title>|</p>|</div>|<svg/>|style=|display".split(
        b"|"
    ),
    *b"&amp;|&|&#|&#x|&#0;|&#55296;|&#1114112;|&#x110000;|&nbsp|&shy;|&zwnj;|&lt|;|&notit;".split(
        b"|"
    ),
]
TEXT = [
    *[
        b"http://",
        b"https://x.example/",
        b"www.",
        b"a@b.example",
        b"@",
        b"_url_",
        b"1'",
        b"1,",
        b"1.",
    ],
    *[
        "€ 1",
        "1 €",
        "100 %",
        "24.12.2026",
        "2026-11-23",
        "eur",
        "1.000,-",
        "b a c k l i n k",
        "a.b-",
    ],
    *[
        "On 1. wrote:\n",
        "Am Montag schrieb x:\n",
        "____________________\n",
        "-- ",
        "> ",
        "'",
        "’",
        "·",
    ],
    *[
        "\u0300\u0323",
        "\u0344",
        "\u0345",
        "\u0f81",
        "\ufdfa",
        "\u1e9e",
        "\u0130",
        "\u00ad",
        "\u200b",
    ],
    *["\ufeff", "\u202e", "аbс", "Ａ", "ﬁ", "⒈", "½", "①", "가", "ᄀ", "\ud7fb", "𝐚", "\U0010ffff"],
    *[b"\xff\xfe", b"\xfe\xff", b"\xed\xa0\x80", b"\xc0", b"\xf4\x90", b"\0", b"\x1b$B", b"\x1b(B"],
    *[
        b"\x0e",
        b"\x85",
        b"\x1c",
        b"guest post",
        b"backlink",
        b"Gastbeitrag",
        b"kostenlos",
        b"your readers",
    ],
]
PIECES = [piece.encode() if isinstance(piece, str) else piece for piece in MIME + HTML + TEXT]


def mutate(dice: random.Random, octets: bytes) -> bytes:
    """Pieces put in; now and then a short one so often that what is not linear shows."""
    octets = loop.inserted(dice, octets, PIECES)
    if dice.random() < 0.03:
        octets = loop.repeated(dice, octets, MAX_LEN)
        if dice.random() < 0.5:
            octets = loop.inserted(dice, octets, PIECES)
    elif len(octets) > 20000 and dice.random() < 0.8:  # large ones are slow: do not breed them
        at = dice.randint(0, len(octets))
        octets = octets[:at] + octets[at + dice.randint(0, 180_000) :]
    return octets


if __name__ == "__main__":
    loop.run("text", PIECES, mutate, MAX_LEN)
