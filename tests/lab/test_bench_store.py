"""The work that the store is measured with, and that bare sqlite3 does the same."""

from __future__ import annotations

import random
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tace.lab.bench.sqlite import measure_bare
from tace.lab.bench.store import measure_store, run_store_bench
from tace.lab.bench.store_work import (
    LIFETIME_HOURS,
    PUTS_A_CYCLE,
    ROWS_A_COMMIT,
    ROWS_A_CYCLE,
    cycles,
)
from tace.wire.objects import Envelope


def chance() -> random.Random:
    return random.Random(7)


class Work(SynchronousTestCase):
    """What a cycle is made of."""

    def test_cycle(self) -> None:
        """Commits of equal size; each ack is for an envelope put before; some are left over."""
        (cycle,) = cycles(1, 30, 1000, chance().randbytes)
        there: set[bytes] = set()
        rows = 0
        for objects in cycle.commits():
            self.assertEqual(len(objects), ROWS_A_COMMIT)
            rows += len(objects)
            for each in objects:
                self.assertEqual(each.expires_hours, 1000 + LIFETIME_HOURS)
                if isinstance(each, Envelope):
                    there.add(each.id)
                else:
                    there.remove(each.id)
        self.assertEqual(rows, ROWS_A_CYCLE)
        self.assertEqual(len(there), ROWS_A_COMMIT)
        self.assertEqual(len({e.mailbox for put in cycle.puts for e in put}), 30)


class Both(TestCase):
    """On a real disk, with little work."""

    timeout = 60

    def directory(self) -> Path:
        path = Path(self.mktemp())
        path.mkdir()
        return path

    async def test_same_work(self) -> None:
        """What is left over and all acks expire, in both; both read."""
        work = cycles(8, 30, 1000, chance().randbytes)
        bare = measure_bare(work, self.directory())
        own = await measure_store(work, self.directory(), reactor)
        # Envelopes live three hours, their acks two more; the last are looked for in hour 1007.
        left_over, acks = ROWS_A_COMMIT, (PUTS_A_CYCLE - 1) * ROWS_A_COMMIT
        self.assertEqual(bare.rows_expired, 5 * left_over + 3 * acks)
        self.assertEqual(own.rows_expired, bare.rows_expired)
        self.assertGreater(bare.envelopes_read, 0)
        self.assertGreater(own.envelopes_read, 0)
        self.assertEqual(bare.rows_per_commit, ROWS_A_CYCLE / (2 * PUTS_A_CYCLE))
        self.assertGreater(own.rows_per_second, 0)

    async def test_report(self) -> None:
        """Whole cycles; the ratio is that of the two rates."""
        report = await run_store_bench(self.directory(), 30, 901, chance().randbytes, reactor)
        self.assertEqual(report.rows, 2 * ROWS_A_CYCLE)
        self.assertEqual(
            report.ratio,
            round(report.store.rows_per_second / report.bare_sqlite3.rows_per_second, 2),
        )
