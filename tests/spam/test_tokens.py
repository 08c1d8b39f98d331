"""What a word is: kinds of things, in German and English notation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spam.folded import fold

from milter.mail.text import MailText
from milter.spam import tokens as module
from milter.spam.fold import plain
from milter.spam.tokens import MAX_WORDS, tokenize, words


def words_of(text: str) -> list[str]:
    return words(fold(text)[0])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("url", "https://www.example.org/a?b=c#d"),
        ("url", "HTTP://example.org"),
        ("url", "www.example.org"),
        ("url", "http://user@example.org/"),
        ("address", "anna@example.org"),
        ("address", "Anna.B+c-d@mail.example.co.uk"),
        ("address", "<anna@münchen.example>"),
        ("money", "500 €"),
        ("money", "500€"),
        ("money", "€500"),
        ("money", "€ 1.500,00"),
        ("money", "EUR 500"),
        ("money", "500 EUR"),
        ("money", "500,- €"),
        ("money", "1.000,50 Euro"),
        ("money", "1'000 CHF"),
        ("money", "500 Franken"),
        ("money", "$1,200.00"),
        ("money", "5,000.00 USD"),
        ("money", "500 dollars"),
        ("money", "£20"),
        ("money", "US$500"),
        ("percent", "20 %"),
        ("percent", "20%"),
        ("percent", "12,5 Prozent"),
        ("percent", "3.5 percent"),
        ("date", "24.12.2026"),
        ("date", "24.12."),
        ("date", "1.2.26"),
        ("date", "2026"),
        ("date", "2026-11-23"),
        ("number", "42"),
        ("number", "1.000"),
        ("number", "1,000"),
        ("number", "10:30"),
        ("number", "0171/123456"),
    ],
)
def test_kinds(kind: str, text: str) -> None:
    assert words_of(text) == [f"_{kind}_"]
    assert words_of(f"Es kostet ({text}), oder?") == ["es", "kostet", f"_{kind}_", "oder"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("don't l’amour 'quoted'", ["don't", "l'amour", "quoted"]),
        ("Grüße, Straße; ÉCOLE", ["grüße", "straße", "école"]),
        ("guest-post", ["guest", "post"]),
        ("50 €/Monat", ["_money_", "monat"]),
        ("im Jahr 2026.", ["im", "jahr", "_date_"]),
        ("DA 50, 3D", ["da", "_number_", "_number_", "d"]),
        ("... !? -- ", []),
        ("_url_ as the sender wrote it", ["_url_", "as", "the", "sender", "wrote", "it"]),
        ("a@b", ["a", "b"]),
    ],
)
def test_words(text: str, wanted: list[str]) -> None:
    assert words_of(text) == wanted


def test_words_are_capped() -> None:
    long = "word " * (MAX_WORDS + 10)
    tokens = tokenize(MailText(long, long, long, "", long))
    for stream in (tokens.subject, tokens.body, tokens.quoted, tokens.signature):
        assert len(stream) == MAX_WORDS
    assert tokens.longer


def test_a_mail_that_is_read_to_its_end_is_not_longer() -> None:
    assert not tokenize(MailText("", "word " * MAX_WORDS, "", "")).longer


@pytest.mark.parametrize(
    "host", ["example.org", "www2.garten-freunde.example/rosen?b=1", "blog.example.co.uk", "x1.dev"]
)
def test_a_host_by_itself_is_a_link(host: str) -> None:
    assert words_of(f"siehe {host} dort") == ["siehe", "_url_", "dort"]


@pytest.mark.parametrize("text", ["z.b. so", "i.d.r. so", "e.g. this", "fertig.weiter", "a.b.c"])
def test_what_only_looks_like_a_host(text: str) -> None:
    assert "_url_" not in words_of(text)


def test_names_of_the_two_parties_sites_are_kinds() -> None:
    mail = MailText("Gartenfreunde", "Die Gartenfreunde und Blumenkiste", "", "")
    known = replace(mail, their_sites=("gartenfreunde",), own_sites=("blumenkiste",))
    assert tokenize(known).subject == ["_yoursite_"]
    assert tokenize(known).body == ["die", "_yoursite_", "und", "_oursite_"]
    assert tokenize(mail).body == ["die", "gartenfreunde", "und", "blumenkiste"]


def test_streams_are_kept_apart() -> None:
    tokens = tokenize(MailText("A Subject", "Some body", "Quoted words", "hidden"))
    assert tokens.subject == ["a", "subject"]
    assert tokens.body == ["some", "body"]
    assert tokens.quoted == ["quoted", "words"]
    assert tokens.notes == []
    assert tokens.count == 4


def test_a_page_of_hidden_text_is_noted_and_a_preview_line_is_not() -> None:
    assert tokenize(MailText("", "", "", "preview " * 10)).notes == []
    assert tokenize(MailText("", "", "", "poison " * 100)).notes == ["hidden"]


def test_notes_have_no_repeats() -> None:
    disguised = "b a c k l i n k"
    assert tokenize(MailText(disguised, disguised, "", "")).notes == ["spaced"]


@pytest.mark.parametrize("subject", ["[garden-talk] Roses", "Re: AW: [Garden Talk] Roses"])
def test_the_tag_of_a_mailing_list_is_a_kind(subject: str) -> None:
    assert tokenize(MailText(subject, "", "", "")).subject[-2:] == ["_tag_", "roses"]


@pytest.mark.parametrize(
    ("text", "last", "notes"),
    [
        (
            "the b\u0430cklink \u043e\u043f \u0430",
            "a",
            ["homoglyphs"],
        ),  # a mixed word gives it away
        ("\u0430 \u0441\u043e\u0441\u043e\u0430 \u0440\u043e\u0440\u0435", "pope", ["homoglyphs"]),
        ("das wort \u043c\u0438\u0440", "\u043c\u0438\u0440", []),
        (
            "\u043c\u0438\u0440 \u0430 \u043e \u0434\u043b\u044f \u043c\u0438\u0440",
            "\u043c\u0438\u0440",
            [],
        ),
    ],
)
def test_words_of_lookalikes_alone(text: str, last: str, notes: list[str]) -> None:
    """Translated where the mail disguises words, left alone where it speaks another language."""
    tokens = tokenize(MailText("", text, "", ""))
    assert tokens.body[-1] == last
    assert tokens.notes == notes


PIECES = st.sampled_from(
    (
        *("word", "Word", "www", "WWW", "https://", "HTTP://", "http:", "example.org", "a", "é"),
        *(".", ",", ";", ":", "!", "?", "(", ")", '"', "<", ">", "-", "'", "@", "/", "_", "€", "1"),
    )
)


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(PIECES, min_size=1, max_size=6).map("".join))
def test_a_chunk_that_is_read_quickly_has_the_same_words(chunk: str) -> None:
    assert module._chunk(chunk) == tuple(module._words(plain(chunk).text))


def with_sums_one_by_one(found: list[str]) -> list[str]:
    """The same, word by word: slower, and easy to be sure of."""
    joined: list[str] = []
    before = ""
    for word in found:
        sum_of = word if before in module._FIGURES else before if word in module._FIGURES else ""
        if sum_of in module._CURRENCIES:
            joined[-1] = word = "_money_"
        elif before in module._FIGURES and word in module._PERCENT:
            joined[-1] = word = "_percent_"
        else:
            joined.append(word)
        before = word
    return [word for word in joined if word not in module._SIGNS]


@given(
    st.lists(st.sampled_from(("_number_", "_date_", "_money_", "eur", "€", "%", "percent", "x")))
)
def test_sums_whose_halves_stand_apart(found: list[str]) -> None:
    assert module._joined(found) == with_sums_one_by_one(found)


@given(st.lists(st.sampled_from(("a", "b", "word", "€", "to")), max_size=30))
def test_letters_in_a_row(found: list[str]) -> None:
    letters = "".join("1" if len(word) == 1 and word.isalpha() else "-" for word in found)
    assert module._set_apart(found) == ("1111" in letters)
