"""Evaluating: figures are what can be counted by hand, sources are read or refused in words."""

from __future__ import annotations

import json
import mailbox
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from spam import tiny

from milter.mail.text import read_text
from milter.spam.bundle import LABELS, open_models
from milter.spam.verdict import Verdict
from training.cli import main
from training.evaluate import wording
from training.evaluate.measure import Judged, by_threshold, measure, misses, rate, together
from training.evaluate.report import of_sources, to_json
from training.evaluate.sets import Mail, SourceError, open_sources

CONTENTS = {"fake": tiny.FAKE, "genuine": tiny.GENUINE, "none": tiny.NONE}


def judged(
    fakes: list[float], wanted: list[float], threshold: float = 0.9, unscored: int = 0
) -> Judged:
    """Mails by their p(fake); the wanted ones are ``none``, ``unscored`` fakes come on top."""
    fake = np.array([*fakes, *wanted, *[np.nan] * unscored])
    labels = ["fake"] * len(fakes) + ["none"] * len(wanted) + ["fake"] * unscored
    verdicts = np.where(fake >= threshold, Verdict.FAKE, Verdict.NONE)
    return Judged(
        names=np.array([f"{i:04}.eml" for i in range(len(fake))]),
        labels=np.array(labels),
        languages=np.array(["de", "en"] * len(fake))[: len(fake)],
        verdicts=np.where(np.isnan(fake), Verdict.UNSCORED, verdicts),
        probabilities=np.stack([fake, np.zeros_like(fake), 1 - fake], axis=1),
    )


# Figures


def test_figures_by_hand() -> None:
    found = measure(judged([0.96, 0.86, 0.2], [0.91, 0.1, 0.1, 0.0], unscored=1), errors=9)
    assert (found["mails"], found["unscored"]) == (8, 1)
    fake = found["labels"]["fake"]
    assert fake["recall"] | {"low": 0, "high": 0} == {"mails": 4, "count": 1, "low": 0, "high": 0}
    assert fake["verdicts"] == {"fake": 1, "unsure": 0, "genuine": 0, "none": 2, "unscored": 1}
    assert found["labels"]["none"]["verdicts"]["fake"] == 1
    assert (found["false_positives"]["count"], found["false_positives"]["mails"]) == (1, 4)
    # Of 16 pairs, the wanted one ranks above the fake in 1 + 1 + 4.
    assert found["roc"]["one_minus_area_percent"] == pytest.approx(100 * 6 / 16)
    assert found["calibration"]["mails"] == 7
    assert found["histogram"] == {
        "fake": [0] * 4 + [1] + [0] * 12 + [1, 0, 1],
        "none": [1, 0, 2] + [0] * 15 + [1, 0],
    }
    assert [error["name"] for error in found["errors"]] == [
        *("0003.eml", "0002.eml", "0001.eml"),
        "0007.eml",
    ]
    assert found["errors"][3]["score"] is None


def test_figures_as_scikit_learn_has_them() -> None:
    random = np.random.default_rng(1)
    rows = random.dirichlet((1, 1, 1), 500)
    labels = np.array([random.choice(LABELS, p=row) for row in rows])
    verdicts = np.where(rows[:, 0] >= 0.5, "fake", "none")
    names = np.arange(500).astype(str)
    found = measure(Judged(names, labels, np.full(500, "de"), verdicts, rows))
    fake = labels == "fake"
    assert found["roc"]["one_minus_area_percent"] == round(
        100 * (1 - roc_auc_score(fake, rows[:, 0])), 4
    )
    assert found["calibration"]["log_loss"] == round(log_loss(labels, rows), 4)
    assert found["calibration"]["brier"] == round(brier_score_loss(fake, rows[:, 0]), 4)
    assert sum(row["mails"] for row in found["calibration"]["bins"]) == 500
    assert found["calibration"]["expected_error"] < 0.1


def test_calibration_error_by_hand() -> None:
    found = measure(judged([0.95, 0.95, 0.05], [0.95, 0.05, 0.05]))["calibration"]
    first, last = found["bins"]
    assert (first["mails"], first["count"], last["mails"], last["count"]) == (3, 1, 3, 2)
    assert found["expected_error"] == round(0.5 * (1 / 3 - 0.05) + 0.5 * (0.95 - 2 / 3), 4)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(0, 10, 0, 0.3085), (10, 10, 0.6915, 1), (1, 10, 0.0025, 0.445), (0, 3000, 0, 0.0012)],
)
def test_intervals_of_the_tables(k: int, n: int, low: float, high: float) -> None:
    expected = {"mails": n, "count": k, "low": low, "high": high}
    assert rate(np.arange(n) < k) == expected


def test_misses_at_one_in_a_thousand() -> None:
    wanted = [i / 4000 for i in range(3000)]  # three may be called fake: 0.7495 and up
    found = misses(judged([0.7488, 0.749, 0.7491, 0.9], wanted))
    assert found
    assert (found["allowed"], found["resolved"], found["above"]) == (3, True, 0.749)
    assert found["missed"]["count"] == 2
    few = misses(judged([0.5, 0.9], [0.1, 0.6], unscored=1))
    assert few
    assert (few["allowed"], few["resolved"], few["above"]) == (0, False, 0.6)
    assert few["missed"]["count"] == 2
    figures = {"misses": few}
    assert wording.missed(figures).startswith("not to be had: only 2 wanted mails;")


def test_shares_that_reach_a_threshold() -> None:
    rows = by_threshold(judged([0.5, 0.9], [0.1, 0.5], unscored=2))
    assert rows[0] == {"threshold": 0.0, "fake": 0.5, "wanted": 1.0}
    assert rows[50] == {"threshold": 0.5, "fake": 0.5, "wanted": 0.5}
    assert rows[51] == {"threshold": 0.51, "fake": 0.25, "wanted": 0.0}


@pytest.mark.parametrize(("fakes", "wanted"), [([0.9, 0.2], []), ([], [0.9, 0.2])])
def test_a_set_of_one_label_tells_what_it_can(fakes: list[float], wanted: list[float]) -> None:
    found = measure(judged(fakes, wanted))
    assert found["roc"] is None
    assert found["misses"] is None
    assert found["calibration"]["brier"] > 0
    assert (found["false_positives"] is None) == bool(fakes)
    assert wording.headlines(found)


def test_a_set_without_any_score() -> None:
    found = measure(judged([], [], unscored=2))
    assert found["calibration"] is None
    assert found["histogram"] == {}
    assert found["labels"]["fake"]["verdicts"]["unscored"] == 2


def test_sets_together_are_their_mails() -> None:
    one, two = judged([0.95, 0.5], [0.1]), judged([0.2], [0.93, 0.3])
    whole = measure(together([one, two]))
    assert whole["mails"] == 6
    assert whole["false_positives"]["count"] == 1
    assert whole["labels"]["fake"]["recall"]["mails"] == 3


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (0.0013, "0.13 %"), (0.042, "4.2 %"), (0.87, "87 %"), (0.9987, "99.87 %")],
)
def test_shares_in_words(share: float, words: str) -> None:
    assert wording.percent(share) == words


# Sources


def mails_of(*arguments: str) -> list[Mail]:
    return [mail for source in open_sources(arguments) for mail in source.mails()]


def write(path: Path, octets: bytes = tiny.NONE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(octets)
    return path


def write_folder(folder: Path) -> Path:
    """A source as the corpus is laid out, and with a README."""
    for label, content in CONTENTS.items():
        write(folder / label / "de" / "theme" / "one.eml", content)
        write(folder / label / "two.eml", content)
    write(folder / "README.md", b"about this")
    return folder


def write_lines(path: Path, *objects: object) -> Path:
    return write(path, "\n".join(json.dumps(told) for told in objects).encode())


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


# Report, table, page


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    """A folder of three labels, and a Maildir's worth of one."""
    plain = write(tmp_path / "inbox" / "invoice.eml").parent
    write(plain / "short.eml", b"Subject: x\r\n\r\ny\r\n")
    return [str(write_folder(tmp_path / "received")), f"none={plain}"]


def test_verdicts_of_the_model_in_use(sources: list[str], models: Path) -> None:
    report = of_sources(sources, open_models(models), errors=5)
    first, second = report["sets"]
    assert report["judged_by"] == {"kind": "model", "version": tiny.NAME}
    assert [first["name"], second["name"]] == ["received", "inbox"]
    assert {label: row["recall"]["count"] for label, row in first["labels"].items()} == {
        "fake": 2,
        "genuine": 2,
        "none": 2,
    }
    assert second["labels"]["none"]["verdicts"]["unscored"] == 1
    assert [error["name"] for error in second["errors"]] == ["short.eml"]
    assert report["together"]["mails"] == 8
    assert set(first["by_language"]) == {"de", "unknown"}


def test_same_sources_same_json(sources: list[str], models: Path) -> None:
    bundle = open_models(models)
    text = to_json(of_sources(sources, bundle, errors=5))
    assert text == to_json(of_sources(sources, bundle, errors=5))
    told = json.loads(text)
    assert text == json.dumps(told, indent=1, sort_keys=True) + "\n"


def test_the_command_with_sources(
    sources: list[str], models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    where = ["--models", str(models), "--model", tiny.NAME, "--list-errors", "3"]
    assert main(["evaluate", *sources, *where, "--json", str(out), "--page", str(page)]) == 0
    said = capsys.readouterr().out
    for words in ("received", "all sources together", "short.eml", "fakes called fake", tiny.NAME):
        assert words in said
    assert json.loads(out.read_text())["together"]["mails"] == 8
    assert_sound(page.read_text(encoding="utf-8"), plots=11)
    assert main(["evaluate", *sources, *where, "--json", str(tmp_path / "no" / "x")]) == 2


class _Parts(HTMLParser):
    """Tags, ids and references of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.alts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.append(tag)
        self.ids += [told["id"] or ""] if "id" in told else []
        if tag == "svg":
            assert told["role"] == "img"
            self.alts.append(told["aria-label"] or "")
        for name in ("src", "href", "xlink:href"):
            assert (told.get(name) or "#").startswith("#")


def assert_sound(page: str, plots: int) -> None:
    """One file, no network, no script; each drawing is told in words, each id is there once."""
    parts = _Parts(page)
    assert "http" not in page
    assert not {"script", "link", "img", "iframe"} & set(parts.tags)
    assert len(parts.alts) == plots
    assert all(parts.alts)
    assert len(parts.ids) == len(set(parts.ids))


def test_a_hostile_file_name_stays_text(tmp_path: Path, models: Path) -> None:
    from training.evaluate.page import page

    name = '"><script>alert(1)<!-- $name &amp;\x1b[31m [red]'
    folder = write(tmp_path / f"{name}box" / f"{name}.eml", tiny.FAKE).parent
    report = of_sources([f"none={folder}"], open_models(models), errors=1)
    text = page(report)
    assert_sound(text, plots=3)
    assert "&lt;script&gt;alert(1)" in text
    assert "\x1b" not in text
    assert main(["evaluate", f"none={folder}", "--models", str(models), "--list-errors", "1"]) == 0


def test_the_page_is_the_same_each_time(sources: list[str], models: Path) -> None:
    from training.evaluate.page import page

    report = of_sources(sources[:1], open_models(models))
    text = page(report)
    assert text == page(json.loads(to_json(report)))
    for name in ("ROC curve", "Recall by threshold", "Reliability", "Scores by label"):
        assert f"<b>{name}</b>" in text


def test_matplotlib_is_loaded_for_a_page_only() -> None:
    code = (
        "import sys; from training.evaluate import card, measure, report, table; "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# The corpus, and the card


def write_corpus(folder: Path) -> Path:
    """Five themes of four mails for each label: words of the label, and of the mail alone."""
    words = {"fake": "backlink guest post", "genuine": "jointly fee budget", "none": "invoice list"}
    for label, said in words.items():
        for number in range(20):
            mail = EmailMessage()
            mail["Subject"] = f"About {said}"
            mail["Date"] = "Mon, 23 Nov 2026 10:00:00 +0000"
            mail.set_content(f"Dear reader, {said} in word{number} and other{number}.")
            path = folder / label / ("de", "en")[number % 2] / f"theme{number % 5}"
            write(path / f"{number}.eml", bytes(mail))
    return folder


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small corpus, the models folder of a bundle fitted on it, and the report of the folds."""
    root = tmp_path_factory.mktemp("fitted")
    corpus, models = write_corpus(root / "small"), root / "models"
    of_both = ["--corpus", str(corpus), "--jobs", "1"]
    assert main(["fit", *of_both, "--models", str(models)]) == 0
    (bundle,) = (path for path in models.iterdir() if path.is_dir())
    (models / "current").write_text(bundle.name)  # too small a model to pass the proof
    report, page = root / "folds.json", root / "folds.html"
    assert main(["evaluate", *of_both, "--json", str(report), "--page", str(page)]) == 0
    return {"corpus": corpus, "models": models, "report": report, "page": page}


def test_the_corpus_by_folds_of_themes(fitted: dict[str, Path]) -> None:
    report = json.loads(fitted["report"].read_text())
    (found,) = report["sets"]
    assert report["judged_by"]["kind"] == "folds"
    assert report["together"] is None
    assert (found["name"], found["mails"]) == ("small", 60)
    assert set(found["hardness"]) == {"everyday", "hard"}
    assert found["hardness"]["hard"]["mails"] == 20
    assert set(found["by_language"]) == {"de", "en"}
    # The same mails judged by the manifest's maker.
    (bundle,) = (path for path in fitted["models"].iterdir() if path.is_dir())
    told = json.loads((bundle / "manifest.json").read_text())["out_of_fold"]
    assert told["wanted_called_fake"] == found["hardness"]
    assert told["one_minus_auc_percent"] == found["roc"]["one_minus_area_percent"]
    assert told["log_loss"] == found["calibration"]["log_loss"]
    assert_sound(fitted["page"].read_text(encoding="utf-8"), plots=4)


def make_card(fitted: dict[str, Path], out: Path, *more: str) -> int:
    where = ["--models", str(fitted["models"]), "--out", str(out)]
    return main(["card", "--figures", str(fitted["report"]), *where, *more])


def test_the_card(fitted: dict[str, Path], tmp_path: Path) -> None:
    evasions = tmp_path / "evasions.json"
    evasions.write_text('[{"evasion": "letters | <b>", "recall": 0.81, "fall": 0.09}]')
    for name in ("one.md", "two.md"):
        assert make_card(fitted, tmp_path / name, "--evasions", str(evasions)) == 0
    text = (tmp_path / "one.md").read_text(encoding="utf-8")
    assert text == (tmp_path / "two.md").read_text(encoding="utf-8")
    version = (fitted["models"] / "current").read_text().strip()
    for words in (f"`{version}`", "### small: 60 mails", "| seed | 20261123 |", "weights.npz"):
        assert words in text
    assert "| letters \\| \\<b\\> | 81 % | 9.0 |" in text
    assert make_card(fitted, tmp_path / "three.md") == 0
    assert "Evasions" not in (tmp_path / "three.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("report", "{", "not JSON"),
        ("report", "{}", "not a report"),
        ("evasions", '{"evasion": 1}', "must be a list"),
        ("evasions", '[{"evasion": "x", "recall": "much", "fall": 0}]', "must be a list"),
    ],
)
def test_what_no_card_is_made_of(
    name: str,
    text: str,
    sentence: str,
    fitted: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write(tmp_path / "x.json", text.encode())
    more = ["--evasions", str(file)] if name == "evasions" else []
    files = fitted | {"report": file} if name == "report" else fitted
    assert make_card(files, tmp_path / "card.md", *more) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "card.md").exists()


def test_figures_of_another_model_are_refused(
    fitted: dict[str, Path],
    sources: list[str],
    models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path / "other.json"
    assert main(["evaluate", *sources, "--models", str(models), "--json", str(other)]) == 0
    assert make_card(fitted | {"report": other}, tmp_path / "card.md") == 2
    assert f"the figures are of model {tiny.NAME}" in capsys.readouterr().err
    report = json.loads(fitted["report"].read_text())
    report["judged_by"]["sha256"] = "0" * 64
    other.write_text(json.dumps(report))
    assert make_card(fitted | {"report": other}, tmp_path / "card.md") == 2
    assert "another corpus" in capsys.readouterr().err
