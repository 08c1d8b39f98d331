"""Every seed and finding of the fuzz targets, through the checks; needs no atheris."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import checks, wire_checks

HERE = Path(__file__).parent


def inputs() -> list[object]:
    return [
        pytest.param(target, path, id=f"{target}-{path.name}")
        for target in checks.TARGETS
        for path in sorted(HERE.glob(f"*/{target}/*"))
    ]


@pytest.mark.parametrize(("target", "path"), inputs())
def test_invariant_holds(target: str, path: Path) -> None:
    checks.TARGETS[target](checks.load(path))


class TestTheChecksBite:
    """A check that lets everything pass finds nothing."""

    def test_a_decoder_that_loses_a_stray_octet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            wire_checks.DataDecoder, "feed", lambda self, data: data.replace(b"\0", b"")
        )
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
