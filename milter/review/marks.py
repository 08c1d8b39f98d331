"""One mail as text that is safe to show, with asks, offers and clues marked where they stand.

The text is the one that the filter judged (``milter.mail.text``), not the one that a mail client
would paint: what is hidden is told apart, and nothing of a mail but its letters reaches the page.
Never raises on account of the mail.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from milter.mail import mime
from milter.mail.html import MAX_HTML
from milter.mail.text import MAX_TEXT, MailText, read_text, unencoded
from milter.review.places import Span, spans
from milter.review.shown import pieces, safe
from milter.spam.bundle import Bundle
from milter.spam.terms import lexicon
from milter.spam.tokens import tokenize
from milter.spam.verdict import Judgement, Reason, judge, unscored

# Words that the longest phrase takes, the ones that may stand between its own included.
LONGEST_PHRASE = 32
# Characters of a file's name that are shown.
_MAX_NAME = 120
# Characters that go where quotes and signature are taken off a text: less than its whole length.
_SLACK = 500
_HTML = frozenset({b"text/html", b"application/xhtml+xml"})
# What covers what, where two marks meet.
_RANKS = {"ask": 0, "offer": 1, "clue": 2}
_KINDS = {"asks": "ask", "offers": "offer", "signs": "sign"}
_SPELLINGS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l"}
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text and what it is.

    ``kind``: empty, ``ask``, ``offer``, ``clue``, ``odd`` or ``end``. ``title``: the ask's or
    offer's name, the clue with its weight (as in X-Coop-Clues), the name of the character that
    cannot be shown. ``also``: asks and offers that stand in the same words, ``offer link``. The
    one of kind ``end`` has no text: it stands where the filter stopped reading.
    """

    text: str
    kind: str = ""
    title: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the mail that is not shown: its file name and type, safe, and its octets, about."""

    name: str
    kind: str
    octets: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A mail to read. Texts are in segments; those of one text together are the whole of it.

    ``body`` is the letter up to its sign-off, ``signature`` what stands below, ``quoted`` what it
    quotes, ``hidden`` what the sender hides from the reader. Only subject and body have marks, for
    nothing else counts. ``unplaced``: asks and offers that were found, but not in a place that
    could be marked, as ``ask link``. ``cut``: the mail has more text than the filter reads.
    ``html_only``: there is no plain text beside the HTML. ``disguises``: ``invisible``,
    ``homoglyphs``, ``spaced``, ``hidden``.
    """

    judgement: Judgement
    subject: tuple[Segment, ...]
    body: tuple[Segment, ...]
    signature: tuple[Segment, ...] = ()
    quoted: tuple[Segment, ...] = ()
    hidden: tuple[Segment, ...] = ()
    unplaced: tuple[str, ...] = ()
    disguises: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    cut: bool = False
    html_only: bool = False


@dataclass(frozen=True, slots=True)
class _Mark:
    """What is to be marked: words ``first`` up to ``behind`` of a text."""

    kind: str
    title: str
    first: int
    behind: int

    @property
    def order(self) -> tuple[int, int, int]:
        """What covers another mark stands first: an ask an offer, the longer one the shorter."""
        return _RANKS[self.kind], self.first - self.behind, self.first

    @property
    def name(self) -> str:
        """As it is called beside another one in the same place."""
        return f"{self.kind} {self.title}"


@dataclass(slots=True)
class _Run:
    """Neighbouring words with one mark, and the asks and offers that it covers wholly."""

    mark: _Mark
    start: int
    end: int
    also: list[str] = field(default_factory=list)


def marked(content: bytes, bundle: Bundle) -> Reading:
    """Read a mail (octets, CRLF lines) and mark in it what the filter found."""
    mail = read_text(content)
    tokens = tokenize(mail)
    judgement = judge(tokens, bundle)
    if not mail.readable:
        judgement = unscored(Reason.UNREADABLE, bundle.version)
    sites = {*mail.own_sites, *mail.their_sites}
    titled = _Text(mail.subject, tokens.subject, sites, judgement)
    lettered = _Text(mail.body, tokens.body, sites, judgement)
    seen = {*titled.seen, *lettered.seen}
    told = [*(f"ask {one}" for one in judgement.asks), *(f"offer {o}" for o in judgement.offers)]
    leaves = list(mime.leaves(content))
    return Reading(
        judgement=judgement,
        subject=tuple(titled.segments()),
        body=tuple(lettered.segments(ended=tokens.longer)),
        signature=tuple(_plain(mail.signature)),
        quoted=tuple(_plain(mail.quoted)),
        hidden=tuple(_plain(mail.hidden)),
        unplaced=tuple(name for name in told if name not in seen),
        disguises=tuple(tokens.notes),
        parts=tuple(_unshown(leaves)),
        cut=_is_cut(mail, leaves),
        html_only=_is_html_only(leaves),
    )


class _Text:
    """A text, its words, and the marks that they get."""

    def __init__(
        self, text: str, words: Sequence[str], sites: Iterable[str], judgement: Judgement
    ) -> None:
        self._text = text
        self._places = spans(text, words, frozenset(sites))
        marks = sorted(_united(_marks(words, judgement)), key=lambda mark: mark.order)
        self._runs = self._painted(marks)
        #: The asks and offers that can be seen, as ``ask link``.
        self.seen = {run.mark.name for run in self._runs}
        self.seen |= {name for run in self._runs for name in run.also}

    def segments(self, ended: bool = False) -> Iterator[Segment]:
        """The text in segments; ``ended``: it goes on behind its last word that was read."""
        at = 0
        stop = max((end for _, end in filter(None, self._places)), default=0) if ended else 0
        for run in self._runs:
            yield from _plain(self._text[at : run.start])
            yield from _plain(self._text[run.start : run.end], run)
            at = run.end
        if stop and self._text[stop:].strip():
            yield from _plain(self._text[at:stop])
            yield Segment("", "end")
            at = stop
        yield from _plain(self._text[at:])

    def _painted(self, marks: list[_Mark]) -> list[_Run]:
        """The marks without overlaps, in the order of the text."""
        owners: list[_Mark | None] = [None] * len(self._places)
        for mark in marks:
            for at in range(mark.first, mark.behind):
                owners[at] = owners[at] or mark
        runs = list(self._joined(owners))
        self._mention(marks, runs)
        return runs

    def _joined(self, owners: list[_Mark | None]) -> Iterator[_Run]:
        """Neighbours with one mark as one run; words of one place have the first one's mark."""
        run: _Run | None = None
        for owner, place in zip(owners, self._places, strict=True):
            if place is None or (run and place[0] < run.end):
                continue
            if run and owner is run.mark:
                run.end = place[1]
                continue
            if run:
                yield run
            run = _Run(owner, *place) if owner else None
        if run:
            yield run

    def _mention(self, marks: list[_Mark], runs: list[_Run]) -> None:
        """Say of asks and offers that are covered everywhere by what they are covered."""
        visible = {run.mark.name for run in runs}
        for mark in marks:
            if mark.kind == "clue" or mark.name in visible:
                continue
            for run in self._meeting(mark, runs):
                if mark.name not in run.also:
                    run.also.append(mark.name)

    def _meeting(self, mark: _Mark, runs: list[_Run]) -> list[_Run]:
        places = [place for place in self._places[mark.first : mark.behind] if place]
        if not places:
            return []
        start, end = places[0][0], places[-1][1]
        return [run for run in runs if run.start < end and start < run.end]


def _plain(text: str, run: _Run | None = None) -> Iterator[Segment]:
    """Text as segments, marked or not; what cannot be shown is one of its own."""
    for shown, odd in pieces(text):
        if odd:
            yield Segment(shown, "odd", odd)
        elif run:
            yield from _by_line(shown, run)
        else:
            yield Segment(shown)


def _by_line(text: str, run: _Run) -> Iterator[Segment]:
    """Marked text; the mark ends with a line, so that none covers what is between two."""
    for line in text.splitlines(keepends=True):
        words = line.rstrip()
        if words:
            yield Segment(words, run.mark.kind, safe(run.mark.title), tuple(run.also))
        if words != line:
            yield Segment(line[len(words) :])


def _united(marks: Iterable[_Mark]) -> Iterator[_Mark]:
    """The marks, those that say the same of overlapping words as one."""
    last: dict[str, _Mark] = {}
    for mark in sorted(marks, key=lambda mark: mark.first):
        before = last.get(mark.name)
        if before and mark.first < before.behind:
            mark = replace(before, behind=max(mark.behind, before.behind))
        elif before:
            yield before
        last[mark.name] = mark
    yield from last.values()


def _marks(words: Sequence[str], judgement: Judgement) -> Iterator[_Mark]:
    """What the judgement names, wherever it stands among the words."""
    told = {("asks", name) for name in judgement.asks}
    told |= {("offers", name) for name in judgement.offers}
    clues = {name: f"{name} ({weight:+.1f})" for name, weight in judgement.clues}
    for meaning, first, behind in _phrases(words):
        kind, name = _KINDS[meaning[0]], meaning[1]
        if meaning in told:
            yield _Mark(kind, name, first, behind)
        elif kind == "sign" and f"sign {name}" in clues:
            yield _Mark("clue", clues[f"sign {name}"], first, behind)
    for name, title in clues.items():
        for first, behind in _runs_of(name, words):
            yield _Mark("clue", title, first, behind)


def _phrases(words: Sequence[str]) -> Iterator[tuple[tuple[str, str], int, int]]:
    """Meaning, first word and the place behind the last one of each phrase that stands there.

    The lexicon tells where the first phrase of a meaning ends. Asked for every place of the text,
    from the last to the first, it tells where each begins: where its answer changes. (It changes,
    too, where a phrase further down does not fit the stretch any more; then nothing begins here.)
    """
    later: dict[tuple[str, str], int] = {}
    for first in range(len(words) - 1, -1, -1):
        ends = dict(lexicon().find(words[first : first + LONGEST_PHRASE]).ends)
        for meaning, end in ends.items():
            stretch = words[first + 1 : first + end]
            if later.get(meaning) != end - 1 and meaning not in lexicon().find(stretch).ends:
                yield meaning, first, first + end
        later = ends


def _runs_of(name: str, words: Sequence[str]) -> Iterator[Span]:
    """Where the words of a clue stand; one that ends in a dash is the beginning of a long word."""
    if name.endswith("-"):
        for at, word in enumerate(words):
            spelled = _spelled(word)
            if len(spelled) >= len(name) and spelled.startswith(name[:-1]):
                yield at, at + 1
        return
    wanted = name.split(" ")
    for at in range(len(words) - len(wanted) + 1):
        if words[at] == wanted[0] and list(words[at : at + len(wanted)]) == wanted:
            yield at, at + len(wanted)


def _spelled(word: str) -> str:
    """A word as the beginnings of words are spelled: no accents, umlauts as two letters."""
    if word.isascii():
        return word
    parts = unicodedata.normalize("NFKD", word.translate(_SPELLINGS))
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def _unshown(leaves: Iterable[mime.Leaf]) -> Iterator[Part]:
    """The parts that are no text of the mail: files, pictures, attached mails."""
    for leaf in leaves:
        if _is_text(leaf):
            continue
        octets = len(leaf.octets)
        if leaf.encoding == b"base64":
            octets = octets * 3 // 4
        yield Part(_short(unencoded(leaf.name[:2000])), _short(leaf.kind.decode("latin-1")), octets)


def _is_text(leaf: mime.Leaf) -> bool:
    return not leaf.name and (leaf.kind.startswith(b"text/") or leaf.kind in _HTML)


def _short(name: str) -> str:
    """A name of a file or type for people: one line, safe, and not without end."""
    line = safe(" ".join(name.split()))
    return line if len(line) <= _MAX_NAME else f"{line[: _MAX_NAME - 1]}…"


def _is_cut(mail: MailText, leaves: list[mime.Leaf]) -> bool:
    """Whether the mail says more than is read of it."""
    shown = len(mail.body) + len(mail.signature) + len(mail.quoted)
    return shown >= MAX_TEXT - _SLACK or any(
        len(leaf.decoded()) > (MAX_HTML if leaf.kind in _HTML else MAX_TEXT)
        for leaf in leaves
        if _is_text(leaf)
    )


def _is_html_only(leaves: list[mime.Leaf]) -> bool:
    texts = [leaf for leaf in leaves if _is_text(leaf) and leaf.octets.strip()]
    return bool(texts) and all(leaf.kind in _HTML for leaf in texts)
