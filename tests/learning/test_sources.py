"""Sources of an evaluation are read, or refused in words."""

from __future__ import annotations

import json
import mailbox
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from learning.sources import write, write_folder, write_lines
from spam import tiny

from milter.mail.text import read_text
from milter.spam.bundle import open_models
from training.cli import main
from training.evaluate.report import of_sources
from training.evaluate.sets import Mail, SourceError, open_sources


def mails_of(*arguments: str) -> list[Mail]:
    return [mail for source in open_sources(arguments) for mail in source.mails()]


def test_a_labelled_folder(tmp_path: Path) -> None:
    (source,) = open_sources([str(write_folder(tmp_path / "received"))])
    assert source.name == "received"
    assert [(mail.name, mail.label, mail.language) for mail in source.mails()][:3] == [
        ("fake/de/theme/one.eml", "fake", "de"),
        ("fake/two.eml", "fake", "unknown"),
        ("genuine/de/theme/one.eml", "genuine", "de"),
    ]


def test_json_lines(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "some.jsonl",
        {"label": "fake", "lang": "de", "subject": "Größe\nX-Coop: 1", "body": "Ä\nö", "id": 7},
        {"label": "none", "content": "Subject: Hello\n\nÄ body\n"},
        {"label": "none", "raw": "Subject: \ud83d\n\nbody", "lang": None},
    )
    path.write_bytes(path.read_bytes() + b"\n\n")
    one, two, three = mails_of(str(path))
    assert (one.name, one.label, one.language) == ("some.jsonl#1", "fake", "de")
    text = read_text(one.content)
    assert (text.subject, text.body.split()) == ("Größe X-Coop: 1", ["Ä", "ö"])
    assert (two.language, read_text(two.content).subject) == ("unknown", "Hello")
    assert read_text(two.content).body.strip() == "Ä body"
    assert three.language == "unknown"


def test_one_label_for_all(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "old.mbox")
    maildir = mailbox.Maildir(tmp_path / "Maildir")
    for box_of_any_kind in (box, maildir):
        for content in (tiny.FAKE, tiny.NONE):
            box_of_any_kind.add(content)
        box_of_any_kind.close()
    single = write(tmp_path / "a=b.eml", tiny.FAKE)
    lines = write_lines(tmp_path / "bare.jsonl", {"body": "text"})
    found = {
        path.name: mails_of(f"none={path}")
        for path in (tmp_path / "old.mbox", tmp_path / "Maildir", single, lines)
    }
    assert {name: len(mails) for name, mails in found.items()} == {
        "old.mbox": 2,
        "Maildir": 2,
        "a=b.eml": 1,
        "bare.jsonl": 1,
    }
    assert [mail.name for mail in found["old.mbox"]] == ["old.mbox#1", "old.mbox#2"]
    assert {mail.label for mails in found.values() for mail in mails} == {"none"}
    assert not any(mail.fault for mails in found.values() for mail in mails)


@pytest.mark.parametrize("text", ["Anna: das ist\nein Text.\n", "Hallo\n\nein Text.\n"])
def test_a_text_without_header_is_a_body(tmp_path: Path, text: str) -> None:
    (mail,) = mails_of(f"none={write(tmp_path / 'x.txt', text.encode())}")
    assert read_text(mail.content).body.split() == text.split()


def test_a_text_with_header_is_a_mail(tmp_path: Path) -> None:
    (mail,) = mails_of(f"none={write(tmp_path / 'x.txt', b'From: a@example.org' + tiny.NONE)}")
    assert "example" not in read_text(mail.content).body


def test_sets_have_names_of_their_own(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1" / "x.eml"), write(tmp_path / "2" / "x.eml")
    assert [s.name for s in open_sources([f"none={one}", f"fake={two}"])] == ["x.eml", "x.eml (2)"]


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no such file": (lambda path: None, "there is no such file or folder"),
    "file without label": (lambda path: write(path), "have no label; say LABEL="),
    "no label's folder": (lambda path: write(path / "cur" / "x.eml"), "no folder that is named"),
    "unknown label": (
        lambda path: write(write_folder(path) / "spam" / "x.eml"),
        "'spam' is no label; labels are fake, genuine, none",
    ),
    "beside the labels": (lambda path: write(write_folder(path) / "x.eml"), "lies beside"),
    "empty folder": (lambda path: (path / "fake").mkdir(parents=True), "holds no mail"),
}
BAD_LINES = {
    "{": "line 2: not JSON",
    '"\udcff"': "line 2: not JSON",
    "[" * 100_000: "line 2: not JSON",
    "[]": "line 2: must be an object",
    "{}": "line 2: has no label",
    '{"label": "spam", "body": ""}': "line 2: 'spam' is not a label",
    '{"label": 1, "body": ""}': "line 2: label must be a text",
    '{"label": "fake", "body": 1}': "line 2: body must be a text",
    '{"label": "fake"}': "line 2: has neither subject and body nor content",
}


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says when it refuses."""
    assert main(["evaluate", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("coop-train: ")
    assert said.err.count("\n") == 1
    return said.err


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("kind", BAD)
def test_bad_sources_are_refused_in_words(
    kind: str, tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, sentence = BAD[kind]
    make(tmp_path / "source")
    assert sentence in refused([str(tmp_path / "source"), "--models", str(models)], capsys)


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:20].encode("ascii", "replace"))
def test_bad_lines_are_refused_in_words(
    line: str, tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = json.dumps({"label": "none", "body": "text"})
    octets = f"{good}\n{line}\n".encode("utf-8", "surrogateescape")
    path = write(tmp_path / "x.jsonl", octets)
    assert BAD_LINES[line] in refused([str(path), "--models", str(models)], capsys)


def test_other_bad_words_of_a_call(
    tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--models", str(models)]
    assert "'spam' is not a label" in refused([f"spam={tmp_path}", *where], capsys)
    assert "names no file" in refused(["fake=", *where], capsys)
    lines = write_lines(tmp_path / "x.jsonl", {"label": "fake", "body": "text"})
    assert "is labelled fake" in refused([f"none={lines}", *where], capsys)
    write(tmp_path / "empty.jsonl", b"\n")
    assert "holds no mail" in refused([str(tmp_path / "empty.jsonl"), *where], capsys)
    assert "no whole model bundle" in refused([str(lines), "--model", "no", *where], capsys)
    assert "--model needs sources" in refused(["--model", tiny.NAME, *where], capsys)
    assert "there is no corpus folder" in refused(["--corpus", str(tmp_path / "no")], capsys)


def test_an_unreadable_mail_is_counted_and_named(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a mail whose file may not be read, which root always may."""
    bad, good = write(tmp_path / "box" / "bad.eml"), write(tmp_path / "box" / "good.eml")
    opened = Path.open

    def fail(path: Path, *arguments: Any, **named: Any) -> Any:
        if path == bad:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", fail)
    (found,) = of_sources([f"none={good.parent}"], open_models(models))["sets"]
    assert found["unreadable"] == [{"name": "bad.eml", "fault": "Permission denied"}]
    assert found["mails"] == 1
    with pytest.raises(SourceError, match="none of its 1 mails can be read"):
        of_sources([f"none={bad}"], open_models(models))
