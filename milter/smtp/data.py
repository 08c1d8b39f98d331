"""The mail's octets between the wire's form and ours: the smuggling-proof part.

On the wire, content ends at CRLF.CRLF and nowhere else, and a line that begins with a dot has
one more (RFC 5321 section 4.5.2). A *line* is what CRLF ends. Whatever looks like a line end to
some other server (bare CR, bare LF, NUL before a dot) is never taken for one here, and never
leaves here: if two servers in a row disagree on where a mail ends, the rest of it becomes a
second mail with an envelope of the attacker's choice (CVE-2023-51764). Relaying octets as they
are is not enough: CRLF.CRCRLF passes a hardened Postfix twice and is split by the second one.

So this module decodes to plain content and encodes anew, both on CRLF only. Content as held by
the filter consists of lines that end in CRLF, with no other CR or LF and no NUL in it.
"""

from __future__ import annotations

import re
from io import IncrementalNewlineDecoder

END_OF_DATA = b".\r\n"
_STRAY = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")


class DataDecoder:
    """Turns the octets behind DATA into content, in whatever pieces they come.

    ``feed`` returns the content that the new octets complete; after the end of data ``done`` is
    set and ``rest`` holds what came behind it. ``stray`` counts CR, LF and NUL octets that were
    no line end; each was replaced by a blank, as Postfix's cleanup_replace_stray_cr_lf does.

    One exception: where the very first line ends in a bare LF, the sender's lines all do (a Unix
    file handed to ``curl --upload-file``). Blanks would glue such a mail into one long line, so
    its bare LF become CRLF. That is as safe: the content is encoded anew before it goes on, and
    a dot between such line ends still does not end the data.
    """

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.stray = 0
        self._held = b"\r\n"  # the line end of the DATA command: a dot right behind it counts
        self._drop = 2  # ... but it is not part of the content
        self._lf_lines: bool | None = None  # unknown until the first line end

    def feed(self, data: bytes) -> bytes:
        """Take octets in and return the content that can be told from them."""
        raw = self._held + data
        dot = _first_dot(raw)
        end = raw.find(b"\r\n.\r\n", dot) if dot >= 0 else -1
        if end >= 0:
            self.done, self.rest = True, raw[end + 5 :]
            raw, self._held = raw[: end + 2], b""
        else:
            keep = _undecided(raw)
            raw, self._held = raw[: len(raw) - keep], raw[len(raw) - keep :]
        return self._plain(raw, stuffed=dot >= 0 and dot != end)

    def _plain(self, raw: bytes, stuffed: bool) -> bytes:
        """Un-stuff and clean ``raw``, which begins and ends where no decision is split."""
        content = raw.replace(b"\r\n.", b"\r\n") if stuffed else raw
        if self._drop and content:
            content, self._drop = content[self._drop :], 0
        if _is_clean(content):
            if self._lf_lines is None and content.find(b"\n") >= 0:
                self._lf_lines = False
            return content
        return self._clean(content)

    def _clean(self, content: bytes) -> bytes:
        """Replace what is no line end."""
        if self._lf_lines is None:
            first = content.find(b"\n")
            if first >= 0:
                self._lf_lines = content[:first][-1:] != b"\r"
        content, count = _STRAY.subn(self._replacement, content)
        self.stray += count
        return content

    def _replacement(self, match: re.Match[bytes]) -> bytes:
        return b"\r\n" if self._lf_lines and match.group() == b"\n" else b" "


def _first_dot(raw: bytes) -> int:
    """Where a line end with a dot behind it stands first, or -1.

    Large mails are Base64, which has no dot at all: then nothing need be looked for.
    """
    return raw.find(b"\r\n.") if b"." in raw else -1


def _is_clean(content: bytes) -> bool:
    """Whether every CR and LF belongs to a CRLF and there is no NUL.

    Python's decoder of line ends notes which kinds there are, in one scan; counting CR, LF and
    CRLF takes three, and six times as long.
    """
    line_ends = IncrementalNewlineDecoder(None, translate=False)
    line_ends.decode(content.decode("latin-1"), final=True)
    return line_ends.newlines in (None, "\r\n") and b"\0" not in content


def _undecided(raw: bytes) -> int:
    """How many octets at the end must wait for more before they can be told apart.

    These are the proper beginnings of CRLF.CRLF: a dot may be the end or a stuffed one, and a CR
    may be stray.
    """
    for tail in (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r"):
        if raw.endswith(tail):
            return len(tail)
    return 0


class DataEncoder:
    """Turns content, in whatever pieces it comes, into the wire's form.

    Octets that are not made of CRLF lines are refused by ``AssertionError``: this is the last
    place where a smuggled end of data could be stopped, and content from the decoder has none.
    """

    def __init__(self) -> None:
        self._held = b"\r\n"  # a line end that the next piece may follow with a dot
        self._drop = 2  # the one that is before the first line is not part of it

    def encode(self, piece: bytes) -> bytes:
        """The wire's form of ``piece``; the last octets wait for what comes next."""
        raw = self._held + piece
        keep = 2 if raw.endswith(b"\r\n") else 1 if raw.endswith(b"\r") else 0
        raw, self._held = raw[: len(raw) - keep], raw[len(raw) - keep :]
        return self._stuffed(raw)

    def end(self) -> bytes:
        """The last octets and the end of data."""
        if self._held != b"\r\n":
            raise AssertionError("content that does not end in CRLF must never reach the wire")
        return self._stuffed(self._held) + END_OF_DATA

    def _stuffed(self, raw: bytes) -> bytes:
        if not _is_clean(raw):
            raise AssertionError("content that is not made of CRLF lines must never reach the wire")
        stuffed = raw.replace(b"\r\n.", b"\r\n..") if b"." in raw else raw
        if self._drop and stuffed:
            stuffed, self._drop = stuffed[self._drop :], 0
        return stuffed


def encode(content: bytes) -> bytes:
    """Whole content in the wire's form, the end of data behind it."""
    encoder = DataEncoder()
    return encoder.encode(content) + encoder.end()
