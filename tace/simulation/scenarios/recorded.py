"""The result of a script as it is recorded below it."""

from __future__ import annotations

from collections.abc import Iterator

from tace.simulation.report import Report
from tace.simulation.scenarios.script import RESULT


def results(report: Report) -> Iterator[str]:
    """What is recorded: figures that stay the same as long as the network does what it must.

    How long something took is bounded by an ``expect`` line and not recorded: a faster network
    breaks no script.
    """
    outcome = report.outcome
    yield (
        f"sent {outcome.sent} stored {outcome.stored} delivered {outcome.delivered}"
        f" lost {outcome.lost} lost_after_resend {outcome.lost_after_resend}"
        f" duplicated {outcome.duplicated}"
    )
    yield f"nodes {report.nodes} violations {len(report.violations)}"
    for fault in report.faults():
        yield f"broken {fault.splitlines()[0]}"


def with_results(text: str, report: Report) -> str:
    """A script with the results of this run in the place of those before."""
    kept = [line for line in text.splitlines() if not line.startswith(RESULT)]
    while kept and not kept[-1].strip():
        kept.pop()
    recorded = [f"{RESULT} {line}" for line in results(report)]
    return "\n".join([*kept, "", *recorded]) + "\n"
