"""What one owner, one sender or one slip of the hand cannot do."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.feedback import collected, fates, learned, letter, put

from milter.mail.folder import as_content
from training.data import Example
from training.feedback.candidate import belongs, parties, site
from training.feedback.collect import collect
from training.feedback.settings import FeedbackSettings

THREAD = {"In_Reply_To": "<0@x.example>", "Cc": "carl@third.example"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (THREAD, "several-parties"),
        ({"References": "<0@x.example>", "Cc": "c@third.example"}, "several-parties"),
        ({"List_Id": "<talk.list.example>"}, "several-parties"),
        ({"sender": "Chef <chef@news.home.example>"}, "own-domain"),
    ],
)
def test_not_learned_as_fake_without_force(
    tmp_path: Path, fields: dict[str, str], reason: str
) -> None:
    put(tmp_path / "fake" / "1.eml", letter(1, **fields))
    own = ("home.example",)
    assert fates(collected(tmp_path, own_domains=own)) == [f"refused/{reason}"]
    assert fates(collected(tmp_path, force=True, own_domains=own)) == ["learned"]
    (tmp_path / "fake").rename(tmp_path / "none")
    assert fates(collected(tmp_path, own_domains=own)) == ["learned"]


@pytest.mark.parametrize(
    "fields",
    [
        {"In_Reply_To": "<0@x.example>"},
        {"Cc": "c@third.example"},
        {"In_Reply_To": "<0@x.example>", "Cc": "d@mail.home.example, e@home.example"},
        {"In_Reply_To": "<0@x.example>", "Cc": '"x@third.example" <d@home.example>'},
        {"List_Id": ""},
    ],
)
def test_two_sides_are_no_conversation_of_several(tmp_path: Path, fields: dict[str, str]) -> None:
    put(tmp_path / "fake" / "1.eml", letter(1, **fields))
    assert fates(collected(tmp_path)) == ["learned"]


@pytest.mark.parametrize("trusted", ["editor@paper.example", "paper.example", "@PAPER.example"])
def test_trusted_senders_are_never_fake(tmp_path: Path, trusted: str) -> None:
    put(tmp_path / "fake" / "1.eml", letter(1, sender="The Editor <Editor@Paper.example>"))
    put(tmp_path / "fake" / "2.eml", letter(2, sender="editor@paper.example.evil.example"))
    put(tmp_path / "fake" / "3.eml", letter(3, sender='"editor@paper.example" <x@y.example>'))
    found = collected(tmp_path, force=True, trusted_senders=(trusted,))
    assert fates(found) == ["learned", "learned", "refused/trusted-sender"]


def test_what_must_not_be_fake_has_no_vote(tmp_path: Path) -> None:
    """A guard comes before the vote: else one slip would keep a mail from being learned as none."""
    put(tmp_path / "anna" / "fake" / "1.eml", letter(1, **THREAD))
    put(tmp_path / "bert" / "none" / "1.eml", letter(1, **THREAD))
    found = collected(tmp_path)
    assert learned(found) == [("1@site.example", "none")]
    assert fates(found) == ["learned", "refused/several-parties"]


def test_an_owner_has_a_quota_and_the_newest_count(tmp_path: Path) -> None:
    for number in range(20):
        put(tmp_path / "anna" / "fake" / f"{number}.eml", letter(number), moved=number)
    put(tmp_path / "anna" / "none" / "x.eml", letter(50))
    put(tmp_path / "bert" / "fake" / "y.eml", letter(51))
    found = collected(tmp_path, owner_quota=5)
    newest = [f"{number}@site.example" for number in range(15, 20)]
    assert sorted(mail.message_id for mail in found.mails) == sorted(
        [*newest, "50@site.example", "51@site.example"]
    )
    assert fates(found) == ["learned"] * 7 + ["refused/quota-source"] * 15


def test_the_quota_is_a_share_of_the_base_as_well(tmp_path: Path) -> None:
    for number in range(20):
        put(tmp_path / "fake" / f"{number}.eml", letter(number))
        put(tmp_path / "none" / f"n{number}.eml", letter(100 + number))
    base = [Example("", "fake", "de", "", b"")] * 40 + [Example("", "none", "de", "", b"")] * 2
    found = collect([tmp_path], FeedbackSettings(), base=base)
    labels = [mail.label for mail in found.mails]
    assert (labels.count("fake"), labels.count("none")) == (8, 1)


def test_a_domain_has_a_quota_whoever_files_it(tmp_path: Path) -> None:
    for number in range(9):
        sender = f"p{number}@mail{number}.pitch.example"
        put(tmp_path / "fake" / f"{number}.eml", letter(number, sender=sender))
    put(tmp_path / "none" / "x.eml", letter(50, sender="p@pitch.example"))
    found = collected(tmp_path, domain_quota=4)
    assert fates(found) == ["learned"] * 5 + ["refused/quota-domain"] * 5


def test_nobody_pushes_out_the_mails_of_others(tmp_path: Path) -> None:
    """One owner files a hundred of a domain, all newer; the others' first ones are learned."""
    for number in range(100):
        moved = 10_000 + number
        path = tmp_path / "anna" / "fake" / f"{number}.eml"
        put(path, letter(number, sender="p@pitch.example"), moved=moved)
    for owner, number in (("bert", 200), ("carl", 201)):
        put(tmp_path / owner / "fake" / "1.eml", letter(number, sender="q@pitch.example"), moved=1)
    found = collected(tmp_path, domain_quota=4)
    assert sorted(mail.owner for mail in found.mails) == ["anna", "anna", "bert", "carl"]


def test_addresses_of_a_mail_provider_are_counted_one_by_one(tmp_path: Path) -> None:
    for number in range(6):
        sender = f"p{number % 2}@gmail.com"
        put(tmp_path / "fake" / f"{number}.eml", letter(number, sender=sender))
    found = collected(tmp_path, domain_quota=2)
    assert fates(found) == ["learned"] * 4 + ["refused/quota-domain"] * 2


def test_mails_without_a_sender_are_counted_together(tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path / "fake" / f"{number}.eml", letter(number, From=""))
    assert fates(collected(tmp_path, domain_quota=3))[-1] == "refused/quota-domain"


def test_who_has_part_in_a_mail() -> None:
    who = parties(
        as_content(
            letter(
                1,
                sender='"Boss, boss@fake.example" (at boss@fake.example) <A.B@Mail.Site.co.uk>',
                To="x@one.example, Name <y@sub.one.example>;",
                References="<1@x>",
            )
        )
    )
    assert who.sender == "a.b@mail.site.co.uk"
    assert who.sites == {"site.co.uk", "one.example"}
    assert (who.answer, who.listed) == (True, False)


def test_sites() -> None:
    assert site("a.b.example.com") == "example.com"
    assert site("example.co.uk") == "example.co.uk"
    assert site("localhost") == "localhost"
    assert site("") == ""
    assert not belongs("", ("",))
    assert not belongs("x@notpaper.example", ("paper.example",))
