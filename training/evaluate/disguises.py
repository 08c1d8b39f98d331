"""What senders do to slip past filters: evasions, each done to one mail.

An evasion takes a mail's whole content (octets, CRLF lines) and gives another one's that tells its
reader the same: the header stays but for the subject and what describes the body, the body is
written anew in UTF-8. The same mail, material and seed give the same octets. What is padded with
comes from the corpus' wanted mails, so a model that has learned from them knows it as wanted: that
is the sender's best case, and the figures are on the safe side.
"""

from __future__ import annotations

import html
import random
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from email.message import EmailMessage
from functools import partial
from itertools import count
from typing import TypeVar

from milter.mail import header
from milter.mail.text import MailText, read_text
from milter.spam.terms import lexicon
from milter.spam.tokens import tokenize
from training.data import Example
from training.evaluate.letter import Letter, encodable, in_html, quotation
from training.evaluate.sets import SourceError

#: Words that are appended.
COMMON = 1000
# Characters of a hidden block: about as long as three mails.
_BLOCK = 4000
# The share of words that letters are changed in: a good part, and the text still reads well.
_CHANGED = 0.6
# Of long words, each one so far from the last is spelled.
_EVERY = 3
# Letters that a long word has.
_LONG = 6
_ANY = TypeVar("_ANY")

# Look-alikes by Unicode's list of confusables (UTS 39), Cyrillic and Greek ones. This is what a
# sender would look up, so it is not made from what the filter knows.
_LOOKALIKES = {
    **{"a": "аα", "b": "Ь", "c": "сϲ", "d": "ԁ", "e": "еҽ", "h": "һ", "i": "іι", "j": "јϳ"},
    **{"k": "кκ", "l": "ӏ", "m": "м", "n": "η", "o": "оοσ", "p": "рρ", "q": "ԛ", "r": "г"},
    **{"s": "ѕ", "t": "тτ", "u": "υ", "v": "νѵ", "w": "ԝω", "x": "хχ", "y": "уүγ"},
    **{"A": "АΑ", "B": "ВΒ", "C": "СϹ", "E": "ЕΕ", "H": "НΗ", "I": "ІΙ", "J": "Ј", "K": "КΚ"},
    **{"M": "МΜ", "N": "Ν", "O": "ОΟ", "P": "РΡ", "S": "Ѕ", "T": "ТΤ", "X": "ХΧ", "Y": "ҮΥ"},
    "Z": "Ζ",
}
# Zero-width space, non-joiner, joiner, word joiner, no-break space (BOM); soft hyphen; grapheme
# joiner.
_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f"
# How the same thing is written in HTML: opening and closing tags around a block.
_HIDING = {
    "display:none": (
        ('<div style="display:none">', "</div>"),
        ('<div style="DISPLAY : none !important;">', "</div>"),
    ),
    "zero font size": (
        ('<div style="font-size:0;line-height:0">', "</div>"),
        ('<span style="color:#333; font-size: 0px">', "</span>"),
    ),
    "white on white": (
        ('<div style="color:#ffffff;background-color:#ffffff">', "</div>"),
        ('<font color="white">', "</font>"),
        ('<p style="color: rgb(255, 255, 255)">', "</p>"),
    ),
    "a style sheet": (('<div class="pre">', "</div>"),),
}
_PAGE = (
    "<html><head><style>.pre {{ display: none }}</style></head>"
    '<body bgcolor="#ffffff">\n{}\n</body></html>\n'
)

_LETTERS = re.compile(r"[^\W\d_]+")
# Links and addresses stay: they must go on working.
_WORKING = re.compile(r"[@/]|\w\.\w")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_NEWSLETTER = re.compile(r"newsletter", re.IGNORECASE)

Evasion = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the mails labelled ``none`` in the corpus give to pad with, each by language.

    ``words``: the commonest words, by the number of mails that have them; ``texts``: bodies;
    ``newsletters``: newsletters with the line above a quotation.
    """

    words: Mapping[str, list[str]]
    texts: Mapping[str, list[str]]
    newsletters: Mapping[str, list[tuple[str, str]]]

    @classmethod
    def of(cls, examples: Iterable[Example]) -> Wanted:
        """The material in ``examples``; proposals are left out, they are too much like pitches."""
        mails: dict[str, Counter[str]] = {}
        texts: dict[str, list[str]] = {}
        newsletters: dict[str, list[tuple[str, str]]] = {}
        for example in examples:
            body = read_text(example.content).body.strip()
            if example.label != "none" or not body:
                continue
            known = sorted({word for word in _words(body) if word.isalpha()})
            mails.setdefault(example.language, Counter()).update(known)
            texts.setdefault(example.language, []).append(body)
            if _NEWSLETTER.search(example.group):
                quoted = (_headline(example.content), body)
                newsletters.setdefault(example.language, []).append(quoted)
        if not newsletters:
            raise SourceError("the corpus has no newsletter to quote")
        common = {
            language: [word for word, _ in seen.most_common(COMMON)]
            for language, seen in mails.items()
        }
        return cls(common, texts, newsletters)

    def language(self, content: bytes) -> str:
        """Of the languages that are known, the one that most of a mail's words are common in."""
        own = set(_words(read_text(content).body))
        return max(self.words, key=lambda language: len(own.intersection(self.words[language])))


def _words(text: str) -> list[str]:
    """The words of a text as the filter reads them, as far as it does."""
    return tokenize(MailText("", text, "", "")).body


def _headline(content: bytes) -> str:
    fields = dict(header.fields(content[: header.end_of_header(content)]))
    day = fields.get(b"date", b"").decode("ascii", "replace")
    sender = fields.get(b"from", b"").rpartition(b" ")[2].decode("ascii", "replace")
    return f"On {day}, {sender} wrote:"


# The letters changed


def homoglyphs(content: bytes, rng: random.Random) -> bytes:
    """Cyrillic and Greek look-alikes in most words of subject and body.

    In half of those words wherever there is one (a word may end up without a Latin letter), in the
    others for about every other letter.
    """

    def disguised(word: str) -> str:
        share = rng.choice((1.0, 0.5))
        return "".join(
            rng.choice(_LOOKALIKES[letter])
            if letter in _LOOKALIKES and rng.random() < share
            else letter
            for letter in word
        )

    return _with_words(content, lambda word: disguised(word) if _chosen(word, rng) else word)


def zero_width(content: bytes, rng: random.Random) -> bytes:
    """One or two characters without width inside most words of subject and body."""

    def split(word: str) -> str:
        for _ in range(rng.choice((1, 2))):
            at = rng.randrange(1, len(word))
            word = word[:at] + rng.choice(_ZERO_WIDTH) + word[at:]
        return word

    return _with_words(content, lambda word: split(word) if _chosen(word, rng) else word)


def spaced(content: bytes, rng: random.Random) -> bytes:
    """The tell-tale words, and of other long ones each third, with blanks between their letters.

    Tell-tale are words that an ask or an offer of the lexicon ends with in this mail.
    """
    telling = _telling(Letter.open(content))
    long = count(rng.randrange(_EVERY))

    def spelled(word: str) -> str:
        tells = word.lower() in telling
        turn = len(word) >= _LONG and next(long) % _EVERY == 0
        return " ".join(word) if tells or turn else word

    return _with_words(content, spelled)


def _telling(letter: Letter) -> set[str]:
    """Words of four letters or more that phrases of asks and offers end with."""
    found = set()
    for text in (letter.subject, letter.own):
        stream = _words(text)
        ends = lexicon().find(stream).ends
        found |= {stream[end - 1] for (kind, _), end in ends.items() if kind != "signs"}
    return {word for word in found if len(word) > 3 and word.isalpha()}


def _chosen(word: str, rng: random.Random) -> bool:
    return len(word) > 2 and rng.random() < _CHANGED


def _with_words(content: bytes, change: Callable[[str], str]) -> bytes:
    """The mail with each word of subject and own text changed, but for links and addresses."""

    def changed(text: str) -> str:
        return re.sub(
            r"\S+",
            lambda run: (
                run.group()
                if _WORKING.search(run.group())
                else _LETTERS.sub(lambda word: change(word.group()), run.group())
            ),
            text,
        )

    letter = Letter.open(content)
    letter = letter.with_subject(changed(letter.subject))
    return letter.as_plain(replace(letter, own=changed(letter.own)).text)


# Other text added, or the text taken away


def hidden(content: bytes, rng: random.Random, texts: list[str], way: str) -> bytes:
    """HTML, in which a block of wanted mails' text that nobody sees stands before the mail's own.

    ``way``: how it is hidden, a key of ``_HIDING``.
    """
    block = ""
    while len(block) < _BLOCK:
        block += rng.choice(texts) + "\n"
    opening, closing = rng.choice(_HIDING[way])
    letter = Letter.open(content)
    body = EmailMessage()
    page = f"{opening}{html.escape(block)}{closing}\n{in_html(letter.text)}"
    body.set_content(_PAGE.format(page), subtype="html", cte="quoted-printable")
    return letter.sent(body)


def one_line(content: bytes, rng: random.Random) -> bytes:
    """The text as a picture, and one line of it as text, under the mail's subject.

    The line is the first of the sentences that show the most asks of the lexicon; where none shows
    any, the last sentence that is closed by a mark, for a sign-off is not. Nobody sees what the
    picture shows but its reader, so here it is blank. ``rng`` is of no use here.
    """
    letter = Letter.open(content)
    body = EmailMessage()
    line = f'<p><img src="cid:letter"></p>\n<p>{html.escape(_the_line(letter.own))}</p>'
    body.set_content(_PAGE.format(line), subtype="html", cte="quoted-printable")
    body.add_related(_picture(600, 800), "image", "png", cid="<letter>", filename="letter.png")
    return letter.sent(body)


def _the_line(text: str) -> str:
    sentences = [" ".join(sentence.split()) for sentence in _SENTENCE_END.split(text)]
    sentences = [sentence for sentence in sentences if sentence]
    asks = [len(lexicon().find(_words(sentence)).asks) for sentence in sentences]
    if any(asks):
        return sentences[asks.index(max(asks))]
    closed = [sentence for sentence in sentences if sentence[-1] in ".!?"]
    return (closed or sentences or [""])[-1]


def _picture(width: int, height: int) -> bytes:
    """A white PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = (b"\0" + b"\xff" * width) * height
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def common_words(content: bytes, rng: random.Random, common: list[str]) -> bytes:
    """The commonest words of wanted mails in any order, below the mail."""
    shuffled = rng.sample(common, len(common))
    lines = [" ".join(shuffled[at : at + 10]) for at in range(0, len(shuffled), 10)]
    letter = Letter.open(content)
    return letter.as_plain(letter.text + "\n\n" + "\n".join(lines) + "\n")


def base64_all(content: bytes, rng: random.Random) -> bytes:
    """Subject and body in base64, so that no word of them stands there. ``rng`` is of no use."""
    letter = Letter.open(content)
    return letter.with_subject(letter.subject).as_plain(letter.text, "base64")


def quoted_newsletter(
    content: bytes, rng: random.Random, newsletters: list[tuple[str, str]]
) -> bytes:
    """A newsletter quoted below the mail, as if this were an answer to it."""
    headline, text = rng.choice(newsletters)
    letter = Letter.open(content)
    return letter.as_plain(f"{letter.text}\n{headline}\n{quotation(encodable(text))}")


def evasions(wanted: Wanted, language: str) -> dict[str, Evasion]:
    """All evasions of mails in ``language``, by the name that tables show."""

    def of(table: Mapping[str, list[_ANY]]) -> list[_ANY]:
        """The language's own; where it has none, those of the language that has most."""
        return table.get(language) or max(table.values(), key=len)

    return {
        "homoglyphs in most words": homoglyphs,
        "zero-width characters in most words": zero_width,
        "tell-tale and long words spelled with blanks": spaced,
        **{
            f"wanted text hidden by {way}": partial(hidden, texts=of(wanted.texts), way=way)
            for way in _HIDING
        },
        "text in a picture, one line left": one_line,
        f"{COMMON:,} common words below": partial(common_words, common=of(wanted.words)),
        "base64 of everything": base64_all,
        "newsletter quoted below": partial(quoted_newsletter, newsletters=of(wanted.newsletters)),
    }
