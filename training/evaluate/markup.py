"""The pieces that pages are made of; whatever text goes into one is escaped here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)


def style() -> str:
    """The style of every page, which stands in ``page.html``."""
    found = _STYLE.search(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    assert found, "the frame of a page has its style"
    return found.group()


def escaped(value: object) -> str:
    """Text of whatever origin as HTML; a number and its unit stay on one line."""
    return html.escape(str(value)).replace(" %", "&nbsp;%")


def table(caption: str, head: Sequence[str], bodies: Iterable[Iterable[str]]) -> str:
    """A table that scrolls by itself; each of ``bodies`` is a group of rows."""
    groups = "".join(f"<tbody>{''.join(rows)}</tbody>" for rows in bodies)
    return (
        f'<div class="box"><p class="soft">{escaped(caption)}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(caption)}">'
        f"<table><thead><tr>{''.join(head)}</tr></thead>{groups}</table></div></div>"
    )


def headings(*names: str, texts: int = 1) -> list[str]:
    """Headings of columns; the first ``texts`` are of text, the others of numbers."""
    return [
        f'<th scope="col"{" class=text" if i < texts else ""}>{escaped(name)}</th>'
        for i, name in enumerate(names)
    ]


def row(first: str, cells: Iterable[str]) -> str:
    rest = "".join(f"<td>{escaped(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{first}</th>{rest}</tr>'


def tile(name: str, value: str, more: str) -> str:
    return (
        f'<div class="tile"><dt>{escaped(name)}</dt>'
        f"<dd><strong>{escaped(value)}</strong><small>{escaped(more)}</small></dd></div>"
    )
