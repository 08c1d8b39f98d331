"""Every seed and finding of the fuzz targets, through the checks; needs no atheris."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import checks

HERE = Path(__file__).parent

# Findings that milter still has, and where. One that is mended must leave this table; those that
# are slow may pass on a quick machine.
BROKEN = {
    "two-mailbox-lines": "mail/header.py: Postfix 3.7 takes any number of them for the top",
    "mailbox-line-with-two-angles": "mail/header.py: ditto, with any number of angles before it",
    "charset-of-3000-letters.parts": "mail/charset.py: codecs.lookup remembers every unknown name",
    "one-word-of-80000-letters.parts": "spam/fold.py: NFKC makes 80,000 letters of 20,000, kept",
}
SLOW = {
    "accents-out-of-order.parts": "spam/fold.py: NFKC sorts a run of accents in quadratic time",
    "four-html-parts-of-nested-divs.parts": "mail/text.py: MAX_HTML bounds a part, not the mail",
    "nested-divs-then-accents-out-of-order.parts": "both of these in one mail",
}


def inputs() -> list[object]:
    found = []
    for target in checks.TARGETS:
        for path in sorted([*HERE.glob(f"*/{target}/*")]):
            marks = []
            if path.name in BROKEN:
                marks.append(pytest.mark.xfail(reason=BROKEN[path.name], raises=AssertionError))
            if path.name in SLOW:
                marks.append(
                    pytest.mark.xfail(reason=SLOW[path.name], raises=checks.TooSlow, strict=False)
                )
            found.append(pytest.param(target, path, id=f"{target}-{path.name}", marks=marks))
    return found


@pytest.mark.parametrize(("target", "path"), inputs())
def test_invariant_holds(target: str, path: Path) -> None:
    checks.TARGETS[target](checks.load(path))


def test_the_table_names_files_that_exist() -> None:
    names = {path.name for path in HERE.glob("findings/*/*")}
    assert BROKEN.keys() | SLOW.keys() <= names


class TestTheChecksBite:
    """A check that lets everything pass finds nothing."""

    def test_a_decoder_that_loses_a_stray_octet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checks.DataDecoder, "feed", lambda self, data: data.replace(b"\0", b""))
        with pytest.raises(AssertionError):
            checks.wire(b"a\0b\r\n.\r\n")

    def test_an_edit_that_loses_a_blank(self, monkeypatch: pytest.MonkeyPatch) -> None:
        edit = checks.h.with_fields
        monkeypatch.setattr(checks.h, "with_fields", lambda *args: edit(*args).replace(b"  ", b" "))
        with pytest.raises(AssertionError):
            checks.header(b"Subject: a  b\r\n\r\n")

    def test_a_tokenizer_that_never_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def forever(_: object) -> None:
            while True:
                pass

        monkeypatch.setattr(checks, "CPU", 0.05)
        monkeypatch.setattr(checks, "tokenize", forever)
        with pytest.raises(checks.TooSlow):
            checks.text(b"Subject: x\r\n\r\ntext\r\n")
