"""``coop-verdict quarantine`` as it is typed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from quarantine.mails import ANNA, BERT, held, ids, mail

from milter import maildir
from milter.cli import main
from milter.quarantine.store import Quarantine, Query, State

ID = "0123456789abcdef"


@dataclass
class Site:
    """A filter's settings, its quarantine, and what was typed last."""

    folder: Path
    quarantine: Quarantine
    capsys: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    def run(self, *arguments: str) -> int:
        """Type a command; its exit status."""
        try:
            status = main(["quarantine", *arguments, "--config", str(self.folder / "coop.toml")])
        except SystemExit as ended:  # argparse's own way to refuse a call
            status = int(ended.code or 0)
        self.out, self.err = self.capsys.readouterr()
        return status

    def objects(self) -> list[dict[str, object]]:
        """What it said, as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def inbox(self) -> list[bytes]:
        """The released mails."""
        return [path.read_bytes() for path in (self.folder / "mail" / "new").iterdir()]


@pytest.fixture
def site(
    tmp_path: Path, folder: Path, quarantine: Quarantine, capsys: pytest.CaptureFixture[str]
) -> Site:
    maildir.prepare(tmp_path / "mail")
    (tmp_path / "coop.toml").write_text(
        f'[filter]\nmaildir = "{tmp_path}/mail"\n[quarantine]\nfolder = "{folder}"\n'
        f'[review]\nfeedback = "{tmp_path}/feedback"\n'
    )
    return Site(tmp_path, quarantine, capsys)


def test_list(site: Site) -> None:
    item = held(
        site.quarantine, content=mail("Grüße \x1b[31m\u202e", "=?utf-8?q?J=1Bo?= <j@x.example>")
    )
    assert site.run("list") == 0
    (line,) = site.out.splitlines()
    assert line.startswith(item)
    for told in ("held", "fake", "0.97", ANNA, "Grüße"):
        assert told in line
    assert all(character.isprintable() for character in line)


def test_list_json(site: Site) -> None:
    items = [held(site.quarantine), held(site.quarantine, BERT)]
    assert site.run("list", "--json") == 0
    assert [told["id"] for told in site.objects()] == items[::-1]
    assert site.objects()[0]["recipient"] == BERT


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {0, 1}),
        (["--recipient", "<ANNA@example.net>"], {0}),
        (["--recipient", ANNA, "--recipient", BERT], {0, 1}),
        (["--recipient", ""], set()),
        (["--since", "1h"], {0, 1}),
        (["--until", "1h"], set()),
        (["--since", "2026-01-01T00:00", "--until", "2099-01-01"], {0, 1}),
        (["--state", "released"], set()),
        (["--state", "held", "--state", "gone"], {0, 1}),
        (["--verdict", "fake"], {0, 1}),
        (["--verdict", "unsure"], set()),
        (["LINKtausch"], {1}),
        (["--sort", "subject", "--ascending", "pitch@example.org"], {0, 1}),
    ],
)
def test_list_filters(arguments: list[str], expected: set[int], site: Site) -> None:
    items = [
        held(site.quarantine, ANNA, content=mail("Gastbeitrag")),
        held(site.quarantine, BERT, content=mail("Linktausch")),
    ]
    assert site.run("list", "--json", *arguments) == 0
    assert {items.index(str(told["id"])) for told in site.objects()} == expected


def test_list_says_that_there_is_more(site: Site) -> None:
    for _ in range(3):
        held(site.quarantine)
    assert site.run("list", "--limit", "2") == 0
    assert len(site.out.splitlines()) == 2
    assert site.err == "2 of 3; --offset 2 goes on\n"


@pytest.mark.parametrize("when", ["", "yesterday", "7", "d", "-1d", "٣d", "2026-13-01", "9" * 30])
def test_a_wrong_moment_is_told_in_words(when: str, site: Site) -> None:
    assert site.run("list", f"--since={when}") == 2
    assert "is no date (2026-11-23, 2026-11-23T08:30) and no time ago (12h, 7d, 2w)" in site.err


def test_show(site: Site) -> None:
    item = held(site.quarantine, content=mail("Linktausch \x1b[2J"))
    assert site.run("show", item) == 0
    for told in (
        item,
        "Linktausch",
        "pitch@example.org",
        "Gastbeitrag",
        "kostenlos (+1.2)",
        "0.97",
    ):
        assert told in site.out
    assert "\x1b" not in site.out
    assert site.run("show", item, "--json") == 0
    assert site.objects()[0]["events"] == []
    site.quarantine.delete(item, "anna")
    assert site.run("show", item) == 0
    assert "deleted by anna" in site.out


def test_show_raw(site: Site) -> None:
    item = held(site.quarantine)
    content = site.quarantine.content(item)
    command = [sys.executable, "-m", "milter", "quarantine", "show", "--raw", item]
    done = subprocess.run(
        [*command, "--config", str(site.folder / "coop.toml")], capture_output=True, check=True
    )
    assert done.stdout == content


def test_release(site: Site) -> None:
    items = [held(site.quarantine), held(site.quarantine, BERT), held(site.quarantine)]
    assert site.run("release", *items[:2]) == 0
    assert site.out == "".join(f"{item}  released: 250 2.0.0 OK\n" for item in items[:2])
    assert ids(site.quarantine) == [items[2]]
    assert len(site.inbox) == 2
    assert all(mail.startswith(b"X-Coop-Verdict: none; reason=released") for mail in site.inbox)
    assert site.quarantine.item(items[0]).by.endswith(" (command)")


@pytest.mark.parametrize("label", ["none", "genuine", "fake"])
def test_release_and_file_as_feedback(label: str, site: Site) -> None:
    item = held(site.quarantine)
    assert site.run("release", item, "--as", label, "--json") == 0
    assert site.objects() == [{"id": item, "done": "released", "reply": "250 2.0.0 OK"}]
    assert (site.folder / "feedback" / ANNA / label / f"{item}.eml").read_bytes() == mail()


def test_what_cannot_be_filed_is_not_released(site: Site) -> None:
    item = held(site.quarantine)
    (site.folder / "feedback").write_text("in the way")
    assert site.run("release", item, "--as", "none") == 1
    assert f"coop-verdict: {item} is not released: it cannot be filed in" in site.err
    assert ids(site.quarantine) == [item]
    assert site.inbox == []


def test_one_that_is_not_there_stops_no_other(site: Site) -> None:
    item = held(site.quarantine)
    for deed in ("release", "delete"):
        assert site.run(deed, ID, "../x") == 1
        assert site.err == (
            f"coop-verdict: there is no held mail '{ID}'\n"
            "coop-verdict: there is no held mail '../x'\n"
        )
    assert site.run("release", ID, item, item) == 1
    assert len(site.inbox) == 1


def test_without_a_next_hop_the_rest_waits(site: Site) -> None:
    items = [held(site.quarantine) for _ in range(3)]
    settings = site.folder / "coop.toml"
    settings.write_text(
        settings.read_text().replace("[filter]", '[filter]\nnext_hop="127.0.0.1:1"')
    )
    assert site.run("release", *items) == 1
    assert "2 more not tried" in site.err
    assert {site.quarantine.item(item).state for item in items} == {State.HELD}
    assert site.quarantine.history(items[1]) == []


def test_all_wants_a_yes(site: Site) -> None:
    items = [held(site.quarantine), held(site.quarantine, BERT)]
    for deed, told in (("release", "released"), ("delete", "deleted")):
        assert site.run(deed, "--all", "--recipient", BERT) == 2
        assert site.err == f"coop-verdict: 1 mails would be {told}: with --yes they are\n"
    assert ids(site.quarantine) == items[::-1]
    assert site.run("delete", "--all", "--recipient", BERT, "--yes") == 0
    assert ids(site.quarantine) == items[:1]
    assert site.run("release", "--all", "--words", "kooperation", "--yes") == 0
    assert ids(site.quarantine) == []


def test_all_leaves_what_the_filter_has_to_deliver(site: Site) -> None:
    item = held(site.quarantine, state=State.DEFERRED)
    assert site.run("delete", "--all", "--yes") == 0
    assert site.quarantine.deferred() == [item]


@pytest.mark.parametrize("arguments", [[], ["--all", ID], [ID, "--recipient", ANNA]])
@pytest.mark.parametrize("deed", ["release", "delete"])
def test_an_unclear_call_does_nothing(deed: str, arguments: list[str], site: Site) -> None:
    item = held(site.quarantine)
    assert site.run(deed, *arguments, "--yes") == 2
    assert site.err.startswith("coop-verdict: ")
    assert ids(site.quarantine) == [item]


def test_expire(site: Site) -> None:
    held(site.quarantine)
    assert site.run("expire") == 0
    assert site.out == "0 mails deleted that were held for more than 30 days\n"
    assert site.run("expire", "--days", "0", "--json") == 0
    assert site.objects() == [{"deleted": 1, "days": 0}]
    assert ids(site.quarantine) == []


def test_without_a_quarantine_it_says_where_it_looked(site: Site) -> None:
    shutil.rmtree(site.folder / "quarantine")
    assert site.run("list") == 2
    assert f"there is no quarantine in {site.folder}/quarantine" in site.err


def completed(site: Site, typed: str) -> list[str]:
    """What a real bash offers behind ``typed``."""
    script = """
        coop-verdict() { "$PYTHON" -m milter "$@"; }
        eval "$(coop-verdict completion bash)"
        COMP_LINE="coop-verdict $1" COMP_POINT=$((${#1} + 13)) COMP_TYPE=9
        read -ra COMP_WORDS <<< "$COMP_LINE"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        complete -p coop-verdict | grep -q _python_argcomplete || exit 9
        IFS=$'\\013' _python_argcomplete coop-verdict
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    environment = {"PYTHON": sys.executable, "PATH": "/usr/bin:/bin", "HOME": str(site.folder)}
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        ["bash", "-c", script, "bash", typed],
        env=environment | {"PYTHONPATH": root},
        cwd=site.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_bash_completes_deeds_options_and_ids(site: Site) -> None:
    items = [held(site.quarantine), held(site.quarantine)]
    assert completed(site, "quar") == ["quarantine"]
    assert completed(site, "quarantine rel") == ["release"]
    assert "--recipient" in completed(site, "quarantine list --re")
    config = f"--config {site.folder}/coop.toml"
    assert completed(site, f"quarantine release {config} {items[0][:9]}") == [items[0]]
    assert completed(site, f"quarantine release --config /nowhere {items[0][:9]}") == []
    assert ids(site.quarantine, Query()) == items[::-1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "coop-verdict" in capsys.readouterr().out
