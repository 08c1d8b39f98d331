"""The page about the model: what it says, and the way back to the one before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from harness.review import browser, desk_in

from milter.review import bundles
from milter.review.desk import Desk
from milter.sections import Model

SHIPPED = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with the shipped model and a twin, which was in use before it."""
    folder = tmp_path / "models"
    folder.mkdir()
    version = (SHIPPED / "current").read_text().strip()
    shutil.copytree(SHIPPED / version, folder / version)
    older = "2026.01.02-abcdef0"
    shutil.copytree(SHIPPED / version, folder / older)
    facts = json.loads((folder / older / "bundle.json").read_text())
    (folder / older / "bundle.json").write_text(json.dumps({**facts, "version": older}))
    (folder / "current").write_text(f"{version}\n")
    (folder / "history").write_text(
        f"{older} 2026-01-02T10:00:00+00:00\n{version} 2026-11-20T10:00:00+00:00\n"
    )
    return folder


@pytest.fixture
def desk(tmp_path: Path, models: Path) -> Desk:
    return desk_in(tmp_path, model={"folder": str(models)})


def current(models: Path) -> str:
    return (models / "current").read_text().strip()


def test_what_is_in_use_and_how_good_it_is(desk: Desk, models: Path) -> None:
    told = json.loads((models / current(models) / "manifest.json").read_text())["out_of_fold"]
    with browser(desk, "boss") as page:
        text = page.get("/model").text
    assert f'<code id="version">{current(models)}</code>' in text
    wanted = told["wanted_called_fake"]["everyday"]
    mails = f"{wanted['mails']:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    assert f"it called {wanted['count']} of {mails} a fake" in text
    assert f"<td>{told['by_language']['pl']['fake']['unsure']}</td>" in text
    assert "2026.01.02-abcdef0" in text
    assert "Nobody has retrained it here yet" in text


@pytest.mark.parametrize("manifest", ["", "{}", "[]", '{"data": 1}', '{"out_of_fold": {}}', "\0"])
def test_a_model_without_figures(desk: Desk, models: Path, manifest: str) -> None:
    (models / current(models) / "manifest.json").write_text(manifest)
    with browser(desk, "boss") as page:
        answer = page.get("/model")
    assert answer.status == 200
    assert "It came without figures." in answer.text


def test_the_last_retraining_and_its_report(desk: Desk, models: Path) -> None:
    last = {"given": "x", "outcome": "refused", "version": "v", "refusals": ["<b>worse</b>"]}
    (models / "retrain.json").write_text(json.dumps(last))
    (models / "retrain.html").write_text("<style>p{}</style><script>alert(1)</script>")
    with browser(desk, "boss") as page:
        text = page.get("/model").text
        assert "The candidate was refused" in text
        assert "&lt;b&gt;worse&lt;/b&gt;" in text
        report = page.get("/model/report")
    assert report.content == (models / "retrain.html").read_bytes()
    assert report.headers["content-disposition"].startswith("attachment")
    policy = report.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert report.headers["cache-control"] == "no-store"


def test_without_a_report_there_is_no_link_to_it(desk: Desk) -> None:
    with browser(desk, "boss") as page:
        assert "/model/report" not in page.get("/model").text
        assert page.get("/model/report").status == 404


def test_the_way_back(desk: Desk, models: Path) -> None:
    newer = current(models)
    with browser(desk, "boss") as page:
        assert 'id="rollback"' in page.get("/model").text
        asked = page.get("/model/rollback")
        assert newer in asked.text
        assert "2026.01.02-abcdef0" in asked.text
        assert current(models) == newer, "asking changes nothing"
        answer = page.post("/model/rollback", ("version", newer))
        assert answer.place == "/model"
        assert current(models) == "2026.01.02-abcdef0"
        assert "is in use again" in page.get("/model").text
        again = page.post("/model/rollback", ("version", newer))
        assert again.status == 409
        assert current(models) == "2026.01.02-abcdef0", "pressed twice, it goes back once"


def test_a_way_back_that_fails_is_told(desk: Desk, models: Path) -> None:
    newer = current(models)
    (models / "2026.01.02-abcdef0" / "weights.npz").write_bytes(b"damaged")
    with browser(desk, "boss") as page:
        page.get("/model/rollback")
        page.post("/model/rollback", ("version", newer))
        text = page.get("/model").text
    assert "Going back did not work:" in text
    assert "weights.npz" in text
    assert "Traceback" not in text
    assert current(models) == newer


def test_no_way_back_and_why(
    desk: Desk, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with browser(desk, "boss") as page:
        (models / "history").write_text("")
        assert "No other model is known" in page.get("/model").text
        assert page.get("/model/rollback").status == 409
        monkeypatch.setattr(bundles, "can_roll_back", lambda: False)
        assert "learning has to be installed" in page.get("/model").text
        assert page.post("/model/rollback").status == 409
    monkeypatch.undo()
    pinned = {"folder": str(models), "version": current(models)}
    with browser(desk_in(tmp_path / "pinned", model=pinned), "boss") as page:
        assert "The settings name one model" in page.get("/model").text


def test_the_trail_is_the_one_that_learning_goes_back_along(models: Path) -> None:
    from training.history import trail

    newer, older = current(models), "2026.01.02-abcdef0"
    histories = [
        "",
        f"{older}\n{newer}\n",
        f"{older}\n{newer}\n{older}\n",
        f"{newer}\n{older}\n{newer}\n{newer}\nremoved-since 2026\n{newer} x y z\n",
        f"{older}\nremoved-since\n{older}\n",
        "\n\n  \nnonsense\n",
    ]
    for text in histories:
        (models / "history").write_text(text)
        told = [(line.version, line.when) for line in bundles.trail(models, newer)]
        assert told == [(line.version, line.when) for line in trail(models)], text


def test_current_names_what_is_published(models: Path) -> None:
    assert bundles.current(models, "current") == current(models)
    (models / "current").write_text("../../etc")
    assert bundles.current(models, "current") == ""
    assert bundles.current(Model().folder, "current") != ""


def test_the_report_is_where_learning_writes_it() -> None:
    from training import commands

    assert commands.REPORT == bundles.REPORT
