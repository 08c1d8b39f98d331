"""``coop-verdict why``: what the index and the receipts say of one mail, and what neither knows."""

from __future__ import annotations

import io
import json
import smtplib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.filter import running_filter
from spam.tiny import FAKE, NAME, write_models

from milter import cli, seen
from milter.seen import Index
from milter.smtp.reply import OK, Reply
from milter.spam.verdict import Judgement, Reason, Score, Verdict, unscored
from milter.why import _OUTCOMES, _REASONS, RECEIPTS, Receipt
from training.feedback.mails import OUTCOMES, REASONS, Fate

MAIL = b"Message-ID: <one@example.org>\r\n" + FAKE
JUDGED = Judgement(Verdict.FAKE, "m-1", Score(0.99, 0.01, 0.0), asks=("link", "publication"))

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command with index and models below ``tmp_path``."""
    models = write_models(tmp_path / "models")
    settings = f"[model]\nfolder = '{models}'\n[journal]\nfolder = '{tmp_path / 'state'}'\n"
    (tmp_path / "settings.toml").write_text(settings, encoding="utf-8")

    def run_it(*arguments: object) -> tuple[int, str, str]:
        config = str(tmp_path / "settings.toml")
        status = cli.main(["why", "--config", config, *map(str, arguments)])
        return status, *capfd.readouterr()

    return run_it


def note(
    folder: Path, content: bytes = MAIL, judgement: Judgement = JUDGED, reply: Reply | None = OK
) -> None:
    index = Index(folder / "state", 1 << 20)
    index.record("3f2a91c0aa", index.digests(content), judgement, reply)
    index.close()


def receipt(folder: Path, **told: str) -> None:
    usual = {
        "key": "k",
        "message_id": "one@example.org",
        "label": "fake",
        "source": "/srv/feedback/fake/cur/1",
        "outcome": "learned",
        "reason": "",
        "model": "2026.11.23-3f2a91c",
    }
    with (folder / "models" / RECEIPTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(usual | told) + "\n")


def test_both_witnesses(run: Run, tmp_path: Path) -> None:
    note(tmp_path)
    receipt(tmp_path)
    receipt(tmp_path, message_id="two@example.org", outcome="refused", reason="gate")
    for given in ("one@example.org", "<one@example.org>", " <one@example.org>\n"):
        status, out, err = run(given)
        assert (status, err) == (cli.OK, "")
        first, passage, asks, delivery, correction = out.splitlines()
        assert first == "<one@example.org>"
        assert "fake, score 0.99, by model m-1" in passage
        assert "link, publication; offers: nothing" in asks
        assert "the next hop answered 250; id=3f2a91c0aa in the log" in delivery
        assert correction == (
            "  Correction: learned as fake into 2026.11.23-3f2a91c. /srv/feedback/fake/cur/1"
        )


def test_the_index_alone(run: Run, tmp_path: Path) -> None:
    note(tmp_path, judgement=unscored(Reason.TIMEOUT, "m-1"), reply=None)
    status, out, _ = run("one@example.org")
    assert status == cli.OK
    assert "unscored (timeout), by model m-1" in out
    assert "the next hop gave no answer" in out
    assert f"No correction: {tmp_path / 'models' / RECEIPTS} has no receipt" in out


def test_the_receipt_alone(run: Run, tmp_path: Path) -> None:
    receipt(tmp_path, outcome="refused", reason="quota-source", model="")
    status, out, _ = run("one@example.org")
    assert status == cli.OK
    assert f"no mail is in its index, {tmp_path / 'state'}" in out
    assert "filed as fake, refused: its owner has handed in more" in out


def test_neither(run: Run, tmp_path: Path) -> None:
    note(tmp_path)
    status, out, _ = run("two@example.org")
    assert status == cli.INCOMPLETE
    assert "has not seen it since 20" in out
    assert "No correction: " in out


def test_every_passage_and_every_receipt_is_told(run: Run, tmp_path: Path) -> None:
    note(tmp_path, reply=Reply.of(451, "4.3.0", "later"))
    note(tmp_path)
    receipt(tmp_path, outcome="refused", reason="gate")
    receipt(tmp_path)
    out = run("one@example.org")[1]
    assert out.index("answered 451") < out.index("answered 250")
    assert out.index("refused") < out.index("learned as fake")


def test_a_changed_copy_in_a_file(run: Run, tmp_path: Path) -> None:
    note(tmp_path)
    receipt(tmp_path)
    copy = tmp_path / "copy.eml"
    copy.write_bytes(
        MAIL.replace(b"Hello", b"[list] Hello").replace(b"\r\n", b"\n") + b"__\nlist\n"
    )
    status, out, _ = run("--mail", copy)
    assert status == cli.OK
    assert "fake, score 0.99" in out
    assert "learned as fake" in out
    copy.write_bytes(b"Subject: rewritten\n\n" + FAKE.partition(b"\r\n\r\n")[2])
    status, out, _ = run("--mail", copy)
    assert "fake, score 0.99" in out
    assert "No correction" in out
    copy.write_bytes(b"Subject: another\n\nAnother text that was never here, of some length.\n")
    assert run("--mail", copy)[0] == cli.INCOMPLETE


def test_a_copy_with_no_message_id_has_its_receipt_by_its_file(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy.eml"
    copy.write_bytes(FAKE)
    receipt(tmp_path, message_id="", source=str(copy), outcome="unreadable", reason="too-large")
    receipt(tmp_path, message_id="", source="elsewhere")
    out = run("--mail", copy)[1]
    assert "not read: it is too large" in out
    assert "elsewhere" not in out


def test_standard_input(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(MAIL)))
    status, out, _ = run("--mail", "-")
    assert status == cli.OK
    assert "fake, score 0.99" in out


def test_a_copy_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    status, out, err = run("--mail", tmp_path / "none.eml")
    assert (status, out) == (cli.INCOMPLETE, "")
    assert err == f"coop-verdict: {tmp_path / 'none.eml'}: No such file or directory\n"


@pytest.mark.parametrize("arguments", [[], ["one", "--mail", "x"], ["one", "two"]])
def test_one_mail_at_a_time(arguments: list[str], run: Run) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == cli.REFUSED


@pytest.mark.parametrize("line", ["", "null", "[]", "{}", "[" * 5000, '{"key": 1', "\x00"])
def test_a_line_that_is_no_receipt_is_skipped(
    line: str, run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "models" / RECEIPTS).write_text(line + "\n", encoding="utf-8")
    receipt(tmp_path)
    status, out, _ = run("one@example.org")
    assert status == cli.OK
    assert "learned as fake" in out
    assert "line 1 is no receipt" in caplog.text


def test_what_cannot_be_read_is_a_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "models" / RECEIPTS).mkdir()
    status, _, err = run("one@example.org")
    assert status == cli.REFUSED
    assert err.count("\n") == 1
    assert "Is a directory; the receipts cannot be read" in err
    (tmp_path / "state" / seen.KEY).mkdir(parents=True)
    status, _, err = run("one@example.org")
    assert status == cli.REFUSED
    assert "Is a directory; the index is for the filter's user" in err


def test_control_characters_do_not_reach_the_terminal(run: Run, tmp_path: Path) -> None:
    receipt(tmp_path, message_id="a\x1b[31m", source="/x\x07\u202e", outcome="n\x1b", label="\x9b")
    out = run("a\x1b[31m")[1]
    assert "n\N{REPLACEMENT CHARACTER}" in out
    assert not set(out) & set("\x1b\x07\x9b\u202e")


def test_a_message_id_of_odd_octets(run: Run, tmp_path: Path) -> None:
    note(tmp_path, b"Message-ID: <\xfc@x>\r\n\r\n")
    status, out, _ = run("\udcfc@x")
    assert status == cli.OK
    assert "by model m-1" in out
    assert run("")[0] == cli.INCOMPLETE


def test_all_words_of_receipts_are_explained() -> None:
    """The lists are learning's; here they are read, and must not fall behind."""
    assert set(_OUTCOMES) == set(OUTCOMES)
    assert set(_REASONS) == set(REASONS) - {""}
    assert set(Receipt.__slots__) <= set(Fate.__slots__)


def test_a_word_that_only_a_newer_program_knows(run: Run, tmp_path: Path) -> None:
    receipt(tmp_path, outcome="postponed {label}", reason="full-moon")
    assert "full-moon" in run("one@example.org")[1]


def test_a_mail_through_a_running_filter(run: Run, tmp_path: Path) -> None:
    """Sent, stored, and the stored copy, verdict on top, is asked about."""
    settings = (tmp_path / "settings.toml").read_text()
    with running_filter(tmp_path, settings) as running:
        with smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client:
            client.sendmail("private.person@example.org", ["b@example.net"], MAIL)
        (mail,) = running.mails()
        status, out, _ = run("one@example.org")
        assert status == cli.OK
        assert f"by model {NAME}" in out
        assert "answered 250" in out
        (tmp_path / "copy.eml").write_bytes(mail)
        assert run("--mail", tmp_path / "copy.eml")[0] == cli.OK
        assert out.partition("id=")[2].split()[0] in running.log
    assert "private.person" not in (tmp_path / "state" / seen.NAME).read_text()


def test_a_filter_told_to_keep_none(tmp_path: Path) -> None:
    models = write_models(tmp_path / "models")
    settings = f"[model]\nfolder = '{models}'\n[journal]\nenabled = false\n"
    with running_filter(tmp_path, settings) as running:
        with smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client:
            client.sendmail("a@example.org", ["b@example.net"], MAIL)
        assert len(running.mails()) == 1
    assert not (tmp_path / "var" / "state").exists()
