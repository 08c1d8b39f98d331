"""Evaluating: its report, its page, the corpus by folds, and the card of a model."""

from __future__ import annotations

import json
import subprocess
import sys
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

import pytest
from learning.sources import write, write_folder
from spam import tiny

from milter.spam.bundle import open_models
from training.cli import main
from training.evaluate.report import of_sources, to_json


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models"))


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
