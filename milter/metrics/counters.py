"""Where the workers count: a row of numbers for each, in memory that they share.

Each row has one writer, so that there is no lock, and a mail costs a microsecond or two. A worker
that died leaves its row to the one that is started in its place: no number ever falls while the
filter runs. Killed between two of its numbers, a mail may stand in one and not in the other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sized
from dataclasses import dataclass

from milter.metrics import families as f
from milter.metrics.families import PLACES, WIDTH, columns
from milter.shared import shared_numbers
from milter.smtp.reply import Reply
from milter.spam.action import Action
from milter.spam.verdict import Judgement

_VERDICTS = columns(f.MAILS)
_REASONS = columns(f.REASONS)
_ACTIONS = columns(f.RECIPIENTS)
_ASKS = columns(f.ASKED)
_OFFERS = columns(f.OFFERED)
_CODES = columns(f.REPLIES)
_TEMPORARY = _CODES["4xx"]
_BY_DIGIT = {int(name[0]): column for name, column in _CODES.items()}
_RECEIVED = PLACES[f.RECEIVED.name].start
_RESTARTS = PLACES[f.RESTARTS.name].start
_JUDGING = PLACES[f.JUDGING.name].start
_ANSWERING = PLACES[f.ANSWERING.name].start
_JUDGING_SUM = PLACES[f.JUDGING.name][-1]
_ANSWERING_SUM = PLACES[f.ANSWERING.name][-1]
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class State:
    """How things are just now: sessions and how many there may be, workers, the model in use, and
    whether its fakes may be held back."""

    sessions: int
    sessions_limit: int
    workers: int
    model: str
    armed: bool


class Counters:
    """Counts for one process, once it is known which worker it is.

    The process that starts the workers has a row, too, but counts no more than their restarts.
    """

    def __init__(self, workers: int) -> None:
        numbers = shared_numbers((workers + 1) * WIDTH)
        self._rows = [numbers[i * WIDTH : (i + 1) * WIDTH] for i in range(workers + 1)]
        self._row = memoryview(b"")  # nothing can be counted by mistake

    def as_worker(self, number: int) -> None:
        """From here on this process is that worker."""
        self._row = self._rows[number]

    def restarted(self) -> None:
        """A worker is started in place of one that died."""
        self._rows[-1][_RESTARTS] += 1

    def totals(self) -> list[int]:
        """The sums of all rows."""
        return [sum(column) for column in zip(*self._rows, strict=True)]

    def count(self, counter: f.Counter) -> None:
        """One more of what has no labels."""
        self._row[PLACES[counter.name].start] += 1

    def mail(self, judgement: Judgement, done: Mapping[Action, Sized], seconds: float) -> None:
        """A mail was judged, in ``seconds``, and answered; ``done`` has recipients by action."""
        row = self._row
        row[_VERDICTS[judgement.verdict]] += 1
        if judgement.reason:
            row[_REASONS[judgement.reason]] += 1
        for action, recipients in done.items():
            row[_ACTIONS[action]] += len(recipients)
        for ask in judgement.asks:
            row[_ASKS[ask]] += 1
        for offer in judgement.offers:
            row[_OFFERS[offer]] += 1
        row[_JUDGING + bisect_left(f.JUDGING.bounds, seconds)] += 1
        row[_JUDGING_SUM] += int(seconds * _NANO)

    def answered(self, reply: Reply | None, octets: int, seconds: float) -> None:
        """The sender of a mail of ``octets`` got ``reply``, ``seconds`` after its last octet.

        None: something failed, for which the sender is told to try again.
        """
        row = self._row
        self.replied(reply)
        row[_RECEIVED] += octets
        row[_ANSWERING + bisect_left(f.ANSWERING.bounds, seconds)] += 1
        row[_ANSWERING_SUM] += int(seconds * _NANO)

    def replied(self, reply: Reply | None) -> None:
        """The end of a mail got ``reply``."""
        code = reply.code // 100 if reply else 4
        self._row[_BY_DIGIT.get(code, _TEMPORARY)] += 1
