"""Errors that nodes have logged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tace.lab.layout import NodePlan

BAD_LINES = ("Traceback (most recent call last)", "Unhandled error")


def errors_in_logs(plans: Iterable[NodePlan]) -> Iterator[str]:
    """A line for each node that has logged what no node should."""
    for plan in plans:
        log = plan.directory / "node.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        bad = [n for n, line in enumerate(lines) if any(mark in line for mark in BAD_LINES)]
        if bad:
            yield f"node {plan.index} logged {len(bad)} errors: {log}:{bad[0] + 1}"
