"""A mail to read: all of its text, nothing that a reader cannot see, and every ask where it is."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mail.killers import KILLERS
from review.reading import kinds, mail, mentioned, named, shown, text
from spam.tiny import write_bundle

from milter.mail.text import MAX_TEXT, read_text
from milter.review import marks
from milter.review.marks import LONGEST_PHRASE, Reading, marked
from milter.review.places import spans
from milter.review.shown import pieces, safe
from milter.spam import terms
from milter.spam.bundle import Bundle, open_bundle, open_models
from milter.spam.judge import judge_content
from milter.spam.tokens import MAX_WORDS, tokenize
from milter.spam.verdict import Judgement, Verdict

ROOT = Path(__file__).resolve().parents[2]
# One mail of so many of the corpus: themes and languages lie side by side.
EVERY = 29
XSS = sorted(Path(__file__).with_name("xss").glob("*.eml"))


@pytest.fixture(scope="module")
def model() -> Bundle:
    return open_models(ROOT / "models")


def corpus() -> list[bytes]:
    paths = sorted((ROOT / "training" / "corpus").rglob("*.eml"))[::EVERY]
    return [path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for path in paths]


def assert_whole(content: bytes, reading: Reading) -> None:
    """Each text is all there, as the filter read it."""
    read = read_text(content)
    for name in ("subject", "body", "signature", "quoted", "hidden"):
        assert text(getattr(reading, name)) == safe(getattr(read, name)), name


def test_marks_are_those_of_the_judge(model: Bundle) -> None:
    told = own = 0
    for content in corpus():
        judgement = judge_content(content, model, seconds=60)
        reading = marked(content, model)
        wanted = named(judgement.asks, judgement.offers)
        assert_whole(content, reading)
        assert reading.judgement == judgement
        assert shown(reading) | mentioned(reading) | set(reading.unplaced) == wanted
        told += len(wanted)
        own += len(shown(reading))
        assert not reading.unplaced
    assert told > 300
    assert own >= 0.95 * told


def test_an_ask_and_an_offer(model: Bundle) -> None:
    body = "Would you add a link to our page? We send a free article for your readers."
    reading = marked(mail(body), model)
    assert ("ask", "link", "Would you add a link to our") in kinds(reading.body)
    assert "offer free-content" in shown(reading) | mentioned(reading)
    assert text(reading.body) == body


def test_clues_are_named_with_their_weight(tmp_path: Path) -> None:
    tiny = open_bundle(write_bundle(tmp_path))
    reading = marked(mail("Dear webmaster, this is the (invoice) of last month."), tiny)
    assert kinds(reading.body) == [("clue", "sign order (-2.0)", "invoice")]
    titles = {f"{name} ({weight:+.1f})" for name, weight in reading.judgement.clues}
    assert "sign order (-2.0)" in titles


CLUES = [
    ("kostenlos", "Kostenlos"),
    ("kosten-", "Kostenlos"),
    ("fuer-", None),  # beginnings are those of longer words
    ("gruess-", "Grüße"),
    ("für sie", "für\nSie"),
    ("_money_ im", "500 € im"),
    ("note hidden", None),
    ("ask link", None),
]


@pytest.mark.parametrize(("clue", "place"), CLUES)
def test_clues_are_words_runs_and_beginnings(clue: str, place: str | None) -> None:
    """A mark ends with its line, and goes on in the next one."""
    written = "Kostenlos, für\nSie: 500 € im Jahr. Grüße"
    judgement = Judgement(Verdict.FAKE, "m", clues=[(clue, 0.56)])
    read = read_text(mail(written.replace("\n", "\r\n")))
    marked_ = marks._Text(read.body, tokenize(read).body, (), judgement)
    wanted = [("clue", f"{clue} (+0.6)", line) for line in (place or "").splitlines()]
    assert kinds(marked_.segments()) == wanted


def test_no_mark_without_a_judgement(model: Bundle) -> None:
    short = marked(mail("A backlink?"), model)
    assert short.judgement.score is None
    assert kinds(short.body) == []
    noise = marked(mail("backlink \x01\x02\x03\x04 " * 40), model)
    assert noise.judgement.reason == "unreadable"
    assert {kind for kind, _, _ in kinds(noise.body)} <= {"odd", "end"}


PLACES = [
    ("Wir möchten eine Kooperation, bitte.", "kooperation", "Kooperation"),
    ("A »guest-post« about tea", "guest", "guest"),
    ("we pay 500 EUR, at once", "_money_", "500 EUR"),
    ("we pay 500 € at once", "_money_", "500 €"),
    ("about 20 % of it", "_percent_", "20 %"),
    ("one b a c k l i n k please", "backlink", "b a c k l i n k"),
    ("one b.a.c.k l.i.n.k please", "backlink", "b.a.c.k l.i.n.k"),
    ("a back\u200blink here", "backlink", "back\u200blink"),
    ("a b\u0430cklink here", "backlink", "b\u0430cklink"),
    ("see https://a.example/b?c, there", "_url_", "https://a.example/b?c"),
    ("on Tulpen now", "_yoursite_", "Tulpen"),
    ("$ 5 or ... tea!", "tea", "tea"),
    ("c'est l’article, voilà", "l'article", "l’article"),
    ("(Gastbeitrag)", "gastbeitrag", "Gastbeitrag"),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "word", "place"), PLACES)
def test_places(sentence: str, word: str, place: str) -> None:
    content = mail(sentence, more="To: a@tulpen.example\r\n")
    read = read_text(content)
    words = tokenize(read).body
    found = spans(read.body, words, read.their_sites)
    span = found[words.index(word)]
    assert span
    assert read.body[slice(*span)] == place


def test_a_lists_tag_in_the_subject_is_stepped_over(model: Bundle) -> None:
    subject = "Re: [garden talk of the north] A guest post for you"
    reading = marked(mail("We would like to write one for you.", subject), model)
    assert ("ask", "publication", "guest post") in kinds(reading.subject)
    assert text(reading.subject) == subject


def test_an_ask_under_another_one_is_mentioned() -> None:
    judgement = Judgement(Verdict.FAKE, "m", asks=("link", "call"))
    words = ["add", "a", "link"]
    longer = marks._Mark("ask", "link", 0, 3)
    shorter = marks._Mark("ask", "call", 1, 2)
    painted = marks._Text("add a link", words, (), judgement)._painted([longer, shorter])
    assert [(run.mark.title, run.start, run.end, run.also) for run in painted] == [
        ("link", 0, 10, ["ask call"])
    ]


def test_longer_marks_cover_and_asks_cover_offers() -> None:
    order = sorted(
        [
            marks._Mark("clue", "c", 0, 9),
            marks._Mark("offer", "o", 0, 5),
            marks._Mark("ask", "short", 0, 1),
            marks._Mark("ask", "long", 0, 2),
        ],
        key=lambda mark: mark.order,
    )
    assert [mark.title for mark in order] == ["long", "short", "o", "c"]


def test_phrases_fit_into_the_window() -> None:
    files = Path(terms.__file__).with_name("phrases").glob("*.toml")
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in files]
    phrases = [
        phrase.replace("-", " ").split()
        for table in tables
        for group in table.values()
        for entries in group.values()
        for phrase in entries
    ]
    words = [sum(terms._GAP if part == "..." else 1 for part in phrase) for phrase in phrases]
    assert 10 < max(words) <= LONGEST_PHRASE


ODD = [
    ("a\u202eb", "a[U+202E]b", "right-to-left override"),
    ("a\u2066b", "a[U+2066]b", "left-to-right isolate"),
    ("a\u200bb", "a[U+200B]b", "zero width space"),
    ("a\x00b", "a[U+0000]b", "control character"),
    ("a\x1b[2Jb", "a[U+001B][2Jb", "control character"),
    ("a\rb", "a[U+000D]b", "control character"),
    ("a\u2028b", "a[U+2028]b", "line separator"),
    ("a\ud800b", "a[U+D800]b", "control character"),
    ("a\U000e0041b", "a[U+E0041]b", "tag latin capital letter a"),
    ("a\u3164b", "a[U+3164]b", "hangul filler"),
    ("a" + "\u200c" * 87 + "b", "a[U+200C × 87]b", "zero width non-joiner"),
    ("a" + "\u0333" * 99 + "b",
     "a\u0333\u0333\u0333\u0333[U+0333 × 95]b", "combining double low line"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "expected", "name"), ODD)
def test_what_cannot_be_seen_is_a_sign(written: str, expected: str, name: str) -> None:
    assert safe(written) == expected
    assert [told for _, told in pieces(written) if told] == [name]


@pytest.mark.parametrize(
    "usual", ["Grüße,\n\tdeine Tante", "שלום", "नमस्ते", "สวัสดีครับผู้ใหญ่", "ệ 👍🏽 ❤️", "日本語"]
)
def test_what_people_write_stays(usual: str) -> None:
    assert safe(usual) == usual


def test_odd_characters_within_a_mark_are_told(model: Bundle) -> None:
    reading = marked(mail("Could you give us a back\u200blink on your page, please?"), model)
    assert ("odd", "zero width space", "[U+200B]") in kinds(reading.body)
    assert "ask link" in shown(reading)


def test_no_character_gets_through(model: Bundle) -> None:
    everything = "".join(map(chr, range(0x3000)))
    reading = marked(mail(f"Hello you there {everything}"), model)
    got = text(reading.body)
    got.encode("utf-8")
    assert not set(got) & set(map(chr, [*range(9), *range(11, 32), *range(0x202A, 0x202F)]))


WORDS = st.sampled_from(
    "would you add a link to our page guest post free article 500 EUR % back\u200blink \u202e "
    "b a c k l i n k b\u0430cklink www.a.example a@b.example [tag] re: - ... \n > ½ ﷺ ''".split(" ")
)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, max_size=60), st.lists(WORDS, max_size=12), st.sampled_from(["\x00", "ß"]))
def test_any_words(body: list[str], subject: list[str], odd: str) -> None:
    model = open_once()
    content = mail(" ".join(body) + odd, " ".join(subject).replace("\n", " "))
    reading = marked(content, model)
    assert_whole(content, reading)
    wanted = named(reading.judgement.asks, reading.judgement.offers)
    assert shown(reading) | mentioned(reading) | set(reading.unplaced) == wanted


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_octets(octets: bytes) -> None:
    reading = marked(octets, open_once())
    assert_whole(octets, reading)
    text([*reading.subject, *reading.body]).encode("utf-8")


_opened: list[Bundle] = []


def open_once() -> Bundle:
    """The shipped model, where a fixture would be opened for each example."""
    if not _opened:
        _opened.append(open_models(ROOT / "models"))
    return _opened[0]


@pytest.mark.parametrize("name", KILLERS)
def test_work_is_bounded(name: str, model: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the mail: a look into the lexicon for each word that the filter reads, no more."""
    asked = []
    real = terms.lexicon()

    class Counting:
        def find(self, *streams: Sequence[str]) -> terms.Found:
            asked.append(sum(map(len, streams)))
            return real.find(*streams)

    monkeypatch.setattr(marks, "lexicon", Counting)
    reading = marked(KILLERS[name](250_000), model)
    assert len(asked) <= 2 * MAX_WORDS
    assert max(asked, default=0) <= LONGEST_PHRASE
    assert len(text(reading.body)) <= 20 * MAX_TEXT


def test_text_behind_the_words_that_are_read(model: Bundle) -> None:
    letter = "Nothing of this matters to anybody here. " * 60
    reading = marked(mail(f"{letter}Would you add a link to our page?"), model)
    ends = [number for number, one in enumerate(reading.body) if one.kind == "end"]
    assert len(ends) == 1
    assert len(text(reading.body[: ends[0]]).split()) == MAX_WORDS
    assert {one.kind for one in reading.body[ends[0] + 1 :]} == {""}
    assert "ask link" not in shown(reading)
    assert not reading.cut


@pytest.mark.parametrize(
    ("content", "cut"),
    [
        (mail("word " * 3000), False),
        (mail("word " * 5000), True),
        (mail("<p>word</p>" * 3000, kind="text/html"), False),
        (mail("<p>word</p>" * 5000, kind="text/html"), True),
        (mail("<!-- much -->" * 10000, kind="text/html"), True),
        (mail("> word\r\n" * 5000), True),
    ],
)
def test_cut(content: bytes, cut: bool, model: Bundle) -> None:
    assert marked(content, model).cut is cut


def test_html_alone_is_told(model: Bundle) -> None:
    assert marked(mail("<p>Hello", kind="text/html"), model).html_only
    assert not marked(mail("Hello"), model).html_only
    both = (
        "--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
        "--b\r\nContent-Type: text/html\r\n\r\n<p>Hello\r\n--b--\r\n"
    )
    assert not marked(mail(both, kind="multipart/alternative; boundary=b"), model).html_only


def test_what_is_hidden_quoted_and_signed(model: Bundle) -> None:
    page = "<p>Hello, all of you, we write.</p><p style='display:none'>secret\u202e words</p>"
    assert text(marked(mail(page, kind="text/html"), model).hidden) == "secret[U+202E] words"
    body = "This is what we write to all of you.\r\nKind regards\r\nA. Author\r\n> what you wrote"
    reading = marked(mail(body), model)
    assert text(reading.quoted).strip() == "what you wrote"
    assert text(reading.signature).strip() == "A. Author"
    assert "A. Author" not in text(reading.body)


def test_parts_that_are_not_shown(model: Bundle) -> None:
    pieces_ = [
        "Content-Type: text/plain\r\n\r\nHello",
        'Content-Type: image/png; name="../../etc/passwd"\r\nContent-Transfer-Encoding: base64'
        "\r\n\r\n" + "QUJD" * 100,
        "Content-Type: application/pdf\r\nContent-Disposition: attachment;"
        " filename*=utf-8''a%E2%80%AEfdp.exe\r\n\r\nx",
        "Content-Type: text/html\r\nContent-Disposition: attachment;"
        ' filename="' + "n" * 500 + '\\".html"\r\n\r\nx',
    ]
    body = "".join(f"--b\r\n{piece}\r\n" for piece in pieces_) + "--b--\r\n"
    parts = marked(mail(body, kind="multipart/mixed; boundary=b"), model).parts
    assert [(part.name, part.kind, part.octets) for part in parts[:2]] == [
        ("../../etc/passwd", "image/png", 300),
        ("a[U+202E]fdp.exe", "application/pdf", 1),
    ]
    assert len(parts) == 3
    assert len(parts[2].name) == 120


@pytest.mark.parametrize("path", XSS, ids=lambda path: path.stem)
def test_mails_that_attack_the_page(path: Path, model: Bundle) -> None:
    content = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    reading = marked(content, model)
    assert_whole(content, reading)
    for one in (*reading.subject, *reading.body, *reading.hidden, *reading.quoted):
        f"{one.text}{one.title}".encode()
        assert one.kind in ("", "ask", "offer", "clue", "odd", "end")


def test_there_are_mails_that_attack_the_page() -> None:
    assert len(XSS) >= 55
    tricks = [path.read_bytes().split(b"\n", 1)[0] for path in XSS]
    assert all(trick.startswith(b"X-Trick: ") and len(trick) > 20 for trick in tricks)
    assert len(set(tricks)) == len(tricks)


def test_a_phrase_begins_where_its_words_do() -> None:
    """One that ends further down must not seem to begin where the stretch looked at gets short."""
    filler = "we saw your page about boots and tents and would like to say how good it is " * 3
    written = f"{filler}Would you consider adding a link to our page?"
    judgement = Judgement(Verdict.FAKE, "m", asks=("link",))
    read = read_text(mail(written))
    marked_ = marks._Text(read.body, tokenize(read).body, (), judgement)
    assert kinds(marked_.segments()) == [("ask", "link", "consider adding a link to our")]
