"""From content to the text that its reader sees: subject, body, what is quoted, what is hidden."""

from __future__ import annotations

import re
from dataclasses import dataclass

from milter.mail import charset, header, mime
from milter.mail.html import MAX_HTML, to_text
from milter.mail.sites import read_sites

# Characters of body that are read. A pitch makes its point in the first page; what stands behind
# some twenty thousand characters is padding, and scoring must stay quick.
MAX_TEXT = 20000
# Words of a part that must be new for it to be read besides another (multipart/alternative has
# the same text twice; where the two differ, one of them may be there to fool a filter).
_NEW_SHARE = 0.3

# What text does not have: control characters but for line ends and tabs, and octets that no charset
# explains. Some slip into real mails; one in twenty is no mail that anybody could read.
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd]")
_NO_TEXT_SHARE = 0.05

_ENCODED_WORD = re.compile(
    rb"=\?([!-~]{1,40}?)\?([BbQq])\?([!->@-~]{0,2000}?)\?=(?:[ \t]+(?==\?))?"
)
# A line that ends a letter proper: a few words that wish well, in the languages of the corpus.
_SIGN_OFF = re.compile(
    r"[ \t>*]*(?:-- ?$|(?:(?:with |mit |met |con |cordiali |z )?(?:my |our |meinen |unseren )?"
    r"(?:very |vielen )?(?:best|kind(?:est)?|warm(?:est)?|sincere(?:ly)?|yours|regards|cheers"
    r"|thanks|thank you|many thanks|respectfully|cordially|freundlich|viele|liebe|beste|sch[oö]ne"
    r"|herzlich|sonnige|gr[uü](?:ß|ss)|lg\b|vg\b|mfg\b|hochachtungsvoll|cordialement|bien à vous"
    r"|salutations|saludos|atentamente|un saluti?|saluti|distinti|groet|vriendelijke|pozdraw"
    r"|poważaniem)[^.?!\n]{0,40}[,.!]*[ \t]*$))",
    re.MULTILINE | re.IGNORECASE,
)
# Words that a letter has before its sign-off.
_LETTER = 8
_REPLY_HEAD = re.compile(
    r"^(?:-{2,}\s*(?:Original Message|Ursprüngliche Nachricht|Originalnachricht|Forwarded message"
    r"|Weitergeleitete Nachricht|Weitergeleitete E-Mail|Message d'origine|Mensaje original)\b.*"
    r"|(?:On|Am|Le|El|Il|Op|W dniu)\s.{6,120}"
    r"\s?(?:wrote|schrieb(?:en)?|a écrit|escribió|ha scritto|schreef|napisał\(?a?\)?)\b.{0,80}:\s*"
    r")$",
    re.MULTILINE,
)
# What every such headline has in it; that few letters have, and it is found much sooner.
_REPLY_COLON = re.compile(r":\s*$", re.MULTILINE)
_REPLY_RULE = re.compile(r"--\s*[A-Z]")


@dataclass(frozen=True, slots=True)
class MailText:
    """What one mail says. All are Unicode text with LF line ends, empty where there is none.

    ``signature``: what stands below the sign-off. ``their_sites`` and ``own_sites``: the names of
    the domains that the mail goes to and comes from, lower case, without those of mail providers;
    ``sender``: who gets the answer, by site or address (``mail.sites``).
    """

    subject: str
    body: str
    quoted: str
    hidden: str
    signature: str = ""
    their_sites: tuple[str, ...] = ()
    own_sites: tuple[str, ...] = ()
    sender: str = ""

    @property
    def readable(self) -> bool:
        """Whether this is text at all, not octets of something else that were taken for it."""
        text = self.body[:4000]
        return len(_NO_TEXT.findall(text)) <= _NO_TEXT_SHARE * len(text)


def read_text(content: bytes) -> MailText:
    """The text of a mail; never fails on account of what is in it, and reads under caps."""
    end, start = header.body_range(content, 0, len(content))
    fields = list(header.fields(content[: min(end, mime.MAX_HEADER)]))
    subject = next((value for name, value in fields if name == b"subject"), b"")
    visible, hidden = _body(list(mime.text_parts_below(content, fields, start)))
    own, quoted = _split_quoted(visible)
    body, signature = _split_signature(own)
    sites = read_sites(fields)
    return MailText(
        subject=unencoded(subject[:2000]),
        body=body,
        quoted=quoted,
        hidden=hidden,
        signature=signature,
        their_sites=sites.theirs,
        own_sites=sites.own,
        sender=sites.sender,
    )


def unencoded(value: bytes) -> str:
    """A header value with its encoded words (RFC 2047) decoded, whoever put 8-bit into it."""
    if b"=?" not in value:
        return _lines(charset.decode(value))
    # Octets and their charset; neighbours of one charset are joined before they are decoded,
    # because mailers cut letters in two.
    pieces: list[tuple[bytes, str]] = [(b"", "")]
    at = 0

    def add(octets: bytes, name: str) -> None:
        before, known = pieces[-1]
        if name == known:
            pieces[-1] = (before + octets, name)
        elif octets:
            pieces.append((octets, name))

    for match in _ENCODED_WORD.finditer(value):
        add(value[at : match.start()], "")
        name, encoding, text = match.groups()
        if encoding in b"Qq":
            octets = mime.decoded(text.replace(b"_", b" "), b"quoted-printable")
        else:
            octets = mime.decoded(text, b"base64")
        add(octets, name.partition(b"*")[0].decode("ascii").lower())
        at = match.end()
    add(value[at:], "")
    return _lines("".join(charset.decode(octets, name) for octets, name in pieces))


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _body(parts: list[mime.TextPart]) -> tuple[str, str]:
    """Visible and hidden text of all parts; attachments only where there is nothing else."""
    inline = [part for part in parts if not part.attached]
    texts, hidden = _read(inline)
    if not any(texts):
        texts, more = _read([part for part in parts if part.attached])
        hidden += more
    return "\n".join(_distinct(texts))[:MAX_TEXT], "\n".join(hidden)[:MAX_TEXT]


def _read(parts: list[mime.TextPart]) -> tuple[list[str], list[str]]:
    texts, hidden = [], []
    left, html_left = 2 * MAX_TEXT, MAX_HTML
    for part in sorted(parts, key=lambda part: not part.html):  # of two equals, the HTML is shown
        if left <= 0:
            break
        text = charset.decode(part.octets, part.charset)
        if part.html:
            html = to_text(text[:html_left], MAX_TEXT)
            html_left -= min(len(text), html_left)
            text = html.visible
            hidden.append(html.hidden)
        texts.append(text[:MAX_TEXT].replace("\r\n", "\n"))
        left -= len(texts[-1])
    return texts, [text for text in hidden if text]


def _distinct(texts: list[str]) -> list[str]:
    """The texts without those that say what another has said."""
    if len(texts) < 2:
        return texts
    kept: list[str] = []
    known: set[str] = set()
    for text in texts:
        words = set(text.split())
        if words and (not kept or len(words - known) > _NEW_SHARE * len(words)):
            kept.append(text)
            known |= words
    return kept


def _split_quoted(text: str) -> tuple[str, str]:
    """A body's own words, and what it quotes: ``>`` lines, and all below a reply's headline."""
    may_quote = _REPLY_COLON.search(text) or _REPLY_RULE.search(text)
    head = _REPLY_HEAD.search(text) if may_quote else None
    own, below = (text[: head.start()], text[head.end() :]) if head else (text, "")
    if not own.strip():  # forwarded without a word: then that is what the mail says
        own, below = below, ""
    if ">" not in own:
        return own, below
    lines = own.split("\n")
    quoted = [line.lstrip("> ") for line in lines if line.startswith(">")]
    rest = [line for line in lines if not line.startswith(">")]
    if not any(line.strip() for line in rest):  # nothing but quotes: ditto
        rest, quoted = quoted, []
    return "\n".join(rest), "\n".join([*quoted, below])


def _split_signature(text: str) -> tuple[str, str]:
    """A body's letter proper up to its last sign-off, and what stands below: names, notices."""
    end = _sign_off_end(text)
    if not text[:end].strip("- \n\t"):
        return text, ""
    if len(text[:end].split(maxsplit=_LETTER)) < _LETTER:  # "Thanks," stands at the top, too
        return text, ""
    return text[:end], text[end:].strip("\n")


def _sign_off_end(text: str) -> int:
    """Where the last sign-off ends, 0 where there is none; looked for from the end, being there."""
    end = len(text)
    while end >= 0:
        start = text.rfind("\n", 0, end) + 1
        match = _SIGN_OFF.match(text, start)
        if match:
            return match.end()
        end = start - 1
    return 0
