"""The corpus against its plan: what ``plan.toml`` asks for, and how much of that there is.

Counting goes by rules that anybody can check by eye; each stands below, with what it overlooks.
They need not be right about every mail, only the same for all.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from milter.mail import header, mime
from milter.mail.text import MailText, read_text
from milter.spam.bundle import LABELS
from training.data import Example

_PLAN = Path(__file__).with_name("plan.toml")

PLANNED_LANGUAGES = ("de", "en")  # themes, lengths and registers are planned for these
# Words of a letter: below the first it fits a telephone's screen, beyond the second it is a page.
SHORT, LONG = 60, 180

# German forms of address; the one with most hits is the register, none at all is "impersonal".
# "Sie" counts behind a word only: at the start of a sentence it may be "she" or "they". "Ihr"
# counts as "Sie" unless a verb of the second person plural follows.
_IHR_VERBS = r"(?:habt|seid|könnt|wollt|wärt|möchtet|hättet|macht|sucht|schreibt)\b"
_ADDRESS = {
    "Sie": re.compile(
        rf"(?<=[\w,;] )Sie\b|\bIhnen\b|\bIhre[mnrs]?\b|\bIhr\b(?! {_IHR_VERBS})|[Ss]ehr geehrte"
    ),
    "du": re.compile(r"\b[Dd](?:u|ich|ir|ein|eine[mnrs]?)\b"),
    "ihr": re.compile(rf"\b[Ee](?:uch|uer|ure[mnrs]?)\b|\b[Ii]hr {_IHR_VERBS}"),
}
# English: by the letter's first line. Casual is a greeting of friends, or a line that holds a name
# and nothing else.
_FORMAL = re.compile(
    r"(?:dear|good (?:morning|afternoon|evening|day)|to whom|sir|madam|esteemed|respected|attn"
    r"|attention|mrs?\b|ms\b|dr\b)\b",
    re.IGNORECASE,
)
_CASUAL = re.compile(
    r"(?:hi|hiya|hey|heya|hello|howdy|yo|g'day|ahoy|greetings|morning|afternoon|evening|folks|team"
    r"|all)\b|[\w'’. &-]{1,30}[,!:;–-]$",
    re.IGNORECASE,
)

# A field that the sender's program should have filled; behind "Hallo ," one that was empty.
_MERGE_FIELD = re.compile(
    r"(?<![\w\\])\{\{?[a-z][\w.| '-]{1,40}\}|%%\w+%%|\*\|\w+\|\*|<<[\w ]+>>"
    r"|\[(?:(?:first|last) ?name|(?:vor|nach)?name|firma|company|website|webseite)\]"
    r"|^(?:hi|hello|hey|dear|hallo|liebe|lieber) ,",
    re.IGNORECASE | re.MULTILINE,
)
# In the languages of the corpus. It counts in the last lines only.
_UNSUBSCRIBE = re.compile(
    r"unsubscribe|opt.?out|stop receiving|remove me|abmeld|abbestell|austragen|désinscri|désabonn"
    r"|darse de baja|disiscri|uitschrijv|afmeld|wypis",
    re.IGNORECASE,
)
_FOOTER = 500  # characters from the end of a letter
_SIGNATURE = 3  # lines: below that it is a name, not a signature
_ENCODING = re.compile(rb"^content-transfer-encoding:[ \t]*([\w-]+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Mail:
    """A mail of the corpus with its text; everything that is counted is derived from these."""

    example: Example
    text: MailText

    @property
    def label(self) -> str:
        return self.example.label

    @property
    def language(self) -> str:
        return self.example.language

    @property
    def length(self) -> str:
        """``short``, ``middle`` or ``long``, by the words of the letter up to its sign-off."""
        count = len(self.text.body.split())
        return "short" if count < SHORT else "long" if count > LONG else "middle"

    @property
    def register(self) -> str:
        """How it speaks to its reader; only for German and English."""
        return _german(self.text.body) if self.language == "de" else _english(self.text.body)

    @cached_property
    def forms(self) -> frozenset[str]:
        """``html``, what stands around the letter, and ``charset NAME``, ``encoding NAME``."""
        return frozenset(_octet_forms(self.example.content)) | frozenset(_text_forms(self))


def read_mails(examples: Iterable[Example]) -> list[Mail]:
    """The examples with their text."""
    return [Mail(example, read_text(example.content)) for example in examples]


def _german(text: str) -> str:
    hits = {name: len(pattern.findall(text)) for name, pattern in _ADDRESS.items()}
    most = max(hits, key=lambda name: hits[name])
    return most if hits[most] else "impersonal"


def _english(text: str) -> str:
    first = next((line.strip() for line in text.split("\n") if line.strip()), "")
    if _FORMAL.match(first):
        return "formal"
    return "casual" if _CASUAL.match(first) else "none"


def _octet_forms(content: bytes) -> Iterator[str]:
    kinds = [v for n, v in _header(content) if n == b"content-type"]
    parts = list(mime.text_parts(content))
    if any(part.html for part in parts) or any(k.lower().startswith(b"multipart/") for k in kinds):
        yield "html"
    for part in parts:
        yield f"charset {part.charset.lower()}"
    for name in _ENCODING.findall(content):
        yield f"encoding {name.decode('ascii').lower()}"


def _text_forms(mail: Mail) -> Iterator[str]:
    text = mail.text
    if text.quoted.strip():
        yield "quoted"
    listed = any(name == b"list-unsubscribe" for name, _ in _header(mail.example.content))
    if listed or _UNSUBSCRIBE.search(text.body[-_FOOTER:] + "\n" + text.signature):
        yield "unsubscribe"
    if _MERGE_FIELD.search(f"{text.subject}\n{text.body}"):
        yield "merge-field"
    if sum(bool(line.strip()) for line in text.signature.split("\n")) >= _SIGNATURE:
        yield "signature"


def _header(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    return header.fields(content[: header.end_of_header(content)])


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the plan: at least ``low``, at most ``high`` if given; mails, or a share."""

    section: str
    name: str
    low: float
    there: float
    high: float | None = None
    share: bool = False

    @property
    def missing(self) -> float:
        """How much must come; negative: how much there is too much; 0 where the plan is met."""
        if self.there < self.low:
            return self.low - self.there
        return min(0.0, self.high - self.there) if self.high is not None else 0.0

    @property
    def planned(self) -> str:
        """``low`` (and ``high``) as people write it."""
        low = self._said(self.low)
        return f"{low} to {self._said(self.high)}" if self.high is not None else low

    @property
    def counted(self) -> str:
        return self._said(self.there)

    @property
    def lacking(self) -> str:
        """``missing`` in words, empty where nothing is."""
        if not self.missing:
            return ""
        return self._said(self.missing) if self.missing > 0 else f"{self._said(-self.missing)} over"

    def _said(self, number: float) -> str:
        return f"{number:.1%}" if self.share else f"{number:.0f}"


def read_plan() -> dict[str, Any]:
    """The plan as it stands in its file."""
    return tomllib.loads(_PLAN.read_text(encoding="utf-8"))


def compare(plan: dict[str, Any], mails: Sequence[Mail]) -> list[Row]:
    """Every line of the plan with what there is of it, in the order of the file."""
    parts = (_languages, _cells, _shares, _lengths, _registers, _forms, _octets, _themes)
    return [row for part in parts for row in part(plan, mails)]


def unplanned(plan: dict[str, Any], mails: Sequence[Mail]) -> list[str]:
    """Themes (``label/theme``) that the corpus has and the plan does not."""
    known = {
        f"{label}/{theme}"
        for label, kinds in plan["themes"].items()
        for themes in kinds.values()
        for theme in themes
    }
    return sorted({mail.example.group for mail in mails} - known)


def _family(mail: Mail) -> str:
    return mail.language if mail.language in PLANNED_LANGUAGES else "others"


def _languages(plan: dict[str, Any], mails: Sequence[Mail]) -> Iterator[Row]:
    there = Counter(_family(mail) for mail in mails)
    for language, low in plan["languages"].items():
        yield Row("languages", language, low, there[language])


def _cells(plan: dict[str, Any], mails: Sequence[Mail]) -> Iterator[Row]:
    there = Counter((mail.language, mail.label) for mail in mails)
    there.update(("others", mail.label) for mail in mails if _family(mail) == "others")
    for language, labels in plan["cells"].items():
        for label, low in labels.items():
            yield Row("cells", f"{language} {label}", low, there[language, label])


def _shares(plan: dict[str, Any], mails: Sequence[Mail]) -> Iterator[Row]:
    there, tolerance = Counter(mail.label for mail in mails), plan["shares"]["tolerance"]
    for label in LABELS:
        aim = plan["shares"][label]
        share = _share(there[label], len(mails))
        yield Row("shares", label, aim - tolerance, share, aim + tolerance, share=True)


def _lengths(plan: dict[str, Any], mails: Sequence[Mail]) -> Iterator[Row]:
    for language in PLANNED_LANGUAGES:
        yield from _by_label("lengths", language, plan["lengths"], mails)


def _registers(plan: dict[str, Any], mails: Sequence[Mail]) -> Iterator[Row]:
    for language in PLANNED_LANGUAGES:
        yield from _by_label("registers", language, plan["registers"][language], mails)


def _by_label(
    section: str, language: str, lows: dict[str, float], mails: Sequence[Mail]
) -> Iterator[Row]:
    """Shares of a trait's values within a language, label by label."""
    for label in LABELS:
        cell = [mail for mail in mails if (mail.language, mail.label) == (language, label)]
        there = Counter(mail.length if section == "lengths" else mail.register for mail in cell)
        for name, low in lows.items():
            share = _share(there[name], len(cell))
            yield Row(section, f"{language} {label} {name}", low, share, share=True)


def _forms(plan: dict[str, Any], mails: Sequence[Mail]) -> Iterator[Row]:
    there = Counter((form, mail.label) for mail in mails for form in mail.forms)
    total = Counter(mail.label for mail in mails)
    band = plan["html"]
    for label in LABELS:
        share = _share(there["html", label], total[label])
        yield Row("forms", f"html {label}", band["low"], share, band["high"], share=True)
    for form, lows in plan["forms"].items():
        for label, low in lows.items():
            yield Row("forms", f"{form} {label}", low, there[form, label])


def _octets(plan: dict[str, Any], mails: Sequence[Mail]) -> Iterator[Row]:
    there = Counter(form for mail in mails for form in mail.forms)
    for section, kind in (("charsets", "charset"), ("encodings", "encoding")):
        for name, low in plan[section].items():
            yield Row(section, name, low, there[f"{kind} {name}"])


def _themes(plan: dict[str, Any], mails: Sequence[Mail]) -> Iterator[Row]:
    there = Counter((mail.example.group, mail.language) for mail in mails)
    for label, kinds in plan["themes"].items():
        for kind, themes in kinds.items():
            for theme, lows in themes.items():
                for language, low in lows.items():
                    count = there[f"{label}/{theme}", language]
                    yield Row(f"{label}: {kind}", f"{language} {theme}", low, count)


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0
