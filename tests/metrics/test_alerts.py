"""The alerts of deploy/prometheus speak of metrics that there are, in words that these have."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from milter.metrics.counters import Counters, State
from milter.metrics.page import Page

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "coop-verdict.rules.yml"
STATE = State(sessions=0, sessions_limit=1, workers=1, model="m", armed=False)
_NAME = re.compile(r"\b(coop_verdict_\w+)(?:\{(\w+)=~?\"([^\"]*)\"\})?")


def test_alerts_ask_for_what_there_is() -> None:
    known: dict[str, set[tuple[str, str]]] = {}
    for family in text_string_to_metric_families(Page(Counters(1), lambda: STATE)().decode()):
        for sample in family.samples:
            known.setdefault(sample.name, set()).update(sample.labels.items())
    asked = _NAME.findall(RULES.read_text())
    assert len(asked) > 10
    for name, label, values in asked:
        assert name in known
        assert all((label, value) in known[name] for value in values.split("|") if label)
