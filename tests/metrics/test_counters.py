"""The numbers that processes share, and the page that is made of them."""

from __future__ import annotations

import os

import pytest
from harness.scrape import Metrics, parsed

from milter.metrics import families
from milter.metrics.counters import Counters, State
from milter.metrics.page import Page
from milter.smtp import reply
from milter.smtp.reply import Reply
from milter.spam.action import Action
from milter.spam.terms import ASKS, OFFERS
from milter.spam.verdict import Judgement, Reason, Verdict

STATE = State(sessions=3, sessions_limit=200, workers=2, model='2026-"a"\\', armed=True)
FAKE = Judgement(Verdict.FAKE, "m", asks=("link", "call"), offers=("payment",))


def shown(counters: Counters) -> Metrics:
    return parsed(Page(counters, lambda: STATE)())


def one_worker() -> Counters:
    counters = Counters(1)
    counters.as_worker(0)
    return counters


def not_zero(metrics: Metrics) -> dict[tuple[str, str], float]:
    """What was counted; without durations and how things are now."""
    names = {f"{counter.name}_total" for counter in families.COUNTERS}
    return {key: value for key, value in metrics.items() if key[0] in names and value}


def test_a_mail() -> None:
    counters = one_worker()
    counters.mail(FAKE, {Action.TAG: "ab", Action.QUARANTINE: "c"}, 0.001)
    assert not_zero(shown(counters)) == {
        ("mails_total", "fake"): 1,
        ("recipients_total", "tag"): 2,
        ("recipients_total", "quarantine"): 1,
        ("asks_total", "link"): 1,
        ("asks_total", "call"): 1,
        ("offers_total", "payment"): 1,
    }


def test_every_word_of_the_closed_lists_has_its_number() -> None:
    counters = one_worker()
    for verdict in Verdict:
        counters.mail(Judgement(verdict, "m"), {}, 0.0)
    for reason in Reason:
        counters.mail(Judgement(Verdict.NONE, "m", reason=reason), {}, 0.0)
    for action in Action:
        counters.mail(FAKE, {action: "a"}, 0.0)
    counters.mail(Judgement(Verdict.FAKE, "m", asks=ASKS, offers=OFFERS), {}, 0.0)
    metrics = shown(counters)
    for name, words in {
        "mails": Verdict,
        "reasons": Reason,
        "recipients": Action,
        "asks": ASKS,
        "offers": OFFERS,
    }.items():
        told = {label for (found, label), value in metrics.items() if found == f"{name}_total"}
        assert told == set(words)
        assert all(metrics[f"{name}_total", word] for word in words)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply.OK, "2xx"),
        (reply.TOO_LARGE, "4xx"),
        (reply.MAIL_LOOP, "5xx"),
        (None, "4xx"),  # something failed: 451
        (Reply.of(354, "", "no reply to a mail's end"), "4xx"),  # as such a next hop is taken
    ],
)
def test_replies(answer: Reply | None, code: str) -> None:
    counters = one_worker()
    counters.answered(answer, 70_000, 0.5)
    assert not_zero(shown(counters)) == {
        ("replies_total", code): 1,
        ("received_bytes_total", ""): 70_000,
    }


def test_buckets_add_up() -> None:
    """Bounds belong to the bucket below them, and each bucket has what is in those before it."""
    counters = one_worker()
    bounds = families.JUDGING.bounds
    for seconds in (0.0, *bounds, 3.0, 4.0):
        counters.mail(FAKE, {}, seconds)
    metrics = shown(counters)
    buckets = [metrics["judging_seconds_bucket", str(bound)] for bound in bounds]
    assert buckets == [n + 2 for n in range(len(bounds))]
    assert metrics["judging_seconds_bucket", "+Inf"] == len(bounds) + 3
    assert metrics["judging_seconds_count", ""] == len(bounds) + 3
    assert metrics["judging_seconds_sum", ""] == pytest.approx(sum(bounds) + 7)
    assert metrics["answer_seconds_count", ""] == 0


def test_durations_are_apart() -> None:
    counters = one_worker()
    counters.answered(reply.OK, 1, 40.0)
    metrics = shown(counters)
    assert metrics["answer_seconds_bucket", "30.0"] == 0
    assert metrics["answer_seconds_bucket", "90.0"] == 1
    assert metrics["answer_seconds_sum", ""] == 40
    assert metrics["judging_seconds_count", ""] == 0


def test_a_process_that_takes_a_row_over_goes_on_in_it() -> None:
    counters = Counters(1)
    counters.restarted()
    for _ in range(2):
        assert os.waitpid(counting(counters, 0, 1), 0)[1] == 0
    metrics = shown(counters)
    assert metrics["mails_total", "fake"] == 2
    assert metrics["worker_restarts_total", ""] == 1


def test_a_process_that_is_no_worker_counts_no_mail() -> None:
    counters = Counters(1)
    with pytest.raises(IndexError):
        counters.mail(FAKE, {}, 0.0)
    assert not_zero(shown(counters)) == {}


def test_processes_that_count_at_a_time_lose_nothing() -> None:
    counters = Counters(2)
    pids = [counting(counters, number, 50_000) for number in range(2)]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0]
    assert shown(counters)["mails_total", "fake"] == 100_000


def counting(counters: Counters, number: int, mails: int) -> int:
    """The process id of a worker that counts that many mails."""
    pid = os.fork()
    if pid:
        return pid
    try:
        counters.as_worker(number)
        for _ in range(mails):
            counters.mail(FAKE, {}, 0.0)
        os._exit(0)
    finally:
        os._exit(1)


def test_how_things_are() -> None:
    metrics = shown(Counters(1))
    assert metrics["sessions_open", ""] == 3
    assert metrics["sessions_limit", ""] == 200
    assert metrics["workers", ""] == 2
    assert metrics["quarantine_armed", ""] == 1
    assert metrics["model_info", STATE.model] == 1


def test_names_are_as_prometheus_wishes() -> None:
    """https://prometheus.io/docs/practices/naming/ and promtool check metrics."""
    page = Page(Counters(1), lambda: STATE)().decode()
    kinds = dict(line.split()[2:] for line in page.splitlines() if line.startswith("# TYPE"))
    told = {line.split()[2] for line in page.splitlines() if line.startswith("# HELP")}
    assert kinds.keys() == told
    for name, kind in kinds.items():
        assert name.endswith("_total") == (kind == "counter"), name
        assert name.endswith("_seconds") == (kind == "histogram"), name
