"""The corpus as published: it meets its plan and keeps its rules, and both would notice if not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from milter.spam.bundle import LABELS
from training.cli import main
from training.data import Example, newest_day, read_corpus
from training.plan import Mail, Row, compare, read_mails, read_plan, unplanned
from training.rules import REQUIRED, all_faults, faults, foreign_domains, near_copies, own_words

CORPUS = Path(__file__).resolve().parents[2] / "training" / "corpus"
NEWEST: date = read_plan()["newest"]

LETTER = """Guten Tag Frau Sommer,

wir planen für den 14. März einen Tag der offenen Werkstatt und suchen jemanden, der den Besuchern
das Binden eines Heftes zeigt. Es kommen etwa achtzig Leute, Honorar 300 Euro, die Fahrt zahlen wir.
Könnten Sie sich das vorstellen? Bis Ende Januar müsste das Programm in den Druck.

Freundliche Grüße
Jette Brandt
"""
HEADER = """From: Jette Brandt <brandt@werkstatt.example>
To: sommer@papier.example
Subject: Werkstatt am 14. =?utf-8?q?M=C3=A4rz?=
Date: Mon, 12 Jan 2026 09:00:00 +0100
Message-ID: <1@werkstatt.example>
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
"""


def written(body: str = LETTER, header: str = HEADER, name: str = "1.eml") -> Mail:
    """A mail as it would stand in the corpus."""
    content = f"{header}\n{body}".replace("\n", "\r\n").encode()
    (mail,) = read_mails([Example(name, "genuine", "de", "genuine/commission", content)])
    return mail


def lines(found: list[Row]) -> dict[tuple[str, str], Row]:
    return {(row.section, row.name): row for row in found}


@pytest.fixture(scope="module")
def mails() -> list[Mail]:
    return read_mails(read_corpus(CORPUS))


@pytest.fixture(scope="module")
def plan() -> dict[str, Any]:
    return read_plan()


@pytest.fixture(scope="module")
def rows(plan: dict[str, Any], mails: list[Mail]) -> list[Row]:
    return compare(plan, mails)


SECTIONS = (
    "languages cells shares lengths registers forms charsets encodings fake genuine none".split()
)


@pytest.mark.parametrize("section", SECTIONS)
def test_the_plan_is_met(rows: list[Row], section: str) -> None:
    """Themes are sections named ``label: kind``."""
    of_section = [row for row in rows if row.section.partition(":")[0] == section]
    assert of_section
    lacking = [f"{row.section} {row.name}: {row.lacking}" for row in of_section if row.missing]
    assert not lacking, "\n".join(lacking)


def test_no_section_goes_untested(rows: list[Row]) -> None:
    assert {row.section.partition(":")[0] for row in rows} == set(SECTIONS)


def test_each_theme_is_planned(plan: dict[str, Any], mails: list[Mail]) -> None:
    assert unplanned(plan, mails) == []


def test_no_mail_and_no_pair_breaks_a_rule(mails: list[Mail]) -> None:
    found = all_faults(mails, NEWEST)
    assert not found, "\n".join(found)


def test_no_two_files_are_the_same(mails: list[Mail]) -> None:
    count = Counter(mail.example.content for mail in mails)
    same = [mail.example.name for mail in mails if count[mail.example.content] > 1]
    assert not same, "\n".join(same)


def test_the_bundle_is_named_after_a_day_that_may_be(mails: list[Mail]) -> None:
    assert newest_day([mail.example for mail in mails]) <= NEWEST


def test_nothing_else_lies_in_the_corpus() -> None:
    strays = [path for path in CORPUS.rglob("*") if path.is_file() and path.suffix != ".eml"]
    deep = {len(path.relative_to(CORPUS).parts) for path in CORPUS.rglob("*.eml")}
    assert strays == []
    assert deep == {4}


def test_the_plan_asks_for_what_was_promised(plan: dict[str, Any]) -> None:
    """A corpus that grows must not be met by a plan that shrinks."""
    assert plan["languages"] == {"de": 1000, "en": 1000, "others": 400}
    assert set(plan["cells"]["de"]) == set(plan["themes"]) == set(LABELS)
    for language in ("de", "en", "others"):
        assert sum(plan["cells"][language].values()) == plan["languages"][language]
    assert sum(plan["shares"][label] for label in LABELS) == pytest.approx(1)
    assert plan["shares"]["tolerance"] <= 0.07


# What follows plants faults.


def test_a_missing_cell_is_found(plan: dict[str, Any], mails: list[Mail]) -> None:
    left = [mail for mail in mails if (mail.label, mail.language) != ("genuine", "en")]
    found = lines(compare(plan, left))
    assert found["cells", "en genuine"].missing == plan["cells"]["en"]["genuine"]
    assert found["lengths", "en genuine long"].missing
    assert not found["cells", "de genuine"].missing


def test_a_missing_theme_is_found(plan: dict[str, Any], mails: list[Mail]) -> None:
    left = [mail for mail in mails if mail.example.group != "fake/dead-link"]
    found = {row.name: row.missing for row in compare(plan, left) if "dead-link" in row.name}
    assert len(found) == 2
    assert all(missing >= 10 for missing in found.values())


def test_too_much_of_a_label_is_found(plan: dict[str, Any], mails: list[Mail]) -> None:
    left = [mail for mail in mails if mail.label != "fake"]
    found = lines(compare(plan, left))
    assert found["shares", "none"].lacking.endswith("over")
    assert found["shares", "fake"].missing == pytest.approx(0.40 - plan["shares"]["tolerance"])


def test_a_theme_that_is_not_planned_is_found(plan: dict[str, Any]) -> None:
    mail = written()
    slip = replace(mail, example=replace(mail.example, group="genuine/comission"))
    assert unplanned(plan, [mail, slip]) == ["genuine/comission"]


def test_a_copy_with_two_words_changed_is_found(mails: list[Mail]) -> None:
    changed = LETTER.replace("Sommer", "Winter").replace("achtzig", "neunzig")
    assert changed != LETTER
    copy = written(changed, HEADER.replace("<1@", "<2@"), "2.eml")
    (found,) = near_copies([*mails[::10], written(), copy])
    assert (found.one, found.other) == ("1.eml", "2.eml")
    assert found.common > 0.5


def test_a_short_copy_with_a_word_changed_is_found() -> None:
    bump = "Hallo Frau Sommer, haben Sie meine Mail zum Heft vom Montag gesehen?\n"
    other = bump.replace("Sommer", "Winter")
    thanks = "Liebe Jette, danke, das Heft ist angekommen und sehr schön geworden.\n"
    mails = [written(body, name=body) for body in (bump, other, thanks)]
    assert [(copy.one, copy.other) for copy in near_copies(mails)] == [(bump, other)]


def test_a_letter_that_is_part_of_a_longer_one_is_found() -> None:
    """The share is of the smaller mail, or padding would hide a copy."""
    padding = " ".join(f"wort{number}" for number in range(2000))
    copies = near_copies([written(), written(f"{LETTER}\n{padding}\n", name="2.eml")])
    assert [copy.common for copy in copies] == [1.0]


def test_a_quoted_mail_is_no_copy() -> None:
    """A reply repeats what it answers; only what its sender wrote counts."""
    quoted = "\n".join(f"> {line}" for line in LETTER.split("\n"))
    reply = written(f"Liebe Frau Brandt, das mache ich gern, ich komme um neun.\n\n{quoted}\n")
    assert "honorar" not in own_words(reply)
    assert near_copies([written(), reply]) == []


@pytest.mark.parametrize(
    ("body", "domain"),
    [
        ("Siehe https://shop.kaufhaus.de/angebot?x=1\n", "shop.kaufhaus.de"),
        ("Siehe http://192.0.2.1/\n", "192.0.2.1"),
        ("Siehe www.example.de.\n", "www.example.de"),
        ("Schreiben Sie an info@notexample.com!\n", "notexample.com"),
        ("Mehr auf kaufhaus.de/angebot.\n", "kaufhaus.de"),
    ],
)
def test_a_foreign_domain_is_found(body: str, domain: str) -> None:
    assert foreign_domains(written(body)) == [domain]
    assert list(faults(written(LETTER + body), NEWEST)) == [f"{domain} is not a reserved domain"]


def test_a_foreign_domain_is_found_behind_a_link_and_in_the_header() -> None:
    html = HEADER.replace("text/plain", "text/html")
    link = '<p>Mehr <a href="https://kaufhaus.de/a">hier</a> <img src="//bild.de/b"></p>\n'
    assert foreign_domains(written(link, html)) == ["bild.de", "kaufhaus.de"]
    sender = HEADER.replace("werkstatt.example>\nTo", "werkstatt.de>\nTo")
    assert foreign_domains(written(header=sender)) == ["werkstatt.de"]


def test_reserved_domains_and_what_only_looks_foreign() -> None:
    body = (
        "https://a.example/x www.b.example.org, c@d.test, d.invalid/x und e.example.com; z.B. am\n"
        "@moth.mum vom 3.1.de-facto\n"
    )
    mailer = HEADER + "X-Mailer: PHPMailer (https://github.com/PHPMailer/PHPMailer)\n"
    assert foreign_domains(written(body, mailer)) == []
    page = '<html xmlns:m="http://schemas.microsoft.com/office"><img src="cid:a@01DA.5E"></html>\n'
    assert foreign_domains(written(page, HEADER.replace("text/plain", "text/html"))) == []


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_field_is_found(name: str) -> None:
    header = HEADER.replace(f"{name}:", f"X-{name}:")
    assert f"no {name}" in list(faults(written(header=header), NEWEST))


def test_days_that_cannot_be_are_found() -> None:
    late = NEWEST + timedelta(days=1)
    header = HEADER.replace("12 Jan 2026", f"{late:%d %b %Y}")
    assert list(faults(written(header=header), NEWEST)) == [f"dated {late}, later than {NEWEST}"]
    header = HEADER.replace("12 Jan 2026", "irgendwann")
    assert list(faults(written(header=header), NEWEST)) == ["its Date cannot be read"]


def test_a_mail_that_cannot_be_read_is_found() -> None:
    assert list(faults(written("\n"), NEWEST)) == ["no text that can be read"]
    assert "no text that can be read" in list(faults(written("\x01\x02" * 200), NEWEST))
    assert list(faults(written(), NEWEST)) == []


@pytest.mark.parametrize(
    ("body", "register"),
    [
        ("Guten Tag, könnten Sie Ihren Artikel ergänzen?", "Sie"),
        ("Hi Jo, hast du deine Seite mal geprüft?", "du"),
        ("Hallo zusammen, habt ihr euren Link gesehen? Ich mag euch.", "ihr"),
        ("Moin, Ihr seid super, Euer Blog auch.", "ihr"),
        ("Der Kurs am Montag fällt aus. Sie ist krank.", "impersonal"),
    ],
)
def test_german_registers(body: str, register: str) -> None:
    assert written(body).register == register


@pytest.mark.parametrize(
    ("body", "register"),
    [
        ("Dear Ms Hale,\nwould you?", "formal"),
        ("\nTo whom it may concern", "formal"),
        ("Hi there, would you?", "casual"),
        ("Jerome and Kim,\n\nwould you?", "casual"),
        ("Midnight. That's the deadline for us all, and I ask once.", "none"),
    ],
)
def test_english_registers(body: str, register: str) -> None:
    mail = written(body)
    assert replace(mail, example=replace(mail.example, language="en")).register == register


def test_lengths_and_forms() -> None:
    assert [written("wort " * count).length for count in (59, 60, 180, 181)] == [
        "short",
        "middle",
        "middle",
        "long",
    ]
    body = "Hallo {{vorname}},\nsiehe unten, es ist ein schöner Tag.\n\nViele Grüße\nA\nB\nC\n"
    body += "Abmelden\n\nAm 3.1.2026 um 9:00 schrieb Jo:\n> Lieber Jo\n"
    assert written(body).forms == {
        "charset utf-8",
        "encoding 8bit",
        "quoted",
        "unsubscribe",
        "merge-field",
        "signature",
    }
    assert "html" in written("<p>x</p>", HEADER.replace("text/plain", "text/html")).forms
    assert "merge-field" not in written("Hallo Jo,\n\\frac{ab} und 5 % {").forms


def test_the_command_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in LABELS:
        folder = tmp_path / label / "de" / "x"
        folder.mkdir(parents=True)
        (folder / "1.eml").write_text(f"{HEADER}\n{LETTER}", encoding="utf-8")
    assert main(["corpus", "--corpus", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "fake/x: not in the plan" in said
    assert "fake/de/x/1.eml and genuine/de/x/1.eml have 100% in common" in said
    assert main(["corpus", "--corpus", str(tmp_path / "no")]) == 2
