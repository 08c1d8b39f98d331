"""How much of one's own wanted mail a model calls fake (``coop-verdict evidence``).

The mails must be wanted ones, all of them, and not such that the model learned from: whatever it
calls fake here is counted as a wanted mail lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from milter.evidence import Evidence, Standing, percent
from milter.mail.folder import read_all
from milter.mail.identity import folded_body
from milter.report import printable
from milter.spam.bundle import Bundle
from milter.spam.judge import judge_content
from milter.spam.verdict import Verdict


@dataclass(slots=True)
class Measured:
    """What was found: by the digest of its text, each mail and whether it was called fake.

    Copies with one text are one mail; it counts as called fake if one of them was. ``fakes``:
    score and source of those; ``unscored``: mails that say too little to be judged and so cannot
    be called fake: they show nothing and do not count; ``faults``: source and reason.
    """

    called_fake: dict[bytes, bool] = field(default_factory=dict)
    fakes: list[tuple[float, str]] = field(default_factory=list)
    copies: int = 0
    unscored: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)


def measure(paths: Iterable[str], bundle: Bundle, seconds: float) -> Measured:
    """Judge the mails of ``paths``, each within ``seconds``, one at a time in memory."""
    found = Measured()
    for mail in read_all(paths):
        if mail.fault:
            found.faults.append((mail.source, mail.fault))
            continue
        judgement = judge_content(mail.content, bundle, seconds)
        if not judgement.score:
            found.unscored += 1
            continue
        fake, text = judgement.verdict is Verdict.FAKE, _text(mail.content)
        found.copies += text in found.called_fake
        found.called_fake[text] = fake or found.called_fake.get(text, False)
        if fake:
            found.fakes.append((judgement.score.fake, mail.source))
    return found


def _text(content: bytes) -> bytes:
    """What is the same for copies of a mail; one of a few words is only a copy octet by octet."""
    return blake2b(folded_body(content) or content, digest_size=16).digest()


def lines(found: Measured, evidence: Evidence, standing: Standing) -> Iterator[str]:
    """The result for people."""
    yield (
        f"Model {evidence.model} called {evidence.called_fake:,} of {evidence.mails:,} wanted "
        f"mails fake: with 95 % confidence at most {percent(evidence.bound)} of such mail."
    )
    for score, source in sorted(found.fakes, reverse=True):
        yield f"  {score:.2f}  {printable(source)}"
    if found.fakes:
        yield "Look at them: if one is a pitch after all, take it out and measure again."
    if found.copies or found.unscored:
        yield (
            f"Not counted: {found.copies:,} copies of mails with the same text, and "
            f"{found.unscored:,} mails with too little text to judge."
        )
    yield standing.why
