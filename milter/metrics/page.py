"""The metrics as text, as Prometheus reads it (format 0.0.4).

The library loads the standard library's HTTP and more, some 2.5 MB in all: import this only where
metrics are wished for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from milter.metrics.counters import Counters, State
from milter.metrics.families import (
    COUNTERS,
    HISTOGRAMS,
    PLACES,
    PREFIX,
    Counter,
    Histogram,
)

#: The type that it is sent as.
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Page(Collector):
    """Called, the page as it is now; ``state`` is asked for each."""

    def __init__(self, counters: Counters, state: Callable[[], State]) -> None:
        self._counters = counters
        self._state = state
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def __call__(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the library asks for."""
        totals = self._counters.totals()
        for counter in COUNTERS:
            yield _counter(counter, _of(totals, counter))
        for histogram in HISTOGRAMS:
            yield _histogram(histogram, _of(totals, histogram))
        yield from _gauges(self._state())


def _of(totals: Sequence[int], family: Counter | Histogram) -> Sequence[int]:
    place = PLACES[family.name]
    return totals[place.start : place.stop]


def _counter(counter: Counter, numbers: Sequence[int]) -> Metric:
    if not counter.label:
        return CounterMetricFamily(PREFIX + counter.name, counter.doc, value=numbers[0])
    family = CounterMetricFamily(PREFIX + counter.name, counter.doc, labels=[counter.label])
    for value, number in zip(counter.values, numbers, strict=True):
        family.add_metric([value], number)
    return family


def _histogram(histogram: Histogram, numbers: Sequence[int]) -> Metric:
    """In the format each bucket has all that is in those before it."""
    bounds = [*map(str, histogram.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(numbers[:-1]), strict=True))
    return HistogramMetricFamily(
        PREFIX + histogram.name, histogram.doc, buckets=buckets, sum_value=numbers[-1] / 1e9
    )


def _gauges(state: State) -> Iterator[Metric]:
    told = {
        "sessions_open": ("Sessions now, of all workers.", state.sessions),
        "sessions_limit": ("Sessions that there may be ([limits] sessions).", state.sessions_limit),
        "workers": ("Processes that judge mail ([filter] workers).", state.workers),
        "quarantine_armed": (
            "Whether mail that the model calls fake may be held back: 1 or 0.",
            state.armed,
        ),
    }
    for name, (doc, value) in told.items():
        yield GaugeMetricFamily(PREFIX + name, doc, value=value)
    version = {"version": state.model}
    yield InfoMetricFamily(PREFIX + "model", "The model in use.", value=version)
