"""The verdict: each broken promise is named, and a kept one is believed."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tace.lab.people.ledger import Disturbance, Ledger, Spread
from tace.lab.soak.memory import Sample
from tace.lab.soak.report import AbuseNotes, Report

MIB = 1024 * 1024


def good_ledger() -> Ledger:
    ledger = Ledger()
    for number in range(100):
        text = f"letter {number}"
        ledger.wrote("ann", "ben", text, 1000.0 + number)
        ledger.acknowledged(text, 1000.01 + number)
        ledger.showed("ann", "ben", text, 1000.02 + number)
    return ledger


def report(ledger: Ledger | None = None, **more: Any) -> Report:
    given: dict[str, Any] = {
        "seconds": 100.0,
        "seed": 1,
        "began": 1000.0,
        "ledger": good_ledger() if ledger is None else ledger,
        "absences": [Disturbance("node 1 by KILL", 1020.0, 1025.0)],
        "abuses": {"junk": AbuseNotes(runs=2)},
        "memory": {0: [Sample(float(t), 80 * MIB, 20) for t in range(40)]},
        "driver_lag": Spread.of([0.001]),
        "failures": (),
    }
    return Report(**{**given, **more})


class Verdicts(SynchronousTestCase):
    """What breaks the promise."""

    def assert_broken(self, told: Report, part: str) -> None:
        broken = list(told.broken())
        self.assertEqual(len(broken), 1, broken)
        self.assertIn(part, broken[0])

    def test_kept(self) -> None:
        """Nothing to say."""
        self.assertEqual(list(report().broken()), [])
        self.assertIn("the promise held", list(report().lines()))

    def test_lost(self) -> None:
        """Acknowledged and never shown."""
        ledger = good_ledger()
        ledger.wrote("ann", "ben", "gone", 1.0)
        ledger.acknowledged("gone", 1.0)
        self.assert_broken(report(ledger), "acknowledged and never shown: 'gone'")

    def test_missing(self) -> None:
        """The sender's device is there all the time, so it must come too."""
        ledger = good_ledger()
        ledger.wrote("ann", "ben", "stuck", 1.0)
        self.assert_broken(report(ledger), "written and never shown: 'stuck'")

    def test_doubled(self) -> None:
        """To the user's eyes."""
        ledger = good_ledger()
        ledger.showed("ann", "ben", "letter 7", 2000.0)
        self.assert_broken(report(ledger), "shown more than once: 'letter 7'")

    def test_misdirected_and_strays(self) -> None:
        """What nobody should see."""
        ledger = good_ledger()
        ledger.showed("ann", "eve", "letter 7", 2000.0)
        self.assert_broken(report(ledger), "shown to somebody else")
        ledger = good_ledger()
        ledger.showed("ann", "ben", "junk", 2000.0)
        self.assert_broken(report(ledger), "never written: 'junk'")

    def test_slow(self) -> None:
        """Two of a hundred are more than one."""
        ledger = good_ledger()
        for number in (1, 2):
            ledger.wrote("ben", "ann", f"slow {number}", 1.0)
            ledger.showed("ben", "ann", f"slow {number}", 3.0)
        self.assert_broken(report(ledger), "p99 from written to shown is 2.00 s")

    def test_growth(self) -> None:
        """Of the node that lives all the time."""
        growing = [Sample(float(t), (80 + t) * MIB, 20) for t in range(40)]
        self.assert_broken(report(memory={0: growing}), "node 0 grew from")
        self.assertEqual(list(report(memory={1: growing}).broken()), [])

    def test_abuse_with_a_wrong_answer(self) -> None:
        """And what else failed."""
        wrong = AbuseNotes(runs=1, wrong=["answered kept at 3 s"])
        self.assert_broken(report(abuses={"junk": wrong}), "abuse junk: answered kept")
        self.assert_broken(report(failures=["node 2 ended: exit status 1"]), "node 2 ended")

    def test_nothing(self) -> None:
        """A run in which nobody wrote proves nothing."""
        self.assert_broken(report(Ledger()), "nothing was written")


class Json(SynchronousTestCase):
    """For programs."""

    def test_fields(self) -> None:
        """All of it can be written; times are relative to the run."""
        told = json.loads(json.dumps(report().as_json()))
        self.assertEqual((told["sent"], told["acknowledged"], told["shown"]), (100, 100, 100))
        self.assertEqual((told["lost"], told["doubled"], told["broken"]), (0, 0, []))
        self.assertAlmostEqual(told["shown_ms"]["p99"], 20, places=3)
        self.assertEqual(told["shown_while_a_node_was_away_ms"]["count"], 6)
        self.assertEqual(told["endings"], [{"what": "node 1 by KILL", "at": 20.0, "back": 25.0}])
        self.assertEqual(told["memory"]["0"]["begin"], 80 * MIB)
