"""What HTML hides from its reader, and what only looks as if it did."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from milter.mail import html as module
from milter.mail.html import MAX_HTML, HtmlText, to_text


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


# Pieces that pages are made of, odd ones among them, so that chance finds the odd neighbourhoods.
PIECES = st.sampled_from(
    (
        *(
            "word",
            " ",
            "\n",
            "\xa0",
            "&nbsp;",
            "&amp;lt;",
            "&lt;b&gt;",
            "&quot;",
            '"',
            "<",
            ">",
            "é",
        ),
        *(
            "<p>",
            "</p>",
            "<br>",
            "<div class=x>",
            "</div>",
            "<b>",
            "</b>",
            "<span id=y>",
            "</span>",
        ),
        *(
            "<table>",
            "<tr>",
            "<td bgcolor=red>",
            "<td>",
            "</table>",
            "<ul>",
            "<li>",
            "<hr/>",
            "<pre>",
        ),
        *(
            "<a href='https://a.example'>",
            "<a href=' HTTP:x'>",
            "<a name=x href=/y>",
            "<a>",
            "</a>",
        ),
        *("<a title=' href=' href=http:>", '<p x"y=1>', "<p =a=b>", "<a<b>", "<p title='a>b'>"),
        *("<title>", "</title>", "<style>", "</style>", ".x{display:none}", "#y{color:red}", "}"),
        *("<!--", "-->", "<!-- a -->", "<![CDATA[", "]]>", "<?x?>", "<textarea>", "</textarea>"),
        *(
            "<script>",
            "</script>",
            "<svg>",
            "</svg>",
            "<template>",
            "<iframe>",
            "<noscript>",
            "<xmp>",
        ),
        *(
            "<p style='display:none'>",
            "<p style='color:RED'>",
            "<p style='font-size:0'>",
            "<p hidden>",
        ),
        *(
            "<font color=white>",
            "<font color=red>",
            "<p style='color:&nbsp;white'>",
            "<head>",
            "<body>",
        ),
    )
)


@settings(deadline=None, max_examples=300)  # a busy machine is no fault
@given(st.lists(PIECES, max_size=14).map("".join))
def test_a_page_that_hides_nothing_reads_the_same_without_a_walk(page: str) -> None:
    parser = LexborHTMLParser(page)
    assert parser.root
    walked = module._of_tree(parser.root, module._Eyes(parser.css("style")), 1000)
    written = module._of_open_page(parser.root.html or "")
    assert written is None or HtmlText(written, "") == walked


def test_usual_pages_need_no_walk() -> None:
    page = "<style>p{color:red}</style><p style='color:#123'>One<br><a href='https://a.example'>two</a>"
    parser = LexborHTMLParser(page)
    assert parser.root
    assert module._of_open_page(parser.root.html or "") == "One\nhttp:// two"


def test_letters_in_white_stay_hidden_where_elements_would_grow_too_many() -> None:
    formats = "".join(f"<b x={number}>" for number in range(1000))
    found = to_text(f"<p>{formats}</p><font color=white>padding</font>{'<p>x' * 1000}", 5000)
    assert "padding" in found.hidden
    assert found.visible.count("x") == 1000
