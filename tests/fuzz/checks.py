"""What must hold whatever octets come: the invariants that the fuzz targets try and pytest replays.

Each check takes the octets of one input and raises where an invariant does not hold. What the code
must do is written down a second time here, slowly and line by line, so that both must be wrong in
the same way to agree. Nothing here needs atheris.
"""

from __future__ import annotations

import ast
import encodings
import itertools
import math
import random
import re
import signal
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from fuzz.wire_checks import lines_of, wire

from milter.mail import header as h
from milter.mail import mime
from milter.mail.folder import as_content
from milter.mail.text import MAX_TEXT, read_text
from milter.spam.features import SIZE, views
from milter.spam.tokens import MAX_WORDS, Tokens, tokenize

_HERE = Path(__file__).parent
# Seconds of CPU that text may take, whatever it is: the filter's own deadline is of this order.
CPU = 1.0
_SUBJECT = 2000  # octets of a subject that are read, so characters that can come of it


# --- header --------------------------------------------------------------------------------------

OURS = (
    b"X-Coop-Verdict: fake; score=0.99; asks=link,publication;\r\n model=2026.11.23-3f2a91c\r\n",
    b"X-Coop-Clues: ask link (+1.1)\r\n",
)
_NAMES = {h.VERDICT.lower(), h.CLUES.lower()}
_FIELD_LINE = re.compile(rb"[!-9;-~]+[ \t]*:")
# Mailbox lines: Postfix (3.7, tried) takes any number of them, with any number of angles.
_FROM = re.compile(rb"(?:>*From [^\n]*\n)+")


def header(octets: bytes) -> None:
    """Reading and editing of a header; files come with any line ends, as for ``check``."""
    content = as_content(octets)
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"  # all content is like that
    rest = _without_ours(content)
    assert h.without_ours(content) == rest, "more or less than our fields is taken out"
    if rest == content:
        assert h.without_ours(content) is content
    for ours in (OURS[:1], OURS):
        _edited(content, rest, list(ours))
    _read_ranges(content)
    _read_fields(content)


def _fields(block: list[bytes]) -> list[bytes]:
    """Lines put together where they are folded; a folded line on top stands alone."""
    found: list[bytes] = []
    for line in block:
        if line[:1] in b" \t" and found:
            found[-1] += line
        else:
            found.append(line)
    return found


def _is_ours(field: bytes) -> bool:
    name, colon, _ = field.partition(b":")
    return bool(colon) and name.replace(b"\r\n", b"").rstrip(b" \t\v\f").lower() in _NAMES


def _up_to_empty(lines: list[bytes]) -> int:
    return next((number for number, line in enumerate(lines) if line == b"\r\n"), len(lines))


def _without_ours(content: bytes) -> bytes:
    lines = lines_of(content)
    end = _up_to_empty(lines)
    kept = [field for field in _fields(lines[:end]) if not _is_ours(field)]
    return b"".join(kept + lines[end:])


def _edited(content: bytes, rest: bytes, ours: list[bytes]) -> None:
    made = h.with_fields(content, ours)
    fields = b"".join(ours)
    mailbox = _FROM.match(rest)
    top = mailbox[0] if mailbox else b""
    assert made.startswith(top + fields), "our field is not on top"
    below = made[len(top + fields) :]
    assert below in (rest[len(top) :], b"\r\n" + rest[len(top) :]), "other octets were changed"
    lines = lines_of(made)
    found = [field for field in _fields(lines[: _up_to_empty(lines)]) if _is_ours(field)]
    assert found == ours, "ours are not the only ones of ours, or were changed"
    assert h.with_fields(made, ours) == made, "a second edit changes the mail"
    assert h.with_fields(made, list(OURS[:1])) == h.with_fields(content, list(OURS[:1]))
    before, body = _as_postfix(rest)
    after, same = _as_postfix(made)
    assert same == body, "header and body are parted elsewhere now"
    first = len(lines_of(top))
    assert after == before[:first] + ours + before[first:], "Postfix sees other fields"


def _as_postfix(content: bytes) -> tuple[list[bytes], bytes]:
    """Header fields and body as Postfix's smtpd and cleanup tell them apart.

    Mailbox lines on top are fields; a blank in the first line, or a line that is no field, makes
    the rest a body.
    """
    top = _FROM.match(content)
    at = first = len(lines_of(top[0])) if top else 0
    lines = lines_of(content)
    while at < len(lines):
        folded = lines[at][:1] in b" \t" and at > first
        if not folded and not _FIELD_LINE.match(lines[at]):
            break
        at += 1
    return _fields(lines[:at]), b"".join(lines[at:]).removeprefix(b"\r\n")


def _read_ranges(content: bytes) -> None:
    fields, body = _as_postfix(content)
    head_end, start = h.body_range(content, 0, len(content))
    assert content[:head_end] == b"".join(fields), "the header ends elsewhere"
    assert content[start:] == body, "the body begins elsewhere"
    dice = random.Random(zlib.crc32(content))
    lines = lines_of(content)
    places = [0, *itertools.accumulate(len(line) for line in lines)]
    for _ in range(4):  # as for MIME parts: from a line's start to anywhere
        begin = dice.choice(places)
        stop = dice.randint(begin, len(content))
        head_end, start = h.body_range(content, begin, stop)
        assert begin <= head_end <= start <= stop, "a range beyond its limits"
        assert content[head_end:start] in (b"", b"\r\n")
        fields, body = _as_postfix(content[begin:stop])
        assert content[begin:head_end] == b"".join(fields), "a part's header ends elsewhere"
        assert content[start:stop] == body, "a part's body begins elsewhere"


def _read_fields(content: bytes) -> None:
    head_end, _ = h.body_range(content, 0, len(content))
    mailbox = _FROM.match(content)
    lines = lines_of(content[mailbox.end() if mailbox else 0 : head_end])
    expected = []
    for field in _fields(lines):
        name, _, value = field.partition(b":")
        expected.append((name.rstrip(b" \t").lower(), value.replace(b"\r\n", b"").strip(b" \t")))
    assert list(h.fields(b"".join(lines))) == expected, "fields are read differently"
    for name, value in h.fields(content):  # a body, too, must not break it
        assert re.fullmatch(rb"[!-9;-~]+", name)
        assert b"\n" not in value


# --- text ----------------------------------------------------------------------------------------


class TooSlow(Exception):
    """Text took more CPU than it may; where it stood is in the traceback."""


def text(octets: bytes) -> None:
    """From content to features. Octets with CRLF in them are taken as they are."""
    content = octets if b"\r\n" in octets else as_content(octets)
    with _cpu(CPU):
        mail = read_text(content)
        assert mail.readable in (True, False)
        tokens = tokenize(mail)
        found, *heads = views(tokens)
    assert len(mail.subject) <= _SUBJECT
    assert len(mail.body) + len(mail.quoted) + len(mail.signature) <= MAX_TEXT + 2
    assert len(mail.hidden) <= MAX_TEXT
    _words(tokens)
    assert found.ids.dtype == np.int64
    assert len(found.ids) == len(found.values)
    # of the subject each word, its beginning, itself again, two runs; of the body all but the third
    assert len(found.ids) <= 9 * MAX_WORDS + 100
    assert not len(found.ids) or (found.ids.min() >= 0 and found.ids.max() < SIZE)
    assert all(math.isfinite(value) and value > 0 for value in found.values)
    assert all(set(head.ids.tolist()) <= set(found.ids.tolist()) for head in heads)
    assert all(found.name(number) for number in range(len(found.ids)))
    for part in itertools.islice(mime.text_parts(content), mime.MAX_PARTS + 1):
        assert len(part.octets) <= mime.MAX_PART
        assert part.charset.isascii()
    _kept(tokens)


def _kept(tokens: Tokens) -> None:
    """What stays in memory when the mail is gone must not be of the sender's size."""
    for stream in (tokens.subject, tokens.body):  # features and lexicon remember their words
        assert sum(map(len, stream)) <= 2 * MAX_TEXT, "words grow beyond the text that is read"
    made_up = [name for name, codec in encodings._cache.items() if not codec and len(name) > 40]
    for name in made_up:
        del encodings._cache[name]
    assert not made_up, "Python remembers a charset's name that a mail made up"


def _words(tokens: Tokens) -> None:
    for stream in (tokens.subject, tokens.body, tokens.quoted, tokens.signature):
        assert len(stream) <= MAX_WORDS
        for word in stream:
            assert word
            assert " " not in word, "a word of two"
    assert tokens.notes == sorted(set(tokens.notes))
    assert set(tokens.notes) <= {"hidden", "homoglyphs", "invisible", "spaced"}


@contextmanager
def _cpu(seconds: float) -> Iterator[None]:
    """Raise ``TooSlow`` at the place where the CPU time of this process is used up."""
    start = time.process_time()

    def stop(*_: object) -> None:
        left = start + seconds - time.process_time()
        if left <= 0:
            raise TooSlow
        signal.setitimer(signal.ITIMER_PROF, left + 0.001)  # it counts in ticks: it was early

    previous = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


# --- all of them ---------------------------------------------------------------------------------

TARGETS: dict[str, Callable[[bytes], None]] = {"wire": wire, "header": header, "text": text}


def load(path: Path) -> bytes:
    """The octets of a seed or finding.

    A file whose name ends in ``.parts`` says them in lines of a count and a Python literal of
    octets, each repeated so often: inputs that are slow are long and dull.
    """
    if path.suffix != ".parts":
        return path.read_bytes()
    made = []
    for line in path.read_text(encoding="ascii").splitlines():
        count, literal = line.split(maxsplit=1)
        made.append(ast.literal_eval(literal) * int(count))
    return b"".join(made)


def fault(target: str, octets: bytes) -> str:
    """Where an invariant breaks and on what: the same text for the same bug, empty for none."""
    try:
        TARGETS[target](octets)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "/milter/" in f.filename or Path(f.filename).parent == _HERE]
        if isinstance(error, TooSlow):
            ours = [f for f in ours if "/milter/" in f.filename] or ours
        last = ours[-1]
        place = f"{Path(last.filename).name}:{last.lineno} {last.name}"
        return f"{type(error).__name__} in {place}: {str(error)[:60] or last.line}"
    return ""


if __name__ == "__main__":  # TARGET FILE: is it a finding without atheris, too?
    print(fault(sys.argv[1], load(Path(sys.argv[2]))))
