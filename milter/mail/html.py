"""HTML to the text that a reader sees, in one pass, linear in the input.

No DOM is built: tags are skipped, blocks become line breaks, entities are decoded. What the sender
hides from the reader (``display:none``, zero font size ...) is kept apart, for it is there to
deceive filters. A link leaves the word ``http://`` behind, as it would stand in plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

# Tags that end a line of text.
_BLOCKS = frozenset(
    (
        "address article blockquote br center dd div dl dt fieldset footer form h1 h2 h3 h4 h5 "
        "h6 header hr li main nav ol p pre section table td th tr ul"
    ).split()
)
# Elements whose content is no text.
_SILENT = frozenset({"head", "noscript", "script", "style", "svg", "template", "title", "xml"})
# Elements without content: nothing can be hidden in them.
_VOID = frozenset(("area base br col embed hr img input link meta source track wbr").split())
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]*)")
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:\.\d+)?(?![.\d])"
    r"|max-height\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])|mso-hide\s*:\s*all"
    r"|\shidden(?=[\s=/>]|$)",
    re.IGNORECASE,
)
_LINK = re.compile(r"\bhref\s*=\s*[\"']?\s*https?:", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f\v]+")
# The longest tag that is read; what is longer is no tag of a mail program.
_MAX_TAG = 16384


@dataclass(frozen=True, slots=True)
class HtmlText:
    """``visible`` and ``hidden`` text, both with line breaks where blocks end."""

    visible: str
    hidden: str


def to_text(html: str, limit: int) -> HtmlText:
    """The text of ``html``; stops after ``limit`` characters of visible text."""
    reader = _Reader(limit)
    reader.read(html)
    return HtmlText(_tidy(reader.visible), _tidy(reader.hidden))


def _tidy(pieces: list[str]) -> str:
    """Entities decoded, blanks folded, lines trimmed."""
    text = unescape("".join(pieces))
    lines = (line.strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


class _Reader:
    """The state of one pass: what was collected, and which element silences or hides."""

    def __init__(self, limit: int) -> None:
        self.visible: list[str] = []
        self.hidden: list[str] = []
        self._left = limit
        self._closer = ""  # the element that silences or hides what is inside it
        self._depth = 0  # how many of that name are open
        self._silent = False

    def read(self, html: str) -> None:
        at = 0
        while self._left > 0:
            tag = html.find("<", at)
            self._text(html[at:] if tag < 0 else html[at:tag])
            if tag < 0:
                return
            at = self._skip_markup(html, tag)

    def _skip_markup(self, html: str, tag: int) -> int:
        """Read what begins with the ``<`` at ``tag``; return where it ends."""
        if html.startswith("<!--", tag):
            end = html.find("-->", tag + 4)
            # Unclosed: browsers hide all the rest, so does this (and it stays linear).
            return end + 3 if end >= 0 else len(html)
        match = _TAG.match(html, tag)
        if not match:
            if html[tag + 1 : tag + 2] in ("!", "?", "/"):
                end = html.find(">", tag, tag + _MAX_TAG)
                return end + 1 if end >= 0 else len(html)
            self._text("<")
            return tag + 1
        end = html.find(">", match.end(), match.end() + _MAX_TAG)
        if end < 0:
            return len(html)
        self._tag(match[2].lower(), bool(match[1]), html[match.end() : end])
        return end + 1

    def _text(self, text: str) -> None:
        if not text or self._silent:
            return
        text = _SPACE.sub(" ", text)
        if self._closer:
            self.hidden.append(text)
        else:
            self.visible.append(text)
            self._left -= len(text)

    def _tag(self, name: str, closing: bool, attributes: str) -> None:
        if self._closer:
            self._inside(name, closing, attributes)
        elif not closing:
            self._open(name, attributes)
        if not self._silent and name in _BLOCKS:
            (self.hidden if self._closer else self.visible).append("\n")

    def _open(self, name: str, attributes: str) -> None:
        silent = name in _SILENT
        if silent or (name not in _VOID and attributes and _HIDING.search(attributes)):
            if not attributes.endswith("/"):
                self._closer, self._depth, self._silent = name, 1, silent
        elif name == "a" and _LINK.search(attributes):
            self.visible.append(" http:// ")

    def _inside(self, name: str, closing: bool, attributes: str) -> None:
        """Within a silent or hidden element only its own name counts."""
        if name == "body" and self._closer == "head":
            closing, name = True, "head"  # a head that was never closed
        if name != self._closer:
            return
        self._depth += -1 if closing else 0 if attributes.endswith("/") else 1
        if self._depth <= 0:
            self._closer, self._silent = "", False
