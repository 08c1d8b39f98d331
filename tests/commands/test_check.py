"""``coop-verdict check``: mails in files, judged by a tiny model."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spam.tiny import FAKE, GENUINE, NAME, NONE, write_models

from milter import cli
from milter.check import check
from milter.spam.bundle import Bundle, open_models

SEPARATOR = b"From anna@example.org Mon Nov 23 10:15:00 2026\n"
MAILS = 20_000


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A settings file that names a models folder with the tiny bundle."""
    folder = tmp_path_factory.mktemp("settings")
    models = write_models(folder / "models")
    path: Path = folder / "settings.toml"
    path.write_text(f"[model]\nfolder = {json.dumps(str(models))}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def bundle(settings: Path) -> Bundle:
    """The bundle that the settings name."""
    return open_models(settings.with_name("models"))


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(settings: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command: exit status, standard output and standard error."""

    def run_it(*arguments: object) -> tuple[int, str, str]:
        status = cli.main(["check", "--config", str(settings), *map(str, arguments)])
        return status, *capfd.readouterr()

    return run_it


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Puts octets on standard input."""

    def put(octets: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))

    return put


def write(path: Path, content: bytes) -> Path:
    """A mail in a file, its lines as files have them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.replace(b"\r\n", b"\n"))
    return path


def mbox(*mails: bytes) -> bytes:
    return b"".join(SEPARATOR + mail.replace(b"\r\n", b"\n") + b"\n" for mail in mails)


def objects(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def verdicts(out: str) -> list[tuple[str, str]]:
    """Source and verdict of each JSON line."""
    return [(entry["source"], entry["verdict"]) for entry in objects(out)]


def test_a_mail(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.eml", FAKE)
    status, out, err = run(path)
    assert (status, err) == (cli.OK, "")
    assert out == f"fake      1.00  {path}\n"


def test_a_mail_with_crlf_is_the_same(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(FAKE)
    write(tmp_path / "b.eml", FAKE)
    first, second = objects(run("--json", tmp_path)[1])
    assert first | {"source": ""} == second | {"source": ""}


def test_an_mbox(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "inbox"
    path.write_bytes(mbox(FAKE, GENUINE, NONE))
    _, out, _ = run("--json", path)
    wanted = [(f"{path}#1", "fake"), (f"{path}#2", "genuine"), (f"{path}#3", "none")]
    assert verdicts(out) == wanted


def test_what_only_looks_like_a_separator(run: Run, tmp_path: Path) -> None:
    """It counts behind an empty line only, and needs a date; an .eml file is one mail."""
    path = tmp_path / "inbox"
    path.write_bytes(mbox(NONE + b"text\r\n" + SEPARATOR + b"\r\nFrom now on all is well.\r\n"))
    assert len(objects(run("--json", path)[1])) == 1
    (tmp_path / "one.eml").write_bytes(mbox(NONE, NONE))
    assert len(objects(run("--json", tmp_path / "one.eml")[1])) == 1


def test_a_maildir(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "cur" / "1:2,S", FAKE)
    write(tmp_path / "new" / "2", GENUINE)
    write(tmp_path / "tmp" / "3", NONE)
    write(tmp_path / "dovecot-uidlist", NONE)
    write(tmp_path / ".Junk" / "cur" / "4:2,", NONE)
    (tmp_path / ".Junk" / "new").mkdir()
    _, out, _ = run("--json", tmp_path)
    found = [(Path(source).relative_to(tmp_path).as_posix(), v) for source, v in verdicts(out)]
    assert found == [(".Junk/cur/4:2,", "none"), ("cur/1:2,S", "fake"), ("new/2", "genuine")]


def test_folders_are_read_in_the_order_of_names(run: Run, tmp_path: Path) -> None:
    for name in ("b.eml", "a/z.eml", "a/b/c.eml", "c/a.eml", "a.eml", "B.eml"):
        write(tmp_path / name, NONE)
    _, out, _ = run("--json", tmp_path)
    names = [Path(source).relative_to(tmp_path).as_posix() for source, _ in verdicts(out)]
    assert names == ["B.eml", "a/b/c.eml", "a/z.eml", "a.eml", "b.eml", "c/a.eml"]


def test_paths_are_read_in_the_order_given(run: Run, tmp_path: Path) -> None:
    first, second = write(tmp_path / "z.eml", FAKE), write(tmp_path / "a.eml", NONE)
    _, out, _ = run("--json", first, second, first)
    assert [source for source, _ in verdicts(out)] == [str(first), str(second), str(first)]


def test_links_to_folders_are_not_followed(run: Run, tmp_path: Path) -> None:
    """A folder that links to itself would never end."""
    write(tmp_path / "a.eml", NONE)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(objects(run("--json", tmp_path)[1])) == 1


def test_standard_input(run: Run, stdin: Callable[[bytes], None]) -> None:
    stdin(FAKE)
    assert verdicts(run("--json", "-")[1]) == [("-", "fake")]
    stdin(mbox(FAKE, NONE))
    assert verdicts(run("--json", "-")[1]) == [("-#1", "fake"), ("-#2", "none")]
    stdin(b"")
    assert verdicts(run("--json", "-")[1]) == [("-", "unscored")]


def test_an_unreadable_file_does_not_stop_it(run: Run, tmp_path: Path) -> None:
    gone, there = tmp_path / "gone.eml", write(tmp_path / "there.eml", FAKE)
    status, out, err = run("--json", gone, there)
    assert status == cli.INCOMPLETE == 1
    assert verdicts(out) == [(str(gone), "unscored"), (str(there), "fake")]
    assert objects(out)[0]["reason"] == "unreadable"
    assert err == f"coop-verdict: {gone}: No such file or directory\n"


def test_a_mail_without_text_is_no_fault(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.eml", b"Subject: hi\r\n\r\n")
    status, out, _ = run(path)
    assert status == cli.OK
    assert out == f"unscored     -  {path}  (too-little-text)\n"


def test_json_is_as_in_the_contract(run: Run, tmp_path: Path) -> None:
    """The contract with programs: keys, their order, their types."""
    path = write(tmp_path / "a.eml", FAKE)
    (found,) = objects(run("--json", path)[1])
    assert list(found) == [
        "source",
        "verdict",
        "score",
        "scores",
        "asks",
        "offers",
        "clues",
        "reason",
        "model",
    ]
    assert list(found["scores"]) == ["fake", "genuine", "none"]
    assert all(type(value) is float for value in found["scores"].values())
    assert found["score"] == found["scores"]["fake"]
    assert sum(found["scores"].values()) == pytest.approx(1.0)
    assert "link" in found["asks"]
    assert type(found["offers"]) is list
    assert found["clues"]
    assert all([type(text), type(weight)] == [str, float] for text, weight in found["clues"])
    assert found["reason"] is None
    assert (found["source"], found["verdict"], found["model"]) == (str(path), "fake", NAME)


def test_json_of_an_unscored_mail(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.eml", b"Subject: hi\r\n\r\n")
    assert objects(run("--json", path)[1]) == [
        {
            "source": str(path),
            "verdict": "unscored",
            "score": None,
            "scores": None,
            "asks": [],
            "offers": [],
            "clues": [],
            "reason": "too-little-text",
            "model": NAME,
        }
    ]


def test_json_is_ascii_lines(run: Run, tmp_path: Path) -> None:
    content = FAKE.replace(b"page", "Gästeseite\u2028backlink".encode())
    out = run("--json", write(tmp_path / "ü.eml", content))[1]
    assert out.isascii()
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize("content", [FAKE, GENUINE, NONE, b"", b"Subject: [bold]hi[/x]\r\n\r\n"])
def test_explain_runs(content: bytes, run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "[red]a[/nonsense].eml", content)
    status, out, _ = run("--explain", path)
    assert status == cli.OK
    assert "a[/nonsense].eml" in out.replace("\n", "")


def test_explain_says_why(run: Run, tmp_path: Path) -> None:
    out = run("--explain", write(tmp_path / "a.eml", FAKE))[1]
    for word in ("fake", "asks for", "link", "offers", "clues", "backlink", NAME):
        assert word in out


@pytest.mark.parametrize("form", ["--json", "--explain", "--"])
def test_control_characters_do_not_reach_the_terminal(form: str, run: Run, tmp_path: Path) -> None:
    name = "a\x1b[31m\x07\x9b\n\u202eb"
    out = run(form, write(tmp_path / f"{name}.eml", FAKE))[1]
    assert not set(out.replace("\n", "")) & set("\x1b\x07\x9b\u202e")


def test_control_characters_do_not_reach_the_terminal_with_a_fault(
    run: Run, tmp_path: Path
) -> None:
    _, out, err = run(tmp_path / "a\x1b[31m\x07b.eml")
    assert not set(out) & set("\x1b\x07")
    assert not set(err) & set("\x1b\x07")


def test_names_that_are_not_utf8(run: Run, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.eml"
    Path(os.fsdecode(path)).write_bytes(FAKE)
    for form in ("--json", "--explain", "--"):
        status, out, _ = run(form, tmp_path)
        assert status == cli.OK
        assert "fake" in out


def test_a_broken_bundle_is_a_line_not_a_traceback(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"[model]\nfolder = {json.dumps(str(tmp_path))}\n", encoding="utf-8")
    status, out, err = run("--config", path, "-")
    assert (status, out) == (cli.REFUSED, "")
    assert err.startswith(f"coop-verdict: {tmp_path / 'current'}: ")
    assert len(err.splitlines()) == 1


MAIL = b"Subject: Hello\n\nDear webmaster, one backlink.\n\n"


def _write_mbox(to: int, written: list[int]) -> None:
    """Write the mails of an mbox into a pipe, counting them."""
    with os.fdopen(to, "wb", buffering=0) as pipe:
        for _ in range(MAILS):
            pipe.write(SEPARATOR + MAIL)
            written[0] += 1


def test_a_large_mbox_streams(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a pipe the writer can only be ahead by what the reader holds."""
    reading, writing = os.pipe()
    written = [0]
    thread = threading.Thread(target=_write_mbox, args=(writing, written))
    thread.start()
    with os.fdopen(reading, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        ahead = [written[0] - judged for judged, _ in enumerate(check(["-"], bundle, 2.0))]
    thread.join()
    assert len(ahead) == MAILS
    assert max(ahead) < MAILS / 5
