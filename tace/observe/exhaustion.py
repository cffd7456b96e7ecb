"""Twisted's account of a process without file descriptors, kept to a line a minute."""

from __future__ import annotations

from typing import Any

from twisted.logger import ILogFilterPredicate, LogEvent, PredicateResult
from zope.interface import implementer

NAMESPACE = "twisted.internet.tcp.Port"
"""Who logs, for **each** connection it cannot accept, several lines."""
LINE_SECONDS = 60.0


@implementer(ILogFilterPredicate)
class ExhaustionLines:
    """Lets one line about connections that cannot be accepted through in a minute.

    When a process has no descriptors left (``EMFILE``), Twisted keeps one in reserve with which it
    accepts and closes what waits, so that the process stays up; and says so of each connection. An
    attacker could fill the disk with that.
    """

    def __init__(self) -> None:
        self._next_line = 0.0

    def __call__(self, event: LogEvent) -> Any:
        if event.get("log_namespace") != NAMESPACE:
            return PredicateResult.maybe
        now = float(event["log_time"])
        # A clock that was set back does not keep the log silent for long.
        if self._next_line - LINE_SECONDS <= now < self._next_line:
            return PredicateResult.no
        self._next_line = now + LINE_SECONDS
        return PredicateResult.maybe
