"""HTML to the text that a reader sees.

Lexbor (by selectolax) parses as browsers do; what is done here is to walk the tree once: blocks
become line breaks, a link leaves the word ``http://`` behind, as it would stand in plain text, and
what the sender hides from the reader is kept apart, for it is there to deceive filters: by
``display:none``, no size, white letters on nothing else, in a style of the element or by a rule of
a style sheet for its class or id.

A page that hides nothing needs no walk from node to node, each of which is a call or five. Its tree
is written down again, which is regular where the mail was not, and its text is what stands between
the tags (``_of_open_page``). Whatever is unusual there is left to the walk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

# Characters of HTML that are read of one mail. For some nestings the parser needs time by the
# square of the depth; at this size the worst of them costs half a second, and no signal stops it.
MAX_HTML = 98304

# Elements such as <b> that were not closed are made anew in every block behind them: some thousands
# of both, 100 kB, would become gigabytes. The parser keeps no more than three of the same at a time
# (HTML's "list of active formatting elements"), and one <a> or <nobr>.
_SAME = 3
_MANY = 250_000  # such elements; a hundred megabytes
_FORMATS = r"(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[\s/>])"
_FORMAT = re.compile(rf"<{_FORMATS}[^>]*", re.IGNORECASE)
_FORMAT_NAME = re.compile(rf"(</?)(?={_FORMATS})", re.IGNORECASE)
_WHOLE_TAG = re.compile(r"""<\w+(?:\s+[\w-]+="[^"<]*")*\s*""")

# Tags that end a line of text.
_BLOCKS = frozenset(
    (
        "address article blockquote br center dd div dl dt fieldset footer form h1 h2 h3 h4 h5 "
        "h6 header hr li main nav ol p pre section table td th tr ul"
    ).split()
)
_LINK = " http:// "
# Elements whose content is no text.
_SILENT = frozenset({"head", "script", "style", "svg", "template", "title"})


class _Either:
    """A pattern that is found in capital and small letters.

    Searching with regard to case takes a fourth of the time, and so most text can be searched.
    """

    def __init__(self, pattern: str) -> None:
        self._small = re.compile(pattern)
        self._either = re.compile(pattern, re.IGNORECASE)

    def found(self, text: str) -> bool:
        """Whether it is found anywhere in ``text``."""
        if text.isascii():
            return self._small.search(text.lower()) is not None
        return self._either.search(text) is not None


_HIDING = _Either(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all"
    r"|(?:font-size|max-height|opacity)\s*:\s*0*(?:\.0+)?(?:px|pt|em|rem|%)?\s*(?:;|!|$)"
    r"|text-indent\s*:\s*-\d{3}"
)
# Letters in the colour of the paper; with a ground of another colour they can be read.
_WHITE = _Either(
    r"(?:^|[;\s])color\s*:\s*(?:white\b|#fff(?:fff)?\b|#fefefe\b|transparent\b"
    r"|rgba?\(\s*255\s*,\s*255\s*,\s*255)"
)
_PAINTED = _Either(
    r"background(?:-color|-image)?\s*:\s*"
    r"(?!\s|white\b|#fff(?:fff)?\b|none\b|transparent\b|inherit\b|initial\b|rgba?\(\s*255\s*,\s*255\s*,\s*255)"
)
_LETTERS = frozenset({"font", "x-font"})
_PAPER = frozenset({"", "white", "#fff", "#ffffff", "#fefefe", "transparent"})
# Rules of a style sheet: selectors and declarations. What stands inside another block is meant for
# some screens or for paper only.
_COMMENT = re.compile(r"/\*.*?\*/|<!--|-->", re.DOTALL)
_BRACE = re.compile(r"([^{}]*)([{}])")
_SELECTOR = re.compile(r"[\w-]*([.#][\w-]+)")
_MAX_CSS = 20000
_BLANKS = re.compile("  +")


@dataclass(frozen=True, slots=True)
class HtmlText:
    """``visible`` and ``hidden`` text, both with line breaks where blocks end."""

    visible: str
    hidden: str


def to_text(html: str, limit: int) -> HtmlText:
    """The text of ``html``; stops after ``limit`` characters of visible text.

    ``html`` should be no longer than ``MAX_HTML``, all parts of one mail together.
    """
    parser = LexborHTMLParser(_defused(html))
    root = parser.root
    if root is None:
        return HtmlText("", "")
    # One that is longer than its text may become is cut somewhere in the middle; and such a page
    # can be built as to grow a thousandfold when its tree is written down.
    if len(html) <= limit and (text := _of_open_page(root.html or "")) is not None:
        return HtmlText(text, "")
    return _of_tree(root, _Eyes(parser.css("style")), limit)


def _defused(html: str) -> str:
    """``html``; where it could grow too much, with elements in it that are made but once."""
    tags = html.count("<")
    if tags * tags < _MANY:
        return html
    formats = _FORMAT.findall(html)
    whole = [tag for tag in formats if _WHOLE_TAG.fullmatch(tag)]
    active = min(_SAME * len(set(whole)), len(whole)) + len(formats) - len(whole)
    return html if active * tags < _MANY else _FORMAT_NAME.sub(r"\1x-", html)


def _of_tree(root: LexborNode, eyes: _Eyes, limit: int) -> HtmlText:
    """The text of a parsed page, node by node."""
    visible: list[str] = []
    hidden: list[str] = []
    for node, entering in _walk(root):
        name = node.tag or ""
        if name == "-text":
            text = _folded(node.text_content or "") if entering else ""
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
            visible.append(_LINK)
    return HtmlText(_tidy("".join(visible)), _tidy("".join(hidden)))


# What is in a tree that was written down besides text. In text and values "<" and ">" are escaped
# there; one that is left over tells of something else, such as a quote in an attribute's name.
_MARKUP = re.compile(
    r"(<(?:!--.*?--"
    r"|title(?:[ ][^<>]*)?>[^<]*</title"
    r"|style(?:[ ][^<>]*)?>[^<]*+(?:<(?!/style>)[^<]*+)*+</style"
    r"|/?(?!(?:title|style)[ >])[^\s<>\"'/=]+(?:[ ][^\s<>\"'/=]+=\"[^\"<>]*\")*"
    r")>)",
    re.DOTALL,
)
# Elements whose text is written down as it is, or that are silent as a whole.
_ODD = frozenset(
    f"<{name}>"
    for name in (
        *("iframe", "math", "noembed", "noframes", "noscript", "plaintext"),
        *("script", "svg", "template", "xmp"),
    )
)
_BREAKS = frozenset(f"<{slash}{name}>" for name in _BLOCKS for slash in ("", "/"))
_HREF = re.compile(r"""<a[ ](?:[^ ]+="[^"]*"[ ])*?href="\s*[Hh][Tt][Tt][Pp][Ss]?:""")
_STYLES = re.compile(r""" style="([^"]*)\"""")
_SHEETS = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_FONTS = re.compile(
    r"""<(?:x-)?font[ ][^>]*color="\s*(?:"|white|\#fff|\#fefefe|transparent)""", re.IGNORECASE
)


def _of_open_page(page: str) -> str | None:
    """The text of a tree that was written down, as ``_of_tree`` has it.

    None where something is, or may be, hidden, and where the page is unusual.
    """
    page = page.replace("&nbsp;", "\xa0")
    if _may_hide(page):
        return None
    pieces = _MARKUP.split(_folded(page))
    pieces[1::2] = ["\n" if tag in _BREAKS else _shown_for(tag) for tag in pieces[1::2]]
    text = "".join(pieces)
    if "<" in text or ">" in text:
        return None
    return _tidy(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def _shown_for(markup: str) -> str:
    """What a reader sees of a tag: a new line, a link, or nothing; "<" where the tag is odd."""
    name, blank, _ = markup.partition(" ")
    tag = f"{name}>" if blank else name
    if tag in _BREAKS:
        return "\n"
    if tag in _ODD:
        return "<"
    return _LINK if name == "<a" and _HREF.match(markup) else ""


def _may_hide(page: str) -> bool:
    """Whether anything in a tree that was written down could be hidden; too often rather."""
    style = ";".join(set(_STYLES.findall(page)))
    return (
        _HIDING.found(style)
        or _WHITE.found(style)
        or ' hidden="' in page
        or ("<style" in page and bool(_hidden_by("\n".join(_SHEETS.findall(page))[:_MAX_CSS])))
        or ("font " in page and bool(_FONTS.search(page)))
    )


class _Eyes:
    """What can be seen at one place of the tree: none of what an open element hides."""

    def __init__(self, sheets: list[LexborNode]) -> None:
        css = "\n".join(sheet.text() for sheet in sheets)
        self._hidden_by_rule = _hidden_by(css[:_MAX_CSS])
        self._styles: dict[str, _Sight] = {}  # what a style does; a page has the same few
        self._open: list[_Sight] = []
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
        if entering:
            self._open.append(self._sight(node.tag, node.attributes))
            hides, white, painted = self._open[-1]
            self._hiding += hides
            self._white += white
            self._painted += painted
        else:
            hides, white, painted = self._open.pop()
            self._hiding -= hides
            self._white -= white
            self._painted -= painted

    def _sight(self, tag: str, attributes: dict[str, str | None]) -> _Sight:
        if not attributes:
            return _OPEN
        style = attributes.get("style") or ""
        if style not in self._styles:
            self._styles[style] = _sight_of(style)
        hides, white, painted = self._styles[style]
        return (
            hides or "hidden" in attributes or self._is_hidden_by_rule(attributes),
            white or (tag in _LETTERS and _is_paper(attributes.get("color"))),
            painted or not _is_paper(attributes.get("bgcolor") or ""),
        )

    def _is_hidden_by_rule(self, attributes: dict[str, str | None]) -> bool:
        if not self._hidden_by_rule:
            return False
        names = {f".{name}" for name in (attributes.get("class") or "").split()}
        names.add(f"#{attributes.get('id') or ''}")
        return not self._hidden_by_rule.isdisjoint(names)


# Whether an element hides what is in it, has white letters, has a ground of some colour.
_Sight = tuple[bool, bool, bool]
_OPEN: _Sight = (False, False, False)


def _sight_of(style: str) -> _Sight:
    return _HIDING.found(style), _WHITE.found(style), _PAINTED.found(style)


def _is_paper(colour: str | None) -> bool:
    return colour is not None and colour.strip().lower() in _PAPER


def _hidden_by(css: str) -> set[str]:
    """The classes (``.name``) and ids (``#name``) that a style sheet hides on every screen."""
    names: set[str] = set()
    css = _COMMENT.sub(" ", css)
    if not _HIDING.found(css.replace("}", ";")):  # most do not, and rules are many
        return names
    depth, selectors = 0, ""
    for block in _BRACE.finditer(css):
        text, brace = block.groups()
        if brace == "{":
            depth += 1
            selectors = text
        else:
            if depth == 1 and _HIDING.found(text):
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


def _folded(text: str) -> str:
    """``text`` with each run of blanks and line ends as one blank (no-break spaces are text)."""
    for blank in "\n\r\t\f\v":
        text = text.replace(blank, " ")
    return _BLANKS.sub(" ", text) if "  " in text else text


def _tidy(text: str) -> str:
    """Blanks around lines left out, and empty lines."""
    return "\n".join(filter(None, map(str.strip, text.split("\n"))))
