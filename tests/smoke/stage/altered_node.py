"""``twistd`` with something changed in the node: to see what tace itself does not show, and to make
sure that a test notices when it is wrong.

``python altered_node.py NAME[,NAME...] -n --pidfile= tace --config=FILE``
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.scripts.twistd import run

from tace.observe.metrics import Metrics
from tace.seams import Put
from tace.storage.sqlite import SqliteStore
from tace.wire.message import Message, MessageTable
from tace.wire.objects import Envelope

WRITTEN_AFTER_SECONDS = 0.05


def count_frames() -> None:
    """Every message that the node receives is a metric: ``tace_received_total{message="Ping"}``."""
    received: Counter[str] = Counter()
    decode = MessageTable.decode
    exposition = Metrics.exposition

    def counting(table: MessageTable, number: int, body: bytes) -> Message:
        message = decode(table, number, body)
        received[type(message).__name__] += 1
        return message

    def exposing(metrics: Metrics) -> bytes:
        for name in list(received):
            metrics.count("received_total", received.pop(name), message=name)
        return exposition(metrics)

    MessageTable.decode = counting  # type: ignore[method-assign, assignment]
    Metrics.exposition = exposing  # type: ignore[method-assign, assignment]


def answer_before_commit() -> None:
    """Envelopes are called stored at once; they are written a moment later."""
    put_envelopes = SqliteStore.put_envelopes

    def hasty(store: SqliteStore, envelopes: Sequence[Envelope], now: float) -> Deferred[list[Put]]:
        deferLater(reactor, WRITTEN_AFTER_SECONDS, put_envelopes, store, envelopes, now)
        return succeed([Put("stored") for _ in envelopes])

    SqliteStore.put_envelopes = hasty  # type: ignore[method-assign, assignment]


ALTERATIONS = {"count_frames": count_frames, "answer_before_commit": answer_before_commit}

if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        ALTERATIONS[name]()
    run()
