"""Autobahn's timers, which outlive the connections that they were made for."""

from __future__ import annotations

from typing import Any


def drop_batched_timers(reactor: Any) -> None:
    """Take what is left of them from the reactor; for the cleanup of tests.

    Autobahn rounds its time-outs into batches of a second, and a batch whose calls were all
    cancelled still waits for its moment.
    """
    for call in reactor.getDelayedCalls():
        owner = getattr(call.func, "__self__", None)
        if type(owner).__name__ == "_BatchedTimer":
            call.cancel()
