"""Where Prometheus reads the metrics."""

from __future__ import annotations

from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource

from tace.observe.metrics import Metrics


class MetricsResource(Resource):
    """``/metrics`` in Prometheus' text format."""

    isLeaf = True  # noqa: N815 - Twisted reads it by this name

    def __init__(self, metrics: Metrics) -> None:
        Resource.__init__(self)
        self._metrics = metrics

    def render_GET(self, request: HttpRequest) -> bytes:
        request.setHeader("content-type", self._metrics.content_type)
        request.setHeader("cache-control", "no-store")
        return self._metrics.exposition()
