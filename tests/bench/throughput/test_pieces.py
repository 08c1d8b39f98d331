"""The pieces of the comparison that need no server: what they count must be so."""

from __future__ import annotations

import email
import json
from pathlib import Path

import pytest
from bench.throughput import route
from bench.throughput.curves import Curve, summary
from bench.throughput.figures import FIGURES, Sample, spreads
from bench.throughput.load import smtp_lines
from bench.throughput.measure import percentile
from bench.throughput.messages import LEAST, MOST, Writer
from bench.throughput.path import _door, _listener_behind
from bench.throughput.peers import OURS, Running
from bench.throughput.senders import Senders
from bench.throughput.table import table

WORDS = "The minutes of the last meeting are ready, and the hall is booked for May. Grüße!"
PARAGRAPHS = {
    (label, language): [f"{label} {language}: {WORDS}", WORDS]
    for label in ("fake", "genuine", "none")
    for language in ("de", "en")
}


def test_mails_are_the_same_each_time_and_of_the_size_promised() -> None:
    mails = list(Writer(PARAGRAPHS).mails("test", 60))
    assert mails == list(Writer(PARAGRAPHS).mails("test", 60))
    assert mails != list(Writer(PARAGRAPHS, seed=7).mails("test", 60))
    assert all(LEAST <= len(mail) <= MOST for mail in mails)
    assert all(mail.count(b"\n") == mail.count(b"\r\n") for mail in mails)


def test_mails_are_of_every_shape_and_can_be_read() -> None:
    found = set()
    for octets in Writer(PARAGRAPHS).mails("test", 60):
        message = email.message_from_bytes(octets)
        parts = [part for part in message.walk() if not part.is_multipart()]
        assert not any(part.defects for part in message.walk())
        assert all(part.get_payload(decode=True) for part in parts)
        found |= {(part.get_content_type(), part["Content-Transfer-Encoding"]) for part in parts}
    for kind in ("text/plain", "text/html"):
        assert {how for one, how in found if one == kind} == {"8bit", "base64", "quoted-printable"}
    assert ("image/png", "base64") in found


def test_senders_stuff_dots_and_end_the_mail_once() -> None:
    *start, content, end = smtp_lines(b".a\r\n.\r\nb\r\n", 2)
    assert content == b"..a\r\n..\r\nb\r\n.\r\n"
    assert smtp_lines(b"no end", 1)[-2] == b"no end\r\n.\r\n"
    verbs = [line.split()[0] for line in [*start, end]]
    assert verbs == [b"EHLO", b"MAIL", b"RCPT", b"RCPT", b"DATA", b"QUIT"]


def test_what_senders_say_of_nobody_is_no_figure(tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes(b"a\r\n")
    with pytest.raises(AssertionError, match="no mail was accepted"):
        Senders(1, [tmp_path], count=1, mails=1).send()


def test_a_percentile_is_never_kinder_than_the_values() -> None:
    assert percentile([3, 1, 2], 0.99) == 3
    assert percentile(range(100), 0.5) == 50


def test_ratios_say_who_is_ahead() -> None:
    assert FIGURES["rate"].ahead(1200, 300) == 4
    assert FIGURES["cpu"].ahead(600, 1200) == 2
    assert FIGURES["rate"].reached(1200)
    assert not FIGURES["cpu"].reached(801)


def test_the_table_names_ours_first_the_aim_and_what_was_disturbed() -> None:
    rates = {"rspamd": (180, 200, 190), OURS: (400, 380, 390)}
    samples = [Sample("rate", who, rate) for who, some in rates.items() for rate in some]
    first, second = table(samples).splitlines()[2:4]
    assert [cell.strip() for cell in first.split("|")[2:-1]] == [
        *(OURS, "390 (380-400)", "", "1200 or more: missed")
    ]
    assert "2.05 times" in second
    assert "disturbed" not in table(samples)
    disturbed = [*samples, Sample("rate", "rspamd", 100, foreign=0.5)]
    assert "200) !" in table(disturbed)
    assert "1 of 7 measurements" in table(disturbed)


def test_each_sample_has_its_figure() -> None:
    samples = [Sample(name, OURS, 1.0) for name in FIGURES]
    assert list(spreads(samples)) == list(FIGURES)
    assert json.dumps([vars(sample) for sample in samples])


@pytest.mark.parametrize(
    ("power", "allowed", "said"),
    [
        (1, 1, "as it should be"),
        (2, 1, "WORSE THAN LINEAR"),
        (1, 0, "GROWS, AND SHOULD NOT"),
        (0, 0, "as it should be"),
    ],
)
def test_a_power_is_found_and_named(power: int, allowed: int, said: str) -> None:
    points = [(float(10**i), 5.0 * 10 ** (i * power)) for i in range(5)]
    curve = Curve("it", "sizes", "ms", allowed, points)
    assert curve.power == pytest.approx(power)
    assert said in summary([curve])


def test_the_sample_file_for_postfix_gives_both_listeners() -> None:
    door = _door(20001, Running(20002, ()))
    assert door.startswith("127.0.0.1:20001 ")
    assert "smtpd_proxy_filter=127.0.0.1:20002" in door
    assert _listener_behind(20003).startswith("127.0.0.1:20003 ")
    assert "smtpd_milters=unix:/x" in _door(20001, Running(20002, (), milter="unix:/x"))


class TestRoute:
    LOOP = ("main (milter/cli.py)", "BaseEventLoop._run_once (asyncio/base_events.py)")
    MAIL = (*LOOP, "Handle._run (asyncio/events.py)", "Receiver._data (milter/smtp/receiver.py)")

    @pytest.mark.parametrize(
        ("above", "step"),
        [
            (("read_text (milter/mail/text.py)", "to_text (milter/mail/html.py)"), "reading: HTML"),
            (("named (milter/spam/features.py)", "_sum (numpy/core.py)"), "features"),
            (("something (elsewhere.py)",), "sender: commands, content, replies"),
        ],
    )
    def test_innermost_known_frame_counts(self, above: tuple[str, ...], step: str) -> None:
        assert route.step((*self.MAIL, *above)) == step

    def test_what_runs_the_loop_is_the_loop(self) -> None:
        assert route.step((*self.LOOP, "EpollSelector.select (selectors.py)")) == "event loop"

    def test_shares_are_of_all_samples(self) -> None:
        stacks = [f"{';'.join(self.MAIL)} 30", f"{';'.join(self.LOOP)} 10"]
        rows = route.table(stacks, 800.0).splitlines()
        assert "| sender: commands, content, replies | 75.0% | 600 |" in rows
        assert "| event loop | 25.0% | 200 |" in rows
