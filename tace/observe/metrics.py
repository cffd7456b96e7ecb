"""Counters, gauges and durations, for Prometheus. The only file that knows prometheus_client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.parser import text_string_to_metric_families

PREFIX = "tace_"
_DURATIONS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The node's :class:`~tace.seams.Counters`, kept in a registry of its own.

    A metric is made when it is first named; its labels are those of that first time.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._labelled: dict[tuple[str, ...], Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        key = (name, *labels.values())
        counter = self._labelled.get(key)
        if counter is None:
            counter = self._labelled[key] = self._counter(name, labels)
        counter.inc(amount)

    def _counter(self, name: str, labels: dict[str, str]) -> Counter:
        metric = self._counters.get(name)
        if metric is None:
            metric = Counter(PREFIX + name, _help(name), sorted(labels), registry=self._registry)
            self._counters[name] = metric
        return metric.labels(**labels) if labels else metric

    def gauge(self, name: str, value: float, **labels: str) -> None:
        (self._gauge(name, labels).labels(**labels) if labels else self._gauge(name, {})).set(value)

    def gauge_from(self, name: str, read: Callable[[], float]) -> None:
        """A gauge that is read when somebody looks."""
        self._gauge(name, {}).set_function(read)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        metric = self._histograms.get(name)
        if metric is None:
            metric = Histogram(
                PREFIX + name,
                _help(name),
                sorted(labels),
                registry=self._registry,
                buckets=_DURATIONS,
            )
            self._histograms[name] = metric
        (metric.labels(**labels) if labels else metric).observe(seconds)

    def _gauge(self, name: str, labels: dict[str, str]) -> Gauge:
        metric = self._gauges.get(name)
        if metric is None:
            metric = Gauge(PREFIX + name, _help(name), sorted(labels), registry=self._registry)
            self._gauges[name] = metric
        return metric

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


def samples(exposition: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """(name, labels, value) of each line of Prometheus' text format.

    :raises ValueError: it is not that.
    """
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def _help(name: str) -> str:
    return name.replace("_", " ")
