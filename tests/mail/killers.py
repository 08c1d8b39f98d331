"""Mails built to hurt a parser, each as a function of about how many octets."""

from __future__ import annotations

from collections.abc import Callable

Killer = Callable[[int], bytes]

TOP = b"From: a@example.org\r\nSubject: s\r\n"


def _typed(kind: bytes, body: bytes = b"x\r\n") -> bytes:
    return TOP + b"Content-Type: " + kind + b"\r\n\r\n" + body


def _plain(unit: str) -> Killer:
    """A plain text of one unit, repeated."""
    octets = unit.encode()
    return lambda n: _typed(b"text/plain; charset=utf-8", octets * (n // len(octets)) + b"\r\n")


def _html(unit: bytes) -> Killer:
    return lambda n: _typed(b"text/html; charset=utf-8", unit * max(1, n // len(unit)))


def _in(name: bytes, unit: bytes, start: bytes = b"") -> Killer:
    """A header field whose value is one unit, repeated."""
    return lambda n: (
        TOP.replace(b"Subject", b"X")
        + name
        + b": "
        + start
        + unit * (n // len(unit))
        + b"\r\n\r\nbody\r\n"
    )


def _encoded(encoding: bytes, unit: bytes, start: bytes = b"") -> Killer:
    head = TOP + b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + start
    return lambda n: head + unit * (n // len(unit)) + b"\r\n"


def _charset(name: bytes, unit: bytes) -> Killer:
    return lambda n: _typed(b"text/plain; charset=" + name, unit * (n // len(unit)))


def nested_multiparts(levels: int, boundary: bytes = b"b%d") -> bytes:
    """Multiparts in multiparts, each with a boundary of its own, and a word in the innermost."""
    named = boundary if b"%d" in boundary else boundary + b"%.0d"
    level = b"Content-Type: multipart/mixed; boundary=" + named + b"\r\n\r\n--" + named + b"\r\n"
    return TOP + b"".join(level % (i, i) for i in range(levels)) + b"\r\ninnermost\r\n"


def many_parts(count: int) -> bytes:
    return _typed(b"multipart/mixed; boundary=b", b"--b\r\n\r\nx\r\n" * count + b"--b--\r\n")


MIME: dict[str, Killer] = {
    "semicolons": lambda n: _typed(b"text/plain" + b";" * n),
    "parameters": lambda n: _typed(b"text/plain" + b";a=b" * (n // 4)),
    "parameter in pieces": lambda n: _typed(
        b"multipart/mixed" + b"".join(b"; boundary*%d=x" % i for i in range(n // 16))
    ),
    "unclosed quote in a parameter": lambda n: _typed(b'text/plain; a="' + b'\\"' * (n // 2)),
    "brackets in a Content-Type": lambda n: _typed(b"text/plain" + b"(" * n),
    "folded Content-Type": lambda n: _typed(b"text/plain;" + b"\r\n " * (n // 3) + b"x=y"),
    "nested multiparts": lambda n: nested_multiparts(n // 60),
    "nested multiparts of one boundary": lambda n: nested_multiparts(n // 60, b"b"),
    "nested rfc822": lambda n: TOP + b"Content-Type: message/rfc822\r\n\r\n" * (n // 32),
    "parts": lambda n: many_parts(n // 10),
    "boundaries without line ends": lambda n: _typed(
        b"multipart/mixed; boundary=b", b"--b" * (n // 3)
    ),
    "boundary of one dash": lambda n: _typed(b"multipart/mixed; boundary=-", b"-" * n),
    "boundaries with blanks": lambda n: _typed(
        b"multipart/mixed; boundary=b", (b"--b" + b" " * 97) * (n // 100)
    ),
}
# Each level's boundary is the beginning of the next one's, and a run of dashes begins like all.
MIME["nested boundaries of dashes"] = lambda n: (
    TOP
    + b"".join(
        b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (b"-" * i, b"-" * i)
        for i in range(15, 0, -1)
    )
    + b"\r\n"
    + b"-" * n
)
HTML: dict[str, Killer] = {
    "unclosed comments": _html(b"<!--"),
    "unclosed tags": _html(b"<a "),
    "less-than signs": _html(b"<"),
    "unclosed declarations": _html(b"<!"),
    "unclosed closing tags": _html(b"</"),
    "unclosed quotes": _html(b'<a href="'),
    "formats that are not closed": lambda n: _typed(
        b"text/html",
        b"<p>" + b"".join(b"<b x=%d>" % i for i in range(4500)) + b"</p><p>x" * (n // 8),
    ),
    "formats behind a quote": lambda n: _typed(
        b"text/html",
        b"<p>" + b"".join(b'<b x=">%d">' % i for i in range(4000)) + b"</p><p>x" * (n // 8),
    ),
    "nested divs": _html(b"<div>"),
    "nested hidden divs": _html(b"<div hidden>"),
    "styles that hardly hide": _html(b"<p style='" + b"display " * 2000 + b"'>"),
    "a style with many blanks": _html(b"<p style='display" + b" " * 16000 + b"'>"),
    "hrefs without value": _html(b"<a " + b"href=   " * 2000 + b">"),
    "an href with many blanks": lambda n: _html(b"<a href=" + b" " * 16000 + b">")(n // 16),
    "ampersands": _html(b"&"),
    "entities": _html(b"&amp;"),
    "an entity of a million letters": lambda n: _typed(b"text/html", b"&" + b"a" * n),
    "an entity of a million digits": lambda n: _typed(b"text/html", b"&#" + b"1" * n),
    "a tag of one huge attribute": lambda n: _typed(b"text/html", b'<p x="' + b"a" * n + b'">'),
}
HEADER: dict[str, Killer] = {
    "a huge value": _in(b"X", b"a"),
    "a huge folded value": _in(b"X", b"a\r\n "),
    "a header of fields": lambda n: b"X: a\r\n" * (n // 6) + b"\r\nbody\r\n",
    "a huge name": lambda n: b"X" * n + b"\r\n\r\nbody\r\n",
    "blanks before a missing colon": lambda n: b"X" + b" " * n + b"\r\n\r\nbody\r\n",
    "colons": lambda n: b":" * n + b"\r\n",
    "our name, then blanks": lambda n: b"X-Coop-Verdict" + b" " * n + b"\r\n\r\nbody\r\n",
    "our name, then folded blanks": lambda n: (
        b"X-Coop-Verdict" + b"\r\n " * (n // 3) + b"\r\n\r\nbody\r\n"
    ),
    "our field, folded": lambda n: b"X-Coop-Verdict: a" + b"\r\n a" * (n // 4) + b"\r\n\r\nbody",
    "our field, often": lambda n: b"X-Coop-Verdict: a\r\n" * (n // 19) + b"\r\nbody\r\n",
    "our name, often": lambda n: b"X-Coop-Verdict a\r\n" * (n // 18) + b"\r\nbody\r\n",
    "encoded words": _in(b"Subject", b"=?utf-8?q?a?= "),
    "encoded words that never end": _in(b"Subject", b"=?a?q?"),
    "one encoded word that never ends": _in(b"Subject", b"a", b"=?a?q?"),
    "beginnings of encoded words": _in(b"Subject", b"=?"),
    "brackets in a subject": _in(b"Subject", b"("),
    "an address list": _in(b"To", b"a@example.org, "),
    "brackets in an address list": _in(b"To", b"("),
    "angles in an address list": _in(b"To", b"<"),
}
TEXT: dict[str, Killer] = {
    f"only {unit!r}": _plain(unit)
    for unit in (
        *("a", "ü", " ", "\r\n", "(", ">", ">\r\n", "-", "--\r\n", "_", "On \r\n", "1", "1,"),
        *(
            ":",
            ": ",
            ": a\r\n",
            "-- ",
            "1.",
            "1 ",
            "€",
            "€1",
            "eur ",
            "eur 1",
            "@",
            "a@",
            "a@a.",
            "a.",
            "a'",
            "www.",
            "http://",
            "a ",
            "w e l i k e t o a i o ",
        ),
        *("a ", "a_", "a b c d 1 ", "\u200b", "\u0301", "\ufdfa", "a\u0430 ", "add a link to "),
        *("On " + "wrote " * 20 + "\r\n", "_" * 30 + "x\r\n"),
    )
}
# Unicode's normal form sorts a run of accents, which takes time with the square of its length.
# The worst order just fits into the text that is read.
TEXT["accents out of order"] = lambda n: _typed(
    b"text/plain; charset=utf-8",
    ("a" + "\u0301" * min(n // 4, 9_990) + "\u0316" * min(n // 4, 9_990)).encode(),
)
ENCODED: dict[str, Killer] = {
    "quoted-printable of equals signs": _encoded(b"quoted-printable", b"="),
    "quoted-printable of soft breaks": _encoded(b"quoted-printable", b"=\r\n"),
    "quoted-printable of blanks": _encoded(b"quoted-printable", b" ", b"="),
    "base64 of padding": _encoded(b"base64", b"="),
    "utf-7 of plus signs": _charset(b"utf-7", b"+"),
    "iso-2022-jp of escapes": _charset(b"iso-2022-jp", b"\x1b$B"),
    "gb18030 of lead octets": _charset(b"gb18030", b"\x81"),
}
KILLERS = MIME | HTML | HEADER | TEXT | ENCODED
