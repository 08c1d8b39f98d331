"""HTML to the text that a reader sees.

Lexbor (by selectolax) parses as browsers do; what is done here is to walk the tree once: blocks
become line breaks, a link leaves the word ``http://`` behind, as it would stand in plain text, and
what the sender hides from the reader is kept apart, for it is there to deceive filters: by
``display:none``, no size, white letters on nothing else, in a style of the element or by a rule of
a style sheet for its class or id.
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
    r"|(?:font-size|max-height|opacity)\s*:\s*0*(?:\.0+)?(?:px|pt|em|rem|%)?\s*(?:;|!|$)"
    r"|text-indent\s*:\s*-\d{3}",
    re.IGNORECASE,
)
# Letters in the colour of the paper; with a ground of another colour they can be read.
_WHITE = re.compile(
    r"(?:^|[;\s])color\s*:\s*(?:white\b|#fff(?:fff)?\b|#fefefe\b|transparent\b"
    r"|rgba?\(\s*255\s*,\s*255\s*,\s*255)",
    re.IGNORECASE,
)
_PAINTED = re.compile(
    r"background(?:-color|-image)?\s*:\s*"
    r"(?!\s|white\b|#fff(?:fff)?\b|none\b|transparent\b|inherit\b|initial\b|rgba?\(\s*255\s*,\s*255\s*,\s*255)",
    re.IGNORECASE,
)
_PAPER = frozenset({"", "white", "#fff", "#ffffff", "#fefefe", "transparent"})
# Rules of a style sheet: selectors and declarations. What stands inside another block is meant for
# some screens or for paper only.
_COMMENT = re.compile(r"/\*.*?\*/|<!--|-->", re.DOTALL)
_BRACE = re.compile(r"([^{}]*)([{}])")
_SELECTOR = re.compile(r"[\w-]*([.#][\w-]+)")
_MAX_CSS = 20000
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
    parser = LexborHTMLParser(html)
    eyes = _Eyes(parser.css("style"))
    root = parser.root
    for node, entering in _walk(root) if root else ():
        name = node.tag or ""
        if name == "-text":
            text = _SPACE.sub(" ", node.text_content or "") if entering else ""
            if eyes.closed:
                hidden.append(text)
                continue
            visible.append(text)
            limit -= len(text)
            if limit <= 0:
                break
            continue
        if name in _BLOCKS:
            (hidden if eyes.closed else visible).append("\n")
        eyes.pass_(node, entering)
        if entering and name == "a" and not eyes.closed and _is_link(node):
            visible.append(" http:// ")
    return HtmlText(_tidy(visible), _tidy(hidden))


class _Eyes:
    """What can be seen at one place of the tree: none of what an open element hides."""

    def __init__(self, sheets: list[LexborNode]) -> None:
        css = "\n".join(sheet.text() for sheet in sheets)
        self._hidden_by_rule = _hidden_by(css[:_MAX_CSS])
        self._hiding = 0  # open elements that hide what is in them
        self._white = 0  # open elements with letters in white
        self._painted = 0  # open elements with a ground of some colour

    @property
    def closed(self) -> bool:
        """Whether nothing can be seen here."""
        return bool(self._hiding or (self._white and not self._painted))

    def pass_(self, node: LexborNode, entering: bool) -> None:
        """Enter or leave an element."""
        if not node.tag or node.tag.startswith("-"):
            return
        attributes = node.attributes
        style = attributes.get("style") or ""
        step = 1 if entering else -1
        if "hidden" in attributes or _HIDING.search(style) or self._is_hidden_by_rule(attributes):
            self._hiding += step
        if _WHITE.search(style) or (node.tag == "font" and _is_paper(attributes.get("color"))):
            self._white += step
        if _PAINTED.search(style) or not _is_paper(attributes.get("bgcolor") or ""):
            self._painted += step

    def _is_hidden_by_rule(self, attributes: dict[str, str | None]) -> bool:
        if not self._hidden_by_rule:
            return False
        names = {f".{name}" for name in (attributes.get("class") or "").split()}
        names.add(f"#{attributes.get('id') or ''}")
        return not self._hidden_by_rule.isdisjoint(names)


def _is_paper(colour: str | None) -> bool:
    return colour is not None and colour.strip().lower() in _PAPER


def _hidden_by(css: str) -> set[str]:
    """The classes (``.name``) and ids (``#name``) that a style sheet hides on every screen."""
    names: set[str] = set()
    depth, selectors = 0, ""
    for block in _BRACE.finditer(_COMMENT.sub(" ", css)):
        text, brace = block.groups()
        if brace == "{":
            depth += 1
            selectors = text
        else:
            if depth == 1 and _HIDING.search(text):
                names |= {
                    match[1]
                    for selector in selectors.rpartition(";")[2].split(",")
                    if (match := _SELECTOR.fullmatch(selector.strip()))
                }
            depth = max(depth - 1, 0)
    return names


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


def _is_link(node: LexborNode) -> bool:
    return (node.attributes.get("href") or "").lstrip().lower().startswith(("http:", "https:"))


def _tidy(pieces: list[str]) -> str:
    """Blanks folded, lines trimmed, empty ones left out."""
    lines = (line.strip() for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)
