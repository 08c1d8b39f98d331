"""HTML to the text that a reader sees.

Lexbor (by selectolax) parses as browsers do; what is done here is to walk the tree once: blocks
become line breaks, a link leaves the word ``http://`` behind, as it would stand in plain text, and
what the sender hides from the reader (``display:none``, zero font size ...) is kept apart, for it
is there to deceive filters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

# Characters of HTML that are read of one mail. For some nestings the parser needs time by the
# square of the depth; at this size the worst of them costs half a second, and no signal stops it.
MAX_HTML = 98304

# Tags that end a line of text.
_BLOCKS = frozenset(
    (
        "address article blockquote br center dd div dl dt fieldset footer form h1 h2 h3 h4 h5 "
        "h6 header hr li main nav ol p pre section table td th tr ul"
    ).split()
)
# Elements whose content is no text.
_SILENT = frozenset({"head", "script", "style", "svg", "template", "title"})
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all"
    r"|(?:font-size|max-height|opacity)\s*:\s*0*(?:\.0+)?(?:px|pt|em|rem|%)?\s*(?:;|!|$)",
    re.IGNORECASE,
)
_SPACE = re.compile(r"[ \t\r\n\f\v]+")


@dataclass(frozen=True, slots=True)
class HtmlText:
    """``visible`` and ``hidden`` text, both with line breaks where blocks end."""

    visible: str
    hidden: str


def to_text(html: str, limit: int) -> HtmlText:
    """The text of ``html``; stops after ``limit`` characters of visible text.

    ``html`` should be no longer than ``MAX_HTML``, all parts of one mail together.
    """
    visible: list[str] = []
    hidden: list[str] = []
    hiding = 0  # how many open elements hide what is in them
    root = LexborHTMLParser(html).root
    for node, entering in _walk(root) if root else ():
        name = node.tag or ""
        into = hidden if hiding else visible
        if name == "-text":
            text = _SPACE.sub(" ", node.text_content or "") if entering else ""
            into.append(text)
            limit -= 0 if hiding else len(text)
            if limit <= 0:
                break
            continue
        if name in _BLOCKS:
            into.append("\n")
        if _hides(node):
            hiding += 1 if entering else -1
        elif entering and name == "a" and not hiding and _is_link(node):
            visible.append(" http:// ")
    return HtmlText(_tidy(visible), _tidy(hidden))


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Each node below ``root`` when it is entered and when it is left, in the order of the text."""
    depth, node = 0, root
    while True:
        yield node, True
        child = None if node.tag in _SILENT else node.child
        if child is not None:
            node, depth = child, depth + 1
            continue
        yield node, False
        while depth and node.next is None:
            assert node.parent
            node, depth = node.parent, depth - 1
            yield node, False
        if not depth:
            return
        assert node.next
        node = node.next


def _hides(node: LexborNode) -> bool:
    if not node.tag or node.tag.startswith("-"):
        return False
    attributes = node.attributes
    return "hidden" in attributes or bool(_HIDING.search(attributes.get("style") or ""))


def _is_link(node: LexborNode) -> bool:
    return (node.attributes.get("href") or "").lstrip().lower().startswith(("http:", "https:"))


def _tidy(pieces: list[str]) -> str:
    """Blanks folded, lines trimmed, empty ones left out."""
    lines = (line.strip() for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)
