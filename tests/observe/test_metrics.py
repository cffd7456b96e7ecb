"""The counters of a node, and every place that counts."""

from __future__ import annotations

import ast
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

import tace
from tace.observe.metrics import Metrics
from tace.observe.site import MetricsResource

ROOT = Path(tace.__file__).parent


def lines(metrics: Metrics) -> list[str]:
    return [line for line in metrics.exposition().decode().split("\n") if line[:1] not in ("#", "")]


class MetricsTests(SynchronousTestCase):
    """What Prometheus reads."""

    def test_counters_gauges_and_durations(self) -> None:
        """With labels and without."""
        metrics = Metrics()
        metrics.count("letters_total")
        metrics.count("letters_total", 4)
        metrics.count("answers_total", code="no")
        metrics.count("answers_total", code="yes")
        metrics.gauge("peers", 3.0)
        metrics.gauge("peers", 2.0)
        metrics.gauge("links", 1.0, way="in")
        metrics.observe("call_seconds", 0.003)
        metrics.observe("call_seconds", 9.0)
        metrics.gauge_from("read", lambda: 42.0)
        found = lines(metrics)
        for line in (
            "tace_letters_total 5.0",
            'tace_answers_total{code="no"} 1.0',
            'tace_answers_total{code="yes"} 1.0',
            "tace_peers 2.0",
            'tace_links{way="in"} 1.0',
            'tace_call_seconds_bucket{le="0.005"} 1.0',
            'tace_call_seconds_bucket{le="+Inf"} 2.0',
            "tace_read 42.0",
        ):
            self.assertIn(line, found)

    def test_two_nodes_in_one_process_do_not_share(self) -> None:
        """Each has a registry of its own."""
        one, other = Metrics(), Metrics()
        one.count("letters_total")
        other.count("letters_total")
        self.assertIn("tace_letters_total 1.0", lines(one))

    def test_the_resource(self) -> None:
        """The right type, and kept by nobody on the way."""
        metrics = Metrics()
        metrics.count("letters_total")
        request = DummyRequest([b"metrics"])
        body = MetricsResource(metrics).render(request)
        self.assertIn(b"tace_letters_total 1.0", body)
        headers = request.responseHeaders
        self.assertEqual(headers.getRawHeaders("cache-control"), ["no-store"])
        (kind,) = headers.getRawHeaders("content-type", [])
        self.assertTrue(kind.startswith("text/plain"))


class UseTests(SynchronousTestCase):
    """Every call of a counter in the package."""

    def uses(self) -> dict[tuple[str, str], set[tuple[str, ...]]]:
        """(kind, metric) to the sets of labels it is used with."""
        found: dict[tuple[str, str], set[tuple[str, ...]]] = {}
        for path in ROOT.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in ("count", "gauge", "observe")
                    and "counters" in ast.unparse(node.func.value)
                    and node.args
                ):
                    name = node.args[0]
                    assert isinstance(name, ast.Constant), f"{path}: a metric's name is fixed"
                    labels = sorted(k.arg or "**" for k in node.keywords if k.arg != "amount")
                    found.setdefault((node.func.attr, str(name.value)), set()).add(tuple(labels))
        return found

    def test_a_metric_has_the_same_labels_everywhere(self) -> None:
        """Prometheus raises otherwise, in the middle of a procedure."""
        uses = self.uses()
        self.assertGreater(len(uses), 20)
        mixed = {name: labels for name, labels in uses.items() if len(labels) > 1}
        self.assertEqual(mixed, {})

    def test_a_name_is_of_one_kind_and_all_can_be_used_together(self) -> None:
        """No counter is also a gauge; the real registry takes every one of them."""
        metrics = Metrics()
        for (kind, name), labelled in self.uses().items():
            for labels in labelled:
                values = dict.fromkeys(labels, "x")
                if kind == "count":
                    metrics.count(name, 1, **values)
                elif kind == "gauge":
                    metrics.gauge(name, 1.0, **values)
                else:
                    metrics.observe(name, 1.0, **values)
        self.assertGreater(len(lines(metrics)), 20)
