"""Test mail for measuring speed: deterministic, German and English, plain and HTML, 2 to 20 kB.

The words are the corpus's own, paragraphs of several mails of a kind mixed, so that a filter meets
what it knows; one word in forty is made up, as real mail always has some that nobody has seen.
The same corpus and seed give the same octets. Lines end in CRLF; nothing is dot-stuffed.
"""

from __future__ import annotations

import base64
import email
import hashlib
import html
import quopri
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[3] / "training" / "corpus"
TEST, TRAIN = 1000, 300  # mails to measure with, and of each kind for filters to learn from
LEAST, MOST = 2000, 20480  # octets
_EVERY = 4  # of the corpus's mails one in so many is read: enough words, and soon done

LABELS = ("fake", "genuine", "none")
# Of each folder, the labels of its mails in turns.
_TURNS = {"test": ("fake", "none", "genuine", "none"), "fake": ("fake",), "other": ("none",)}
# Shapes of mails, and of how parts are written: how often.
_SHAPES = {"plain": 25, "html": 10, "both": 55, "picture": 10}
_WRITTEN = {
    ("utf-8", "quoted-printable"): 5,
    ("utf-8", "8bit"): 3,
    ("utf-8", "base64"): 2,
    ("iso-8859-1", "quoted-printable"): 2,
}
_STYLE = (
    "<html><head><style>p{font-family:Arial,sans-serif;margin:0 0 12px}"
    "td{padding:4px 8px;border:1px solid #ccc}</style></head><body>\n"
)


@dataclass(frozen=True)
class Mails:
    """The folders: ``test``, and ``fake`` and ``other`` to learn from. ``digest`` names them."""

    folder: Path
    digest: str

    @property
    def test(self) -> Path:
        return self.folder / "test"

    @property
    def fake(self) -> Path:
        return self.folder / "fake"

    @property
    def other(self) -> Path:
        return self.folder / "other"


def prepare(folder: Path) -> Mails:
    """The mails below ``folder``, made if they are not there yet (some seconds)."""
    writer = Writer(read_paragraphs(CORPUS))
    plan = {"test": TEST, "fake": TRAIN, "other": TRAIN}
    texts = {name: list(writer.mails(name, number)) for name, number in plan.items()}
    sums = hashlib.sha256(b"".join(octets for some in texts.values() for octets in some))
    mails = Mails(folder / f"mails-{sums.hexdigest()[:12]}", sums.hexdigest()[:12])
    for name, some in texts.items():
        (mails.folder / name).mkdir(parents=True, exist_ok=True)
        for number, octets in enumerate(some):
            (mails.folder / name / f"{number:04}.eml").write_bytes(octets)
    return mails


def read_paragraphs(corpus: Path) -> Mapping[tuple[str, str], Sequence[str]]:
    """Paragraphs of the corpus's mails by label and language ("de", "en")."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for label in LABELS:
        for language in ("de", "en"):
            for path in sorted((corpus / label / language).rglob("*.eml"))[::_EVERY]:
                found[label, language] += _paragraphs(path)
    return found


def _paragraphs(path: Path) -> list[str]:
    text = _plain_text(email.message_from_bytes(path.read_bytes()))
    return [" ".join(part.split()) for part in text.split("\n\n") if len(part) > 40]


def _plain_text(message: Message) -> str:
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            octets = part.get_payload(decode=True)
            assert isinstance(octets, bytes)
            return octets.decode(part.get_content_charset("utf-8"), "replace")
    return ""


class Writer:
    """Puts paragraphs together to mails."""

    def __init__(self, paragraphs: Mapping[tuple[str, str], Sequence[str]], seed: int = 6) -> None:
        self._paragraphs = paragraphs
        self._chance = random.Random(seed)

    def mails(self, folder: str, number: int) -> Iterator[bytes]:
        """So many for a folder; in "test" one in four is a pitch."""
        turns = _TURNS[folder]
        for i in range(number):
            yield self.mail(turns[i % len(turns)], self._chance.choice(("de", "en")))

    def mail(self, kind: str, language: str) -> bytes:
        """One of 2 to 20 kB, half of them above 6."""
        target = min(max(self._chance.lognormvariate(8.55, 0.55), LEAST), MOST - 3000)
        while not LEAST <= len(octets := self._mail(kind, language, int(target))) <= MOST:
            target *= 1.15 if len(octets) < LEAST else 0.85
        return octets

    def of_text(self, octets: int, kind: str = "none") -> bytes:
        """A plain English mail whose text alone has about so many octets."""
        words = "\n\n".join(map(_wrapped, self._some(kind, "en", octets)))
        return self._with_header(_Part("text/plain", words), kind, "en")

    def of_parts(self, number: int) -> bytes:
        """A mail of so many short text parts."""
        parts = [_Part("text/plain", self._some("none", "en", 60)[0]) for _ in range(number)]
        return self._with_header(self._joined("mixed", parts), "none", "en")

    def _mail(self, kind: str, language: str, target: int) -> bytes:
        (shape,) = self._chance.choices(list(_SHAPES), list(_SHAPES.values()))
        share = {"plain": 0.85, "html": 0.6}.get(shape, 0.32)
        some = self._some(kind, language, int(target * share))
        (written,) = self._chance.choices(list(_WRITTEN), list(_WRITTEN.values()))
        plain = _Part("text/plain", "\n\n".join(map(_wrapped, some)), *written)
        page = _Part("text/html", self._page(some), *written)
        both = self._joined("alternative", [plain, page])
        body = {"plain": plain, "html": page}.get(shape, both)
        if shape == "picture":
            picture = _Part("image/png", self._chance.randbytes(self._chance.randrange(600, 2000)))
            body = self._joined("mixed", [body, picture])
        return self._with_header(body, kind, language)

    def _some(self, kind: str, language: str, characters: int) -> list[str]:
        found: list[str] = []
        while sum(map(len, found)) < characters or not found:
            paragraph = self._chance.choice(self._paragraphs[kind, language])
            found.append(" ".join(self._maybe_new(word) for word in paragraph.split(" ")))
        return found

    def _maybe_new(self, word: str) -> str:
        if self._chance.random() > 0.025:
            return word
        return word[:6] + self._letters("bdfglmnprstaeiou", self._chance.randrange(3, 8))

    def _page(self, some: Sequence[str]) -> str:
        rows = [
            f'<p style="color:#{self._letters("0123456789abcdef", 6)}">{_wrapped(html.escape(one))}'
            f'</p>\n<table><tr><td><a href="https://{self._host()}/{self._hex(12)}">'
            f"{self._chance.randrange(1000)}</a></td></tr></table>"
            for one in some
        ]
        return _STYLE + "\n".join(rows) + "\n</body></html>\n"

    def _joined(self, how: str, parts: Sequence[_Part]) -> _Part:
        boundary = f"=_{self._hex(24)}"
        inner = b"".join(b"--%s\n%s\n" % (boundary.encode(), part.octets) for part in parts)
        inner += b"--%s--\n" % boundary.encode()
        return _Part(f"multipart/{how}", inner, boundary=boundary)

    def _with_header(self, body: _Part, kind: str, language: str) -> bytes:
        subject = self._some(kind, language, 1)[0][:50].rpartition(" ")[0]
        fields = [
            *(self._received() for _ in range(self._chance.randrange(1, 4))),
            f"From: {self._name()} <{self._letters('abcdefgh', 6)}@{self._host()}>",
            "To: Redaktion <redaktion@owner.example>",
            f"Subject: =?utf-8?b?{base64.b64encode(subject.encode()).decode()}?=",
            f"Date: {self._day()}",
            f"Message-ID: <{self._hex(24)}@{self._host()}>",
            *([f"List-Unsubscribe: <https://{self._host()}/{self._hex(32)}>"] * (kind == "none")),
            "MIME-Version: 1.0",
        ]
        octets = "\n".join(fields).encode() + b"\n" + body.octets
        return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    def _received(self) -> str:
        return (
            f"Received: from mx.{self._host()} (mx [192.0.2.{self._chance.randrange(1, 255)}])\n"
            f"\tby mail.owner.example (Postfix) with ESMTPS id {self._hex(10).upper()}\n"
            f"\tfor <redaktion@owner.example>; {self._day()}"
        )

    def _day(self) -> str:
        day, minute = self._chance.randrange(1, 21), self._chance.randrange(10, 60)
        return f"{day} Nov 2026 09:{minute}:00 +0100"

    def _name(self) -> str:
        first = self._chance.choice("Anna Carla Erik Frieda Heike Ingo Kate Luis Nils Olga".split())
        return f"{first} {self._letters('aeiourstln', 6).capitalize()}"

    def _host(self) -> str:
        return f"{self._letters('abcdefghiklmnoprst', 7)}.example"

    def _hex(self, digits: int) -> str:
        return self._letters("0123456789abcdef", digits)

    def _letters(self, some: str, number: int) -> str:
        return "".join(self._chance.choices(some, k=number))


@dataclass(frozen=True)
class _Part:
    """A MIME part: text in a charset and an encoding, or octets that are already written."""

    kind: str
    content: str | bytes
    charset: str = "utf-8"
    encoding: str = "8bit"
    boundary: str = ""

    @property
    def octets(self) -> bytes:
        """Its fields and what is in it, lines ending in LF."""
        if self.boundary:
            assert isinstance(self.content, bytes)
            field = f'Content-Type: {self.kind}; boundary="{self.boundary}"\n\n'
            return field.encode() + self.content
        if isinstance(self.content, bytes):
            field = f"Content-Type: {self.kind}\nContent-Transfer-Encoding: base64\n\n"
            return field.encode() + base64.encodebytes(self.content)
        field = (
            f"Content-Type: {self.kind}; charset={self.charset}\n"
            f"Content-Transfer-Encoding: {self.encoding}\n\n"
        )
        return field.encode() + self._encoded(self.content.encode(self.charset, "replace")) + b"\n"

    def _encoded(self, octets: bytes) -> bytes:
        if self.encoding == "base64":
            return base64.encodebytes(octets)
        return octets if self.encoding == "8bit" else quopri.encodestring(octets)


def _wrapped(text: str, width: int = 76) -> str:
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])
