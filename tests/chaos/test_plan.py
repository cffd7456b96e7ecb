"""All that happens follows from the seed, and stays within the fault model."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.lab.chaos.plan import ChaosSettings, Fault, FaultKind, deposits, faults, refused

FIVE_MINUTES = ChaosSettings()


def away_at(planned: list[Fault], now: float) -> list[int]:
    return [fault.node for fault in planned if fault.at <= now < fault.at + fault.seconds]


def wiped_at(chaos: ChaosSettings, planned: list[Fault], now: float) -> set[int]:
    return {
        fault.node
        for fault in planned
        if fault.kind is FaultKind.WIPE
        and fault.at <= now < fault.at + fault.seconds + chaos.repair_seconds
    }


class Plans(SynchronousTestCase):
    """Of five minutes with twenty nodes."""

    def test_same_seed_same_run(self) -> None:
        """And another one with another seed."""
        other = replace(FIVE_MINUTES, seed=2)
        for plan in (faults, deposits):
            self.assertEqual(list(plan(FIVE_MINUTES)), list(plan(FIVE_MINUTES)))
            self.assertNotEqual(list(plan(FIVE_MINUTES)), list(plan(other)))

    def test_every_kind_happens(self) -> None:
        """More than a few times each, and most nodes have a bad time."""
        planned = list(faults(FIVE_MINUTES))
        for kind in FaultKind:
            self.assertGreater(sum(fault.kind is kind for fault in planned), 4, kind)
        self.assertGreater(len({fault.node for fault in planned}), 15)

    def test_a_short_run_is_no_idle_one(self) -> None:
        """Whatever the seed."""
        for seed in range(20):
            short = ChaosSettings(nodes=6, seconds=25, seed=seed)
            self.assertGreater(len(list(faults(short))), 3, seed)

    def test_it_ends_with_a_burst(self) -> None:
        """Some nodes come back in the last moment, so that there is something to heal from."""
        for seed in range(20):
            planned = list(faults(replace(FIVE_MINUTES, seed=seed)))
            last = [fault for fault in planned if fault.at + fault.seconds > 299.9]
            self.assertGreaterEqual(len(last), 1, seed)

    @settings(max_examples=60, deadline=None)
    @given(
        nodes=st.integers(3, 40),
        copies=st.integers(3, 12),
        seconds=st.floats(5, 400),
        seed=st.integers(0, 1000),
    )
    def test_fault_model(self, nodes: int, copies: int, seconds: float, seed: int) -> None:
        """A majority of a set is always there, half of the disks are, and all are back at last."""
        chaos = ChaosSettings(nodes=nodes, copies=copies, seconds=seconds, seed=seed)
        planned = list(faults(chaos))
        kept = min(nodes, copies)
        for fault in planned:
            away = away_at(planned, fault.at)
            self.assertEqual(len(away), len(set(away)), "a node that was away fails again")
            self.assertGreater(kept - len(away), kept / 2)
            self.assertLessEqual(len(wiped_at(chaos, planned, fault.at)), kept // 2)
            self.assertLessEqual(fault.at + fault.seconds, seconds + 1e-6)
            self.assertGreater(fault.seconds, 0.9)

    def test_beyond_the_model_on_purpose(self) -> None:
        """More disks than half of the copies, where that was asked for, and only there."""
        rough = replace(FIVE_MINUTES, wiped_at_once=8, node_fault_every_seconds=20.0)
        for chaos, most in ((rough, 8), (replace(rough, wiped_at_once=None), 4)):
            planned = list(faults(chaos))
            self.assertEqual(max(len(wiped_at(chaos, planned, f.at)) for f in planned), most)
        none = replace(FIVE_MINUTES, wiped_at_once=0)
        self.assertFalse([f for f in faults(none) if f.kind is FaultKind.WIPE])

    def test_deposits(self) -> None:
        """At the rate, to all who are absent, numbered."""
        left = list(deposits(FIVE_MINUTES))
        self.assertEqual([deposit.number for deposit in left], list(range(600)))
        self.assertEqual({deposit.recipient for deposit in left}, set(range(8)))
        self.assertEqual(list(deposits(replace(FIVE_MINUTES, absent=0))), [])


class Refused(SynchronousTestCase):
    """What must not happen now."""

    def refused(self, kind: FaultKind, away: set[int], wiped: set[int]) -> str:
        return refused(FIVE_MINUTES, Fault(0.0, kind, 1, 5.0), away=away, wiped=wiped)

    def test_away(self) -> None:
        """Three of eight may be, and one of them is not touched again."""
        self.assertEqual(self.refused(FaultKind.KILL, {2, 3}, set()), "")
        self.assertEqual(self.refused(FaultKind.KILL, {2, 3, 4}, set()), "3 nodes are away")
        self.assertEqual(self.refused(FaultKind.PAUSE, {1}, set()), "node 1 is away")

    def test_wiped(self) -> None:
        """Four of eight may be; a disk that is empty anyway may be wiped again."""
        self.assertEqual(self.refused(FaultKind.WIPE, set(), {2, 3, 4}), "")
        self.assertEqual(self.refused(FaultKind.WIPE, set(), {2, 3, 4, 5}), "4 disks are wiped")
        self.assertEqual(self.refused(FaultKind.WIPE, set(), {1, 3, 4, 5}), "")
        self.assertEqual(self.refused(FaultKind.KILL, set(), {2, 3, 4, 5}), "")
