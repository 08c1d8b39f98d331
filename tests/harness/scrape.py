"""The metrics of a running filter, read as Prometheus reads them."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

#: Values by a sample's name and its one label's value; "" where it has none.
Metrics = Mapping[tuple[str, str], float]

PREFIX = "coop_verdict_"


def parsed(page: bytes) -> Metrics:
    """The samples of a page, the prefix that all of them have taken off."""
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            assert sample.name.startswith(PREFIX), sample
            key = sample.name.removeprefix(PREFIX), "".join(sample.labels.values())
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def scraped(port: int) -> Metrics:
    """What the filter's endpoint on ``port`` answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parsed(answer.read())
