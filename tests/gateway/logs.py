"""What the gateway wrote into the log during a test."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import provider


def gateway_lines(case: SynchronousTestCase) -> Callable[[], list[str]]:
    """From now on until the test ends: what an operator sees (info and up), of any library."""
    lines: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        ours = event["log_namespace"].startswith(("tace.gateway", "autobahn", "twisted.web"))
        if ours and event["log_level"] >= LogLevel.info:
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    case.addCleanup(globalLogPublisher.removeObserver, observe)
    return lambda: list(lines)
