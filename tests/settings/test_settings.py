"""Settings: broken files are refused with every fault named, the sample is what it says.

``broken/NAME.toml`` is refused with the sentences of ``broken/NAME.txt``, one a line, in which the
file's own path is left out.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from milter import cli
from milter.config import Settings, annotated, load
from milter.errors import SettingsError

BROKEN = Path(__file__).with_name("broken")
SAMPLE = Path(__file__).parents[2] / "deploy" / "coop-verdict.toml"
NAMES = sorted(path.stem for path in BROKEN.glob("*.toml"))


def refusal(path: Path) -> list[str]:
    """The sentences with which ``path`` is refused, without its name."""
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert all(fault.startswith(f"{path}: ") for fault in caught.value.faults)
    return [fault.removeprefix(f"{path}: ") for fault in caught.value.faults]


@pytest.mark.parametrize("name", NAMES)
def test_broken_settings(name: str) -> None:
    wanted = (BROKEN / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert refusal(BROKEN / f"{name}.toml") == wanted


def test_every_broken_file_has_its_sentence() -> None:
    assert sorted(path.stem for path in BROKEN.glob("*.txt")) == NAMES


def test_all_faults_at_once() -> None:
    faults = " ".join(refusal(BROKEN / "many-faults.toml"))
    for place in ("listen", "arrangement", "listem", "errors", "judging", "level", "colours"):
        assert place in faults


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.toml") == ["No such file or directory"]
    assert refusal(tmp_path) == ["Is a directory"]


def test_faults_on_the_command_line_are_named_too() -> None:
    with pytest.raises(SettingsError, match=r"settings: \[filter\] listen: 'x' is not an endpoint"):
        load(None, {"filter": {"listen": "x"}})


def test_a_command_refuses_broken_settings(capsys: pytest.CaptureFixture[str]) -> None:
    path = BROKEN / "many-faults.toml"
    assert cli.main(["check", "--config", str(path), "-"]) == cli.REFUSED
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == len(refusal(path))
    assert all(line.startswith(f"coop-verdict: {path}: ") for line in err.splitlines())


def test_the_sample_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config"]) == cli.OK
    assert capsys.readouterr().out == annotated() == SAMPLE.read_text(encoding="utf-8")


def test_the_sample_loads_and_says_the_defaults(tmp_path: Path) -> None:
    assert load(SAMPLE) == load(None) == Settings()
    everything = tmp_path / "all.toml"
    models = load(None).model.folder
    text = SAMPLE.read_text(encoding="utf-8").replace('# folder = "models"', f'folder = "{models}"')
    everything.write_text(text, encoding="utf-8")
    assert load(everything) == Settings()


def test_the_sample_is_readable() -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 95
    assert not any(re.match(r"\w+ = ", line) for line in lines[:3])


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.touch()
    assert load(path) == Settings()


def test_overrides_win(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[filter]\nlisten = "127.0.0.1:1"\nhostname = "mx.example"\n', encoding="utf-8")
    settings = load(path, {"filter": {"listen": "[::1]:2"}})
    assert str(settings.filter.listen) == "[::1]:2"
    assert settings.hostname == "mx.example"


@pytest.mark.parametrize("given", ["127.0.0.1:25", "[::1]:25", "unix:/run/x", "localhost:25"])
def test_endpoints_as_they_are_written(given: str) -> None:
    settings = load(None, {"filter": {"listen": given, "next_hop": given}})
    assert str(settings.filter.listen) == settings.filter.next_hop == given


@pytest.mark.parametrize("name", ["two words", "ünicode", "line\r\nend"])
def test_a_hostname_that_cannot_stand_in_a_greeting_is_not_used(name: str) -> None:
    assert load(None, {"filter": {"hostname": name}}).hostname == "localhost"


@pytest.mark.parametrize(
    ("next_hop", "arrangement", "strict"),
    [
        ("", "before-queue", False),
        ("127.0.0.1:10026", "before-queue", True),
        ("127.0.0.1:10026", "after-queue", False),
    ],
)
def test_before_queue(next_hop: str, arrangement: str, strict: bool) -> None:
    settings = load(None, {"filter": {"next_hop": next_hop, "arrangement": arrangement}})
    assert settings.before_queue is strict


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every path alike, so that what was found while checking is found when it is used."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "cert.pem").touch()
    settings = load(None, {"filter": {"maildir": "~/mail"}, "tls": {"certificate": "~/cert.pem"}})
    assert settings.filter.maildir == tmp_path / "mail"
    assert settings.tls.certificate == str(tmp_path / "cert.pem")


def test_a_domain_is_known_as_people_and_as_servers_write_it(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[policy]\nrecipients = { "münchen.example" = "nothing" }\n')
    known = load(path).policy.recipients
    assert known == {"münchen.example": "nothing", "xn--mnchen-3ya.example": "nothing"}


# Of the ports that browsers refuse to open (https://fetch.spec.whatwg.org/#port-blocking), those
# above 1023, where a page without root's rights may be.
REFUSED_BY_BROWSERS = {
    *{1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566},
    *{6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080},
}


def test_browsers_open_the_page_where_it_is_by_default() -> None:
    port = load(None).review.listen.port
    assert port > 1023
    assert port not in REFUSED_BY_BROWSERS
