"""The arithmetic of the bench: quantiles, books, the event loop's lag."""

from __future__ import annotations

import random

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import StartError
from tace.lab.bench.account import Account
from tace.lab.bench.latency import RELATIVE_WIDTH, Latencies, Quantiles
from tace.lab.bench.network import MAX_LETTERS, Wish, flow_plans, shared_out
from tace.lab.bench.orders import Outcome
from tace.lab.bench.report import Totals
from tace.lab.bench.scrape import LagCounts
from tace.observe.metrics import Metrics


class LatencyTests(SynchronousTestCase):
    """Buckets of one percent."""

    def test_quantiles(self) -> None:
        """Right to half a bucket against the sorted list; the maximum exactly."""
        chance = random.Random(1)
        durations = [chance.lognormvariate(-6, 1.5) for _ in range(5000)]
        latencies = Latencies()
        for seconds in durations:
            latencies.add(seconds)
        durations.sort()
        for share in (0.01, 0.5, 0.95, 0.99, 0.999):
            exact = durations[round(share * len(durations)) - 1]
            self.assertApproximates(latencies.quantile(share) / exact, 1, RELATIVE_WIDTH / 1.9)
        self.assertEqual(latencies.quantiles().max, round(durations[-1] * 1000, 3))
        self.assertLess(len(latencies.buckets), 1200)

    def test_one(self) -> None:
        """Of a single duration every quantile is that one, and none is more than the maximum."""
        latencies = Latencies()
        latencies.add(0.002)
        figures = latencies.quantiles()
        self.assertEqual(figures.max, 2.0)
        self.assertApproximates(figures.p50, 2.0, 0.01)
        self.assertLessEqual(figures.p99, 2.0)

    def test_nothing(self) -> None:
        """Zeros."""
        self.assertEqual(Latencies().quantiles(), Quantiles(0, 0, 0, 0))

    def test_no_time_at_all(self) -> None:
        """A clock that did not move, or went back, is counted as the least."""
        latencies = Latencies()
        latencies.add(0.0)
        latencies.add(-1.0)
        self.assertEqual(latencies.count, 2)
        self.assertLess(latencies.quantile(1), 1e-5)

    def test_together(self) -> None:
        """Two halves counted apart are the whole."""
        whole, first, second = Latencies(), Latencies(), Latencies()
        for number in range(1, 1000):
            whole.add(number / 1000)
            (first if number % 3 else second).add(number / 1000)
        first.add_all(second.buckets, second.longest)
        self.assertEqual(first.quantiles(), whole.quantiles())
        self.assertEqual(first.count, whole.count)


class AccountTests(SynchronousTestCase):
    """What counts as stored, delivered, lost."""

    def setUp(self) -> None:
        self.account = Account()

    def test_stored_then_pushed(self) -> None:
        """The usual way: over with the push; delivered with the ack; late since it was intended."""
        account = self.account
        account.sending(b"a", 10.0)
        self.assertFalse(account.answered(b"a", "stored", 10.5))
        self.assertTrue(account.pushed(b"a", 11.0))
        self.assertEqual((account.delivered, account.lost, account.open), (0, 1, 1))
        account.acked(b"a", 11.1)
        self.assertEqual((account.sent, account.stored, account.delivered), (1, 1, 1))
        self.assertEqual((account.lost, account.open), (0, 0))
        self.assertEqual(account.last_delivery, 11.1)
        self.assertAlmostEqual(account.store.longest, 0.5)
        self.assertAlmostEqual(account.receive.longest, 1.0)

    def test_pushed_before_it_was_answered(self) -> None:
        """Over with the answer."""
        account = self.account
        account.sending(b"a", 0.0)
        self.assertFalse(account.pushed(b"a", 1.0))
        account.acked(b"a", 1.0)
        self.assertEqual((account.lost, account.open), (0, 1))
        self.assertTrue(account.answered(b"a", "stored", 2.0))
        self.assertEqual((account.delivered, account.lost, account.open), (1, 0, 0))

    def test_lost(self) -> None:
        """Stored and never pushed; a push without an ack is no delivery either."""
        account = self.account
        for lock in (b"a", b"b"):
            account.sending(lock, 0.0)
            account.answered(lock, "stored", 1.0)
        account.pushed(b"b", 1.0)
        self.assertEqual((account.lost, account.delivered, account.open), (2, 0, 2))

    def test_refused(self) -> None:
        """It is over, and neither stored nor lost; its word is counted."""
        account = self.account
        account.sending(b"a", 0.0)
        self.assertTrue(account.answered(b"a", "full", 1.0))
        self.assertEqual((account.stored, account.lost, account.open), (0, 0, 0))
        self.assertEqual(dict(account.refused), {"full": 1})
        self.assertEqual(account.store.count, 0)

    def test_refused_and_pushed_all_the_same(self) -> None:
        """What fewer than a majority took may arrive: delivered, and its sender was done before."""
        account = self.account
        account.sending(b"a", 0.0)
        self.assertTrue(account.answered(b"a", "partial", 1.0))
        self.assertFalse(account.pushed(b"a", 2.0))
        account.acked(b"a", 2.0)
        self.assertEqual((account.stored, account.delivered, account.lost), (0, 1, 0))

    def test_second_push_counts_once(self) -> None:
        """Nothing is delivered twice, whenever the second push comes."""
        account = self.account
        account.sending(b"a", 0.0)
        account.answered(b"a", "stored", 1.0)
        self.assertTrue(account.pushed(b"a", 1.0))
        self.assertFalse(account.pushed(b"a", 2.0))
        account.acked(b"a", 3.0)
        account.acked(b"a", 4.0)
        self.assertFalse(account.pushed(b"a", 5.0))
        account.acked(b"a", 5.0)
        self.assertEqual((account.delivered, account.last_delivery), (1, 3.0))
        self.assertEqual(account.receive.count, 1)


class LagTests(SynchronousTestCase):
    """What a node's histogram says."""

    def read(self, metrics: Metrics, longest: float = 0.0) -> LagCounts:
        metrics.gauge("loop_lag_max_seconds", longest)
        return LagCounts.parse(metrics.exposition().decode())

    def test_what_came_in_between(self) -> None:
        """Only what was counted after the first look, of all nodes together."""
        one, other = Metrics(), Metrics()
        for _ in range(50):
            one.observe("loop_lag_seconds", 2.0)
        before = [self.read(one, 2.0), self.read(other)]
        for _ in range(98):
            one.observe("loop_lag_seconds", 0.0007)
        for _ in range(2):
            other.observe("loop_lag_seconds", 0.07)
        after = [self.read(one, 0.0008), self.read(other, 0.08)]
        figures = LagCounts.together(
            a.since(b) for a, b in zip(after, before, strict=True)
        ).figures()
        self.assertEqual(figures.max, 80.0)
        # Halfway into the bucket from 50 ms, which ends at the longest that was seen.
        self.assertApproximates(figures.p99, 65.0, 0.01)

    def test_nothing(self) -> None:
        """A node that exports none."""
        figures = LagCounts.together([LagCounts.parse(""), LagCounts()]).figures()
        self.assertEqual((figures.p99, figures.max), (0.0, 0.0))

    def test_longer_than_the_last_bucket(self) -> None:
        """The p99 is no more than the longest."""
        metrics = Metrics()
        for _ in range(10):
            metrics.observe("loop_lag_seconds", 7.0)
        figures = self.read(metrics, 7.5).figures()
        self.assertLessEqual(figures.p99, 7500)
        self.assertGreaterEqual(figures.p99, 2500)


class PlanTests(SynchronousTestCase):
    """Who sends where."""

    def test_ends_at_different_nodes(self) -> None:
        """Always, when there are two; every node gets as much as any other."""
        for nodes in (2, 3, 5, 8):
            urls = [f"http://n{index}" for index in range(nodes)]
            plans = flow_plans(nodes * (nodes - 1), urls)
            pairs = {(plan.sender_url, plan.receiver_url) for plan in plans}
            self.assertEqual(len(pairs), nodes * (nodes - 1))
            self.assertFalse([pair for pair in pairs if pair[0] == pair[1]])
            self.assertEqual([plan.number for plan in plans], list(range(len(plans))))

    def test_one_node(self) -> None:
        """Both ends are there."""
        (plan,) = flow_plans(1, ["http://n0"])
        self.assertEqual((plan.sender_url, plan.receiver_url), ("http://n0", "http://n0"))

    def test_shares(self) -> None:
        """Nobody is left out, none differs by more than one."""
        self.assertEqual(shared_out(11, 4), [3, 3, 3, 2])
        self.assertEqual(shared_out(2, 3), [1, 1, 0])

    def test_letters(self) -> None:
        """As many as leave in the time; a bound on what lies in memory."""
        wish = Wish(
            nodes=1,
            copies=0,
            clients=100,
            pairs=10,
            depth=8,
            rate=200,
            seconds=10,
            idle_clients=0,
            workers=1,
        )
        self.assertGreaterEqual(wish.letters_per_flow, 20)
        self.assertLess(wish.letters_per_flow, 30)
        import dataclasses

        with self.assertRaisesRegex(StartError, "lower --rate"):
            _ = dataclasses.replace(wish, rate=10_000, seconds=3600).letters_per_flow
        unbounded = dataclasses.replace(wish, rate=0, seconds=3600)
        self.assertLessEqual(unbounded.letters_per_flow * unbounded.flows, MAX_LETTERS + 200)


def outcome(**changes: object) -> Outcome:
    """Of a generator that did nothing, but for the changes."""
    nothing = Outcome(
        sent=0,
        stored=0,
        delivered=0,
        lost=0,
        duplicated=0,
        strange=0,
        unsent=0,
        exhausted=False,
        refused={},
        acks={},
        last_delivery=0.0,
        settled_at=101.0,
        cpu_seconds=0.0,
        store={},
        store_longest=0.0,
        receive={},
        receive_longest=0.0,
        lag={},
        lag_longest=0.0,
    )
    return msgspec.structs.replace(nothing, **changes)


class TotalsTests(SynchronousTestCase):
    """Several generators as one."""

    def test_sums(self) -> None:
        """Counts add up; the rate is up to the last delivery of any; the busiest one is told."""
        totals = Totals(
            [
                outcome(delivered=300, last_delivery=110.0, cpu_seconds=1.0, settled_at=110.0),
                outcome(
                    delivered=100,
                    lost=2,
                    last_delivery=120.0,
                    cpu_seconds=6.0,
                    settled_at=120.0,
                    refused={"full": 3},
                ),
            ]
        )
        self.assertEqual((totals.delivered, totals.lost), (400, 2))
        self.assertEqual(dict(totals.refused), {"full": 3})
        self.assertEqual(totals.delivered_per_second(100.0), 20.0)
        generators = totals.generators(100.0)
        self.assertEqual(generators.busiest_core_share, 0.3)
        self.assertEqual(generators.cpu_us_per_message, 17_500.0)

    def test_nothing_delivered(self) -> None:
        """No division by nothing."""
        totals = Totals([outcome()])
        self.assertEqual(totals.delivered_per_second(100.0), 0.0)
        self.assertEqual(totals.generators(100.0).cpu_us_per_message, 0.0)
