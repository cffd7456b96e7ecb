"""The scenarios that are built in, on small rings: each plays, and what is wrong is found."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tace.simulation.plot import plot
from tace.simulation.report import Report
from tace.simulation.scenarios.catalogue import SCENARIOS
from tace.simulation.scenarios.churn import session_lengths
from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.play import play, play_scenario
from tace.simulation.scenarios.restarts import moved
from tace.simulation.scenarios.stage import Interrupted, Stage

FIGURES = {
    *("nodes", "seed", "sent", "stored", "delivered", "lost", "lost_after_resend", "duplicated"),
    *("violations", "ideal_after_seconds", "replicated_after_seconds", "mean_hops"),
    "bytes_per_node_second",
}


def small(name: str, seed: int = 1, **more: Any) -> Report:
    scenario = SCENARIOS[name]
    little = {"nodes": 9, "people": 4, "letters": 12, "seconds": 8.0, "median_minutes": 0.2}
    return play_scenario(name, scenario, replace(scenario.defaults, **{**little, **more}), seed)


class Playing(SynchronousTestCase):
    """Nothing is lost for good, nothing comes twice, the oracle is content."""

    def plays(self, name: str, **more: Any) -> Report:
        report = small(name, **more)
        self.assertEqual(list(report.violations), [])
        outcome = report.outcome
        self.assertEqual(
            (outcome.lost_after_resend, outcome.duplicated, outcome.delivered_after_resend),
            (0, 0, outcome.sent),
        )
        return report

    def test_join_storm(self) -> None:
        """All are members in the end."""
        self.assertTrue(self.plays("join-storm").held)

    def test_churn(self) -> None:
        """Nodes went, and what was sent meanwhile came."""
        for heavy in (False, True):
            report = self.plays("churn", heavy_tailed=heavy, seconds=20.0)
            self.assertGreater(report.measured["departures"] or 0, 2)
            self.assertGreater(report.outcome.sent, 10)

    def test_half_crash(self) -> None:
        """With their disks all of it is there again."""
        report = self.plays("half-crash")
        self.assertTrue(report.held, list(report.faults()))
        self.assertEqual(report.outcome.lost, 0)

    def test_halves_that_are_wiped(self) -> None:
        """Half of the nodes are down in the end, whatever was lost came again."""
        for name in ("half-wiped", "adjacent-half", "rolling-half"):
            report = self.plays(name)
            self.assertEqual(report.samples[-1].living, 5, name)
            self.assertEqual(sum(not dot.living for dot in report.positions), 4 * 4)

    def test_two_bursts(self) -> None:
        """A quarter, twice."""
        self.assertEqual(self.plays("two-bursts").samples[-1].living, 5)

    def test_split(self) -> None:
        """In two and in three parts."""
        for ways in (2, 3):
            report = self.plays("split", ways=ways)
            self.assertIn(f"the network is split in {ways}", [what for _, what in report.notes])
            self.assertEqual(report.outcome.lost, 0)

    def test_those_who_live(self) -> None:
        """Nobody was killed; nobody is called dead for long."""
        for name in ("flapping-link", "slow-nodes"):
            report = self.plays(name)
            self.assertTrue(report.held, list(report.faults()))
            self.assertIn("falsely_dead_nodes", report.measured)
            self.assertGreater(report.outcome.sent, 5)

    def test_restarts(self) -> None:
        """All at once, and one after the other."""
        for name in ("restart-all", "rolling-restart"):
            report = self.plays(name, letters=100)
            self.assertTrue(report.held, list(report.faults()))
            starts = [seconds for seconds, what in report.notes if what.endswith("start")]
            self.assertEqual(len(starts), 1 if name == "restart-all" else 0)

    def test_idle(self) -> None:
        """What is measured is the time when nothing happened."""
        report = self.plays("idle")
        self.assertTrue(report.held)
        self.assertEqual(report.outcome.sent, 0)
        busy = self.plays("join-storm")
        assert report.bytes_per_node_second and busy.bytes_per_node_second
        self.assertLess(10 * report.bytes_per_node_second, busy.bytes_per_node_second)

    def test_routing(self) -> None:
        """Under capacity all is arithmetic; beyond it every lookup still finds whom it should,
        though every fifth node is dead and nobody knows it."""
        known = self.plays("routing", nodes=30, lookups=20)
        self.assertEqual((known.held, known.mean_hops, known.nodes), (True, 1.0, 30))
        more = {"nodes": 420, "capacity": 384, "lookups": 12, "dead": 20.0}
        full = self.plays("routing", **more)
        self.assertTrue(full.held, list(full.faults()))
        measured = full.measured
        for way in ("", "iterative_", "recursive_"):
            self.assertEqual(measured[f"{way}failed"], 0)
        self.assertGreater(full.mean_hops or 0, 1.0)
        self.assertLess(full.mean_hops or 9, measured["half_log2_of_nodes"] or 0)
        self.assertGreater(measured["questions_without_answer"] or 0, 0)

    def test_every_scenario(self) -> None:
        """Each one of the table is played above, and takes what its parameters are."""
        self.assertEqual(len(SCENARIOS), 14)
        for scenario in SCENARIOS.values():
            self.assertLess(scenario.takes, set(Parameters.__slots__))


class Reports(SynchronousTestCase):
    """What is printed, and drawn."""

    def test_the_same_seed(self) -> None:
        """The same bytes; another seed, another history."""
        printed = [json.dumps(small("half-wiped", seed).as_json()) for seed in (3, 3, 4)]
        self.assertEqual(printed[0], printed[1])
        self.assertNotEqual(json.loads(printed[0])["digest"], json.loads(printed[2])["digest"])
        self.assertLessEqual(FIGURES, set(json.loads(printed[0])))

    def test_plot(self) -> None:
        """A document of its own with a dot for each position, and every line."""
        report = small("half-crash")
        root = ElementTree.fromstring(plot(report))
        kinds = [element.get("class", "") for element in root.iter()]
        self.assertEqual(kinds.count("up") + kinds.count("down"), 9 * 4)
        for kind in (
            "line members",
            "line least",
            "line waiting",
            "line lost",
            "ideal",
            "not-ideal",
            "mark",
        ):
            self.assertIn(kind, kinds)

    def test_session_lengths(self) -> None:
        """Half are shorter than the median; a heavy tail has longer and shorter ones."""
        spread = []
        for heavy in (False, True):
            random, draw = Random(1), session_lengths(60.0, heavy_tailed=heavy)
            lengths = sorted(draw(random) for _ in range(4001))
            self.assertApproximates(lengths[2000], 60.0, 6.0)
            spread.append(lengths[3960] / lengths[40])
        self.assertGreater(spread[1], 10 * spread[0])


class Judging(SynchronousTestCase):
    """The judge, on worlds where something is really wrong."""

    def filled(self, stage: Stage) -> None:
        stage.form(6)
        stage.fill(people=2, letters=12, per_second=0.0)

    def test_all_disks_are_lost(self) -> None:
        """Everything is lost, and is there again when the senders return."""

        def act(stage: Stage) -> None:
            self.filled(stage)
            stage.world.oracle.expect_disorder(60.0)
            stage.kill(stage.world.living, wipe=True)
            stage.start(stage.down)
            stage.ideal_within(60.0)
            stage.promise_no_loss()
            stage.promise_lost_share(0.5)
            stage.promise_delivered_share(0.5)

        report = play("all", act, 1, settings={"ring.replicas": 3})
        outcome = report.outcome
        self.assertIn((12, 12, None), [(s.waiting, s.lost, s.least_copies) for s in report.samples])
        self.assertEqual((outcome.sent, outcome.stored), (12, 12))
        self.assertEqual((outcome.delivered, outcome.lost), (0, 12))
        self.assertEqual((outcome.delivered_after_resend, outcome.lost_after_resend), (12, 0))
        self.assertEqual(
            list(report.faults()),
            ["12 messages are lost", "100.00 % of what was stored is lost",
             "only 0.00 % was delivered"],
        )  # fmt: skip

    def test_one_disk_is_lost(self) -> None:
        """The copies of that disk are missing, until they were made again."""

        def act(stage: Stage) -> None:
            self.filled(stage)
            self.assertIsNone(stage.copies.missing())
            self.assertEqual(stage.copies.count().least, 3)
            holder = stage.copies.replicas(stage.load.absent[0].mailbox)[0]
            stage.kill([holder], power=True, wipe=True)
            self.assertIsNotNone(stage.copies.missing())
            self.assertEqual(stage.copies.count().nowhere, 0)
            self.assertIsNone(stage.watch.replicated_after_seconds)
            stage.copies_within(60.0)
            self.assertEqual(stage.copies.count().least, 3)

        report = play("one", act, 1, settings={"ring.replicas": 3})
        self.assertTrue(report.held, list(report.faults()))

    def test_belongings_that_are_gone(self) -> None:
        """Records and chunks that are on no disk are missed, and so are records too old."""

        def act(stage: Stage) -> None:
            stage.form(4)
            stage.keep(records=3, files=2)
            stage.find_all()
            self.assertEqual(stage.broken, [])
            stage.world.oracle.expect_disorder(60.0)
            stage.kill(stage.world.living, wipe=True)
            stage.start(stage.down)
            stage.ideal_within(60.0)
            stage.find_all()

        settings = {"ring.replicas": 3, "limits.requests_stamp_bits": 2}
        report = play("belongings", act, 1, settings=settings)
        (fault,) = report.faults()
        self.assertIn("5 of 5 are not found: not there", fault)

    def test_an_older_record(self) -> None:
        """Only the newest is the right one."""

        def act(stage: Stage) -> None:
            stage.form(3)
            stage.keep(records=1)
            kept = stage.belongings
            before = dict(kept._records)
            stage.keep(renew=True)
            stage.find_all()
            (name,) = before
            self.assertEqual(
                [kept._is_right(name, record) for record in (before[name], kept._records[name])],
                [False, True],
            )

        self.assertTrue(play("older", act, 1).held)

    def test_moved_items(self) -> None:
        """What repair brings counts as moved: a node that returns empty is given its share."""

        def act(stage: Stage) -> None:
            self.filled(stage)
            before = moved(stage)
            (node,) = stage.choose(1)
            stage.kill([node], wipe=True)
            stage.start([node])
            stage.copies_within(60.0)
            kept.append((moved(stage) - before, stage.kept_items(node)))

        kept: list[tuple[int, int]] = []
        play("moved", act, 1, settings={"ring.replicas": 3})
        ((brought, held),) = kept
        self.assertGreater(held, 0)
        self.assertGreaterEqual(brought, held)

    def test_too_late(self) -> None:
        """A bound that cannot be met is reported with what is missing."""

        def act(stage: Stage) -> None:
            self.filled(stage)
            stage.kill(stage.choose(3), power=True, wipe=True)
            stage.ideal_within(0.1)
            stage.copies_within(0.1)

        report = play("late", act, 1, settings={"ring.replicas": 3})
        self.assertFalse(report.held)
        first, second = list(report.faults())[:2]
        self.assertIn("not ideal 0.1 s after the last fault: n", first)
        self.assertIn("copies are missing 0.1 s after the last fault, of message", second)

    def test_started_and_not_joined(self) -> None:
        """A ring is not ideal as long as somebody is still joining it."""

        def act(stage: Stage) -> None:
            stage.form(4)
            (node,) = stage.choose(1)
            stage.world.kill(node)
            stage.run_for(5.0)
            stage.world.start(node)
            self.assertEqual(stage.watch.ideal_fault(), f"{node.name} is no member yet")
            stage.ideal_within(60.0)

        self.assertTrue(play("join", act, 1).held)

    def test_interrupted(self) -> None:
        """At the next half second, and without a report."""
        asked = iter([False] * 5)
        self.assertRaises(
            Interrupted,
            play,
            "cut short",
            lambda stage: stage.run_for(1e9),
            1,
            interrupted=lambda: next(asked, True),
        )
