"""What HTML hides from its reader, and what only looks as if it did."""

from __future__ import annotations

import pytest

from milter.mail.html import MAX_HTML, to_text


@pytest.mark.parametrize(
    "html",
    [
        "<div style='display:none'>padding</div>",
        "<div style='color:#FFF'>padding</div>",
        "<div style='margin:0;color: white'>padding</div>",
        "<div style='color:rgb(255, 255, 255)'>padding</div>",
        "<font color='#ffffff'>padding</font>",
        "<table bgcolor='#FFFFFF'><tr><td style='color:#ffffff'>padding</td></tr></table>",
        "<div style='background-color:white'><p style='color:white'>padding</p></div>",
        "<div style='text-indent:-9999px'>padding</div>",
        "<style>.x{display:none}</style><p class='big x'>padding</p>",
        "<head><style>p.a, #pad { color: red; font-size: 0 }</style></head><p id=pad>padding</p>",
        "<p class=x>padding</p><style><!-- .x { visibility: hidden } --></style>",
        "<style>@import url(a.css); .x { display: none }</style><p class=x>padding</p>",
    ],
)
def test_hidden(html: str) -> None:
    found = to_text(f"before {html} after", 1000)
    assert "padding" in found.hidden
    assert "padding" not in found.visible
    assert "before" in found.visible
    assert "after" in found.visible


@pytest.mark.parametrize(
    "html",
    [
        "<table><tr><td bgcolor='#036'><font color='white'>button</font></td></tr></table>",
        "<p style='background:#003366'><span style='color:#fff'>button</span></p>",
        "<div style='background-image:url(a.png);color:white'>button</div>",
        "<div style='background-color:white'>button</div>",
        "<div style='color:#ffff00'>button</div>",
        "<style>@media (max-width:600px){.x{display:none}}</style><p class=x>button</p>",
        "<style>@media print{.x{display:none}} .y{color:red}</style><p class='x y'>button</p>",
        "<style>.x .y{display:none}</style><p class=y>button</p>",
        "<style>.x{display:none</style><p class=x>button</p>",
        "<style>}}} .x{color:red}</style><p class=x>button</p>",
    ],
)
def test_seen(html: str) -> None:
    found = to_text(f"before {html} after", 1000)
    assert "button" in found.visible
    assert found.hidden == ""


def test_a_huge_style_sheet_is_no_burden() -> None:
    css = ".a{" * (MAX_HTML // 6) + "}" * (MAX_HTML // 6)
    assert "text" in to_text(f"<style>{css}</style>text", 1000).visible
