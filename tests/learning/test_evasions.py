"""Evasions: the reader sees the same mail, the header stays, and figures can be counted by hand."""

from __future__ import annotations

import email
import email.policy
import html
import json
import random
import re
import unicodedata
from email.message import EmailMessage
from pathlib import Path

import pytest
from spam import tiny

from milter.mail import header
from milter.mail.text import read_text
from milter.spam.bundle import open_models
from milter.spam.tokens import tokenize
from training.cli import main
from training.data import Example, read_corpus
from training.evaluate import disguises as d
from training.evaluate import evasions as e
from training.evaluate.sets import SourceError

CORPUS = Path(__file__).resolve().parents[2] / "training" / "corpus"
TEXT = (
    "Dear Ms Huber,\n\nwe read your page on bees with joy. Could you add a backlink to our guide "
    "at https://example.org/bees?\nIt is short. We wait for word from you.\n\nBest regards,\nAnna"
)


def mail(text: str = TEXT, subject: str = "A backlink für you") -> bytes:
    made = EmailMessage(policy=email.policy.SMTP)
    made["From"] = "Anna <anna@example.org>"
    made["Date"] = "Mon, 23 Nov 2026 10:00:00 +0000"
    made["Subject"] = subject
    made["To"] = "huber@example.net"
    made.set_content(text)
    return bytes(made)


def example(label: str, theme: str, content: bytes, language: str = "en") -> Example:
    return Example(
        f"{label}/{language}/{theme}/1.eml", label, language, f"{label}/{theme}", content
    )


WANTED = d.Wanted.of(
    [
        example("none", "newsletter", mail("News from the choir, and the weather.\n" * 9)),
        example("none", "work", mail("The minutes of the meeting, and the plan of work.")),
        example("none", "work", mail("Das Protokoll der Sitzung und die Aufgaben."), "de"),
        example("none", "work", mail(""), "de"),
        example("genuine", "project", mail("A proposal jointly with you.")),
    ]
)
ALL = d.evasions(WANTED, "en")


def evaded(name: str, content: bytes, seed: int = 1) -> bytes:
    return ALL[name](content, random.Random(seed))


def visible(content: bytes) -> str:
    """Subject and text, as Python's own parser decodes them."""
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    body = parsed.get_body(("html", "plain"))
    assert body
    return f"{parsed['Subject']}\n{body.get_content()}".replace("\r\n", "\n")


@pytest.fixture(scope="module")
def corpus() -> list[Example]:
    """Some fakes of every kind of the corpus."""
    return [found for found in read_corpus(CORPUS) if found.label == "fake"][::40]


# Each evasion


@pytest.mark.parametrize("name", ALL)
def test_a_sound_mail_with_its_header(name: str, corpus: list[Example]) -> None:
    for content in (
        mail(),
        tiny.FAKE,
        b"\r\nno header",
        b"Subject: x",
        *[c.content for c in corpus],
    ):
        made = evaded(name, content)
        assert made == evaded(name, content)
        assert b"\n" not in made.replace(b"\r\n", b"")
        assert b"\r" not in made.replace(b"\r\n", b"")
        made.decode("ascii")
        parsed = email.message_from_bytes(made, policy=email.policy.default)
        assert not [part.defects for part in parsed.walk() if part.defects]
        before, after = (
            [
                (field, value)
                for field, value in header.fields(
                    octets[: header.body_range(octets, 0, len(octets))[0]]
                )
                if not field.startswith((b"content-", b"mime-", b"subject"))
            ]
            for octets in (content, made)
        )
        assert before == after
        assert len(parsed.get_all("Content-Type", [])) == 1
        assert len(parsed.get_all("Subject", [])) <= 1


@pytest.mark.parametrize("name", [name for name in ALL if "base64" in name])
def test_what_is_only_written_otherwise_reads_the_same(name: str, corpus: list[Example]) -> None:
    for content in (mail(), *[found.content for found in corpus]):
        one, two = tokenize(read_text(content)), tokenize(read_text(evaded(name, content)))
        assert one.subject == two.subject
        assert one.body == two.body


def test_base64_leaves_no_word() -> None:
    made = evaded("base64 of everything", mail())
    assert b"backlink" not in made
    assert b"Subject: =?utf-8?b?" in made
    assert "backlink für you" in visible(made)


def test_homoglyphs() -> None:
    text = visible(evaded("homoglyphs in most words", mail()))
    latin = {look: letter for letter, looks in d._LOOKALIKES.items() for look in looks}
    assert "".join(latin.get(letter, letter) for letter in text).split() == visible(mail()).split()
    assert "https://example.org/bees" in text
    words = re.findall(r"[^\W\d_]{3,}", text.replace("https://example.org/bees", ""))
    assert 0.4 < sum(not word.isascii() for word in words) / len(words) < 0.8


def test_the_look_alikes_are_of_those_scripts() -> None:
    for letter, looks in d._LOOKALIKES.items():
        assert letter.isascii()
        assert all(unicodedata.name(look).startswith(("CYRILLIC", "GREEK")) for look in looks)


def test_zero_width() -> None:
    text = visible(evaded("zero-width characters in most words", mail()))
    assert len(text) - len(re.sub(f"[{d._ZERO_WIDTH}]", "", text)) > 10
    assert re.sub(f"[{d._ZERO_WIDTH}]", "", text).split() == visible(mail()).split()
    assert not re.search(rf"(?:^|\s)[{d._ZERO_WIDTH}]", text)


def test_spaced() -> None:
    text = visible(evaded("tell-tale and long words spelled with blanks", mail()))
    assert text.count("b a c k l i n k") == 2
    assert text.replace(" ", "").split() == visible(mail()).replace(" ", "").split()
    assert "https://example.org/bees" in text


@pytest.mark.parametrize("way", d._HIDING)
def test_hidden(way: str) -> None:
    made = [evaded(f"wanted text hidden by {way}", mail(), seed) for seed in range(9)]
    assert len(set(made)) > 1
    for content in made:
        page = visible(content)
        block, own = page.split("<p>Dear Ms Huber", 1)
        assert len(block) > 3000
        assert "Could you add a backlink" in html.unescape(own)
        assert any(opening in block for opening, _ in d._HIDING[way])


def test_a_picture_and_the_line_that_asks() -> None:
    made = evaded("text in a picture, one line left", mail())
    assert (
        read_text(made).body == "Could you add a backlink to our guide at https://example.org/bees?"
    )
    parsed = email.message_from_bytes(made, policy=email.policy.default)
    assert parsed.get_content_type() == "multipart/related"
    page, picture = parsed.iter_parts()
    assert 'src="cid:letter"' in page.get_content()
    assert (picture["Content-ID"], picture.get_content_type()) == ("<letter>", "image/png")
    assert picture.get_content().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "Dear Ms Huber,\n\nIt rains. We wait\nfor you.\n\nBest regards,\nAnna",
            "We wait for you.",
        ),
        ("no end mark", "no end mark"),
        ("", ""),
    ],
)
def test_the_line_of_a_mail_that_asks_nothing(text: str, line: str) -> None:
    assert d._the_line(text) == line


def test_common_words_and_newsletter_stand_below() -> None:
    words = read_text(evaded("1,000 common words below", mail()))
    assert set("minutes meeting weather choir the and".split()) <= set(words.signature.split())
    assert not {"protokoll", "jointly"} & set(words.signature.split())
    quoted = read_text(evaded("newsletter quoted below", mail()))
    assert "News from the choir" in quoted.quoted
    assert quoted.body.split() == read_text(mail()).body.split()
    assert "wrote:\n> News" in visible(evaded("newsletter quoted below", mail()))


def test_the_language_of_a_mail() -> None:
    assert WANTED.language(mail("Die Aufgaben und das Protokoll sind hier.")) == "de"
    assert WANTED.language(mail("The plan and the weather of the meeting.")) == "en"
    assert set(d.evasions(WANTED, "de")) == set(ALL)
    with pytest.raises(SourceError, match="no newsletter"):
        d.Wanted.of([])


# Figures


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two fakes, one of which the tiny model knows, a wanted mail, and one of nobody's language."""
    lines = [
        {"label": "fake", "lang": "en", "subject": "Hello", "body": TEXT},
        {"label": "fake", "subject": "Hello", "body": "This is a text that says nothing of it."},
        {"label": "none", "lang": "en", "subject": "Hello", "body": TEXT},
    ]
    path = tmp_path / "some.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_recall_and_its_fall(source: Path, models: Path) -> None:
    heard: list[int] = []
    rows = e.of_sources([str(source)], open_models(models), WANTED, heard.append)
    found = {row["evasion"]: row for row in rows}
    assert list(found) == [e.PLAIN, *ALL]
    assert heard == [1, 2]
    plain = found[e.PLAIN]
    assert (plain["mails"], plain["recall"], plain["fall"], plain["noticed"]) == (2, 0.5, 0.0, 0.5)
    assert plain["low"] < 0.5 < plain["high"]
    assert plain["judged_by"] == {"kind": "model", "version": tiny.NAME}
    assert found["base64 of everything"]["fall"] == 0
    white = found["wanted text hidden by white on white"]
    assert white["recall"] + white["fall"] == 0.5
    with pytest.raises(SourceError, match="no fake"):
        e.measure([], WANTED, {})


def write_corpus(folder: Path) -> Path:
    """Five themes of two mails for each label, one of which is of newsletters."""
    words = {"fake": "backlink guest post", "genuine": "jointly fee budget", "none": "invoice list"}
    for label, said in words.items():
        for number in range(10):
            path = folder / label / "en" / f"newsletter{number % 5}" / f"{number}.eml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(mail(f"Dear reader, {said} in word{number}.", f"About {said}"))
    return folder


def test_the_command(
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    corpus, models = write_corpus(tmp_path / "corpus"), tmp_path / "models"
    where = ["--corpus", str(corpus), "--models", str(models), "--jobs", "1"]
    assert main(["fit", *where]) == 0
    (bundle,) = (path for path in models.iterdir() if path.is_dir())
    (models / "current").write_text(bundle.name)  # too small a model to pass the proof
    figures = tmp_path / "figures.json"
    assert main(["evaluate", *where, "--json", str(figures)]) == 0
    capsys.readouterr()
    for sources, judge in (([str(source)], bundle.name), ([], "saw none of its theme")):
        out, card = tmp_path / "evasions.json", tmp_path / "card.md"
        assert main(["evasions", *sources, *where, "--json", str(out)]) == 0
        said = capsys.readouterr().out
        for text in (judge, "homoglyphs in most words", "fall in points"):
            assert text in said
        files = ["--figures", str(figures), "--evasions", str(out), "--out", str(card)]
        assert main(["card", *files, "--models", str(models)]) == 0
        assert judge in card.read_text().partition("## Evasions")[2]
    rows = json.loads(out.read_text())
    learned = json.loads(figures.read_text())["sets"][0]["labels"]["fake"]["recall"]
    assert (rows[0]["mails"], rows[0]["recall"]) == (10, learned["count"] / 10)
    rows[0]["judged_by"]["sha256"] = "0" * 64
    out.write_text(json.dumps(rows))
    assert main(["card", *files, "--models", str(models)]) == 2
    assert main(["evasions", "--model", "x", *where]) == 2
    assert "--model needs sources" in capsys.readouterr().err
