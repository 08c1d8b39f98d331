"""Asks and offers: what sentences say, and that every phrase of the lists can be found."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from spam.folded import fold

from milter.spam import terms
from milter.spam.terms import ASKS, OFFERS, SIGNS, Lexicon, lexicon
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
    assert [path.stem for path in FILES] == ["de", "en", "es", "fr", "it", "nl", "pl"]
    for language in ("de", "en", "es", "fr", "it", "nl", "pl"):
        named = {(kind, name) for lang, kind, name, _ in phrases() if lang == language}
        lists = {"asks": ASKS, "offers": OFFERS, "signs": SIGNS}
        assert named == {(kind, name) for kind, names in lists.items() for name in names}


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


def test_alternatives_and_gaps() -> None:
    made = Lexicon([{"asks": {"link": ["add|put ... on|to your page*"]}}])
    for said in ("add it to your page", "put on your pages", "add us and them now to your page"):
        assert made.find(said.split()).asks == ("link",), said
    for said in ("add us and all of them to your page", "add it to page", "put it in your page"):
        assert made.find(said.split()).asks == (), said


def test_a_gap_that_ends_too_early_is_tried_again() -> None:
    made = Lexicon([{"asks": {"link": ["add ... to your page"]}}])
    assert made.find("add to that to your page".split()).asks == ("link",)


def test_it_is_told_where_a_phrase_ends() -> None:
    made = Lexicon([{"asks": {"link": ["a link"]}}])
    assert made.find("for a link or a link".split()).ends == {("asks", "link"): 3}


def test_umlauts_are_found_in_both_spellings() -> None:
    made = Lexicon([{"asks": {"link": ["ergänz*"]}}])
    assert made.find(["ergaenzen"]).asks == made.find(["ergänzung"]).asks == ("link",)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_entry_is_spelled_as_explained(path: Path) -> None:
    """Lower case; a star only at the end of a word; a question mark only as a word."""
    for language, _, _, phrase in phrases():
        if language != path.stem:
            continue
        assert phrase == fold(phrase)[0], phrase
        for word in phrase.split():
            for one in word.split("|"):
                assert one == "?" or "?" not in one, phrase
                assert "*" not in one[:-1], phrase
                assert one not in ("", "*"), phrase


def test_every_phrase_can_be_found() -> None:
    """A phrase that the tokenizer never makes would stand there for nothing."""
    unreachable = []
    for _, kind, name, phrase in phrases():
        plain = phrase.replace("?", "word").replace("*", "").replace("... ", "")
        longest = max(len(place.split("|")) for place in plain.split())
        for choice in range(longest):  # every alternative of every place is tried
            places = [place.split("|") for place in plain.split()]
            said = " ".join(words_[min(choice, len(words_) - 1)] for words_ in places)
            if (kind, name) not in lexicon().find(words(fold(said)[0])).ends:
                unreachable.append((kind, name, said))
    assert unreachable == []


def test_every_phrase_stands_in_its_list_once() -> None:
    counted = Counter(phrases())
    assert [entry for entry, count in counted.items() if count > 1] == []


def possible_ends(stream: list[str]) -> dict[tuple[str, str], set[int]]:
    """Where phrases end that begin at the first place that has one, for each meaning: all tried."""
    ends: dict[tuple[str, str], set[int]] = {}
    made = lexicon()
    for at, word in enumerate(stream, 1):
        begun = {id(entry): entry for entry in made._exact.get(word, ())}
        for beginning, entries in made._beginnings.items():
            if word.startswith(beginning):
                begun |= {id(entry): entry for entry in entries}
        here: dict[tuple[str, str], set[int]] = {}
        for entry in begun.values():
            if end := entry.end(stream, at):
                here.setdefault(entry.meaning, set()).add(end)
        ends = here | ends
    return ends


@pytest.mark.parametrize("language", [path.stem for path in FILES])
def test_nothing_is_missed_by_looking_for_likely_phrases_only(language: str) -> None:
    """Phrases put together at random, so that their beginnings and ends run into each other."""
    chance = Random(language)
    said = [
        chance.choice(place.split("|")).replace("*", chance.choice(("", "s", "en")))
        for lang, _, _, phrase in chance.sample(phrases(), 600)
        if lang in (language, "en")
        for place in phrase.replace("?", "word").replace("...", chance.choice(("", "it"))).split()
        if chance.random() > 0.1
    ]
    for at in range(0, len(said), 40):
        stream = said[at : at + 40]
        found = lexicon().find(stream).ends
        possible = possible_ends(stream)
        assert found.keys() == possible.keys()
        assert all(end in possible[meaning] for meaning, end in found.items())
