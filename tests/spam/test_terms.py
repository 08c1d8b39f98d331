"""Asks and offers: what sentences say, and that every phrase of the lists can be found."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from milter.spam import terms
from milter.spam.fold import fold
from milter.spam.terms import ASKS, OFFERS, Lexicon, lexicon
from milter.spam.tokens import words

FILES = sorted(Path(terms.__file__).with_name("phrases").glob("*.toml"))


def phrases() -> list[tuple[str, str, str, str]]:
    """Language, kind, name and phrase of each entry."""
    return [
        (path.stem, kind, name, phrase)
        for path in FILES
        for kind, table in tomllib.loads(path.read_text(encoding="utf-8")).items()
        for name, entries in table.items()
        for phrase in entries
    ]


def found(text: str) -> tuple[set[str], set[str]]:
    asked_and_offered = lexicon().find(words(fold(text)[0]))
    return set(asked_and_offered.asks), set(asked_and_offered.offers)


SENTENCES = [
    ("Könnten Sie einen Link auf unsere Seite setzen?", {"link"}, set()),
    ("Dürfen wir bei Ihnen einen Gastbeitrag veröffentlichen?", {"publication"}, set()),
    ("Was kostet ein Banner, und haben Sie Mediadaten?", {"advertising"}, set()),
    ("Der Artikel ist für Sie kostenlos und redaktionell hochwertig.", set(), {"free-content"}),
    ("Das bringt Ihnen mehr Besucher und ein besseres Ranking.", set(), {"traffic"}),
    ("Wir zahlen ein Honorar und übernehmen die Reisekosten.", set(), {"payment", "costs"}),
    ("Die Rohdaten stehen unter einer offenen Lizenz.", set(), {"data", "licence"}),
    ("Im Gegenzug verlinken wir Sie auf unseren Kanälen.", set(), {"link", "exposure"}),
    ("Haben Sie Zeit für ein kurzes Telefonat?", {"call"}, set()),
    ("Would you add a link to our page?", {"link"}, set()),
    ("We would love to write a guest post for your readers.", {"publication", "audience"}, set()),
    ("How much do you charge for a sponsored post?", {"advertising", "publication"}, set()),
    ("The article is at no cost to you and boosts your SEO.", set(), {"free-content", "traffic"}),
    ("You earn 20 % commission per sale.", set(), {"commission"}),
    ("We pay 300 USD and cover your travel.", set(), {"payment", "costs"}),
    ("Could we hop on a call next week?", {"call"}, set()),
    ("We share the raw data, anonymised, under Creative Commons.", set(), {"data", "licence"}),
    ("Would you write an honest review of our product? We send you a free sample.",
     {"review"}, {"free-product"}),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "asks", "offers"), SENTENCES)
def test_sentences(sentence: str, asks: set[str], offers: set[str]) -> None:
    """What is meant is found; a word may also show more than that."""
    asked, offered = found(sentence)
    assert asks <= asked
    assert offers <= offered


@pytest.mark.parametrize(
    "sentence",
    [
        "Vielen Dank für die schnelle Antwort, bis morgen.",
        "Die Rechnung vom letzten Monat liegt bei.",
        "Thank you for your order, it was sent today.",
        "The meeting on Monday begins at ten.",
        "",
    ],
)
def test_everyday_sentences_ask_and_offer_nothing(sentence: str) -> None:
    assert found(sentence) == (set(), set())


def test_lists_are_closed() -> None:
    table: dict[str, dict[str, list[str]]] = {"asks": {"money": ["pay me"]}, "offers": {}}
    with pytest.raises(ValueError, match="'money' is not one of the asks"):
        Lexicon([table])
    with pytest.raises(ValueError, match="'work' is not one of the offers"):
        Lexicon([{"asks": {}, "offers": {"work": ["work"]}}])


def test_every_list_has_phrases_in_every_language() -> None:
    assert [path.stem for path in FILES] == ["de", "en"]
    for language in ("de", "en"):
        named = {(kind, name) for lang, kind, name, _ in phrases() if lang == language}
        assert named == {("asks", n) for n in ASKS} | {("offers", n) for n in OFFERS}


def test_order_is_that_of_the_lists_without_repeats() -> None:
    both = lexicon().find(words("a quick call, a backlink, a quick call"), words("backlink"))
    assert both.asks == ("link", "call")


def test_a_phrase_does_not_reach_from_one_stream_into_the_next() -> None:
    table: dict[str, dict[str, list[str]]] = {"asks": {"link": ["one two"]}, "offers": {}}
    assert Lexicon([table]).find(["one"], ["two"]).asks == ()
    assert Lexicon([table]).find(["one", "two"]).asks == ("link",)


def test_one_word_and_any_word() -> None:
    table: dict[str, dict[str, list[str]]] = {"asks": {"link": ["a ? link*"]}, "offers": {}}
    made = Lexicon([table])
    assert made.find(["a", "good", "linkage"]).asks == ("link",)
    assert made.find(["a", "link"]).asks == ()
    assert made.find(["a", "very", "good", "link"]).asks == ()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_entry_is_spelled_as_explained(path: Path) -> None:
    """Lower case; a star only at the end of a word; a question mark only as a word."""
    for language, _, _, phrase in phrases():
        if language != path.stem:
            continue
        assert phrase == fold(phrase)[0], phrase
        for word in phrase.split():
            assert word == "?" or "?" not in word, phrase
            assert "*" not in word[:-1], phrase
            assert word != "*", phrase


def test_every_phrase_can_be_found() -> None:
    """A phrase that the tokenizer never makes would stand there for nothing."""
    unreachable = []
    for _, kind, name, phrase in phrases():
        said = phrase.replace("?", "word").replace("*", "")
        asked, offered = found(said)
        if name not in (asked if kind == "asks" else offered):
            unreachable.append((kind, name, phrase))
    assert unreachable == []


def test_every_phrase_stands_in_its_list_once() -> None:
    counted = Counter(phrases())
    assert [entry for entry, count in counted.items() if count > 1] == []
