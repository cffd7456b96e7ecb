"""The verdict: each broken promise is named, and a kept one is believed."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tace.lab.chaos.plan import ChaosSettings
from tace.lab.chaos.report import Report
from tace.lab.people.ledger import Disturbance, Ledger

DEMANDED = (
    "sent",
    "stored",
    "delivered",
    "lost",
    "duplicated",
    "longest_delivery_seconds",
    "ideal_after_seconds",
    "replicated_after_seconds",
)


def good(count: int, wait: float) -> Ledger:
    ledger = Ledger()
    for number in range(count):
        text = f"letter {number}"
        ledger.wrote("ann", "ben", text, 1000.0 + number)
        ledger.acknowledged(text, 1000.01 + number)
        ledger.showed("ann", "ben", text, 1000.0 + number + wait)
    return ledger


def report(**more: Any) -> Report:
    given: dict[str, Any] = {
        "settings": ChaosSettings(seed=7),
        "began": 1000.0,
        "people": good(100, 0.25),
        "absent": good(20, 300.0),
        "faults": [Disturbance("kill node 3", 1010.0, 1015.0)],
        "skipped": 2,
        "ideal_after_seconds": 1.5,
        "replicated_after_seconds": 9.0,
        "failures": (),
    }
    return Report(**{**given, **more})


class Verdicts(SynchronousTestCase):
    """What breaks the promise."""

    def assert_broken(self, told: Report, part: str) -> None:
        broken = list(told.broken())
        self.assertEqual(len(broken), 1, broken)
        self.assertIn(part, broken[0])
        self.assertNotIn("the promise held", list(told.lines()))

    def test_kept(self) -> None:
        """Nothing to say."""
        self.assertEqual(list(report().broken()), [])
        self.assertIn("the promise held", list(report().lines()))

    def test_lost(self) -> None:
        """Of those who were there and of those who came at the end."""
        for who in ("people", "absent"):
            ledger = good(3, 0.1)
            ledger.wrote("ann", "ben", "gone", 1.0)
            ledger.acknowledged("gone", 1.0)
            told = report(**{who: ledger})
            self.assert_broken(told, "acknowledged and never delivered: 'gone'")
            self.assertEqual(told.as_json()["lost"], 1)

    def test_missing(self) -> None:
        """Not promised, but who sent it was there all the time."""
        ledger = good(3, 0.1)
        ledger.wrote("ann", "ben", "stuck", 1.0)
        told = report(people=ledger)
        self.assert_broken(told, "written and never delivered: 'stuck'")
        self.assertEqual(told.as_json()["lost"], 0)

    def test_duplicated(self) -> None:
        """To the user's eyes."""
        for who in ("people", "absent"):
            ledger = good(3, 0.1)
            ledger.showed("ann", "ben", "letter 1", 2000.0)
            told = report(**{who: ledger})
            self.assert_broken(told, "shown more than once: 'letter 1'")
            self.assertEqual(told.as_json()["duplicated"], 1)

    def test_misdirected_and_strays(self) -> None:
        """What nobody should see."""
        ledger = good(3, 0.1)
        ledger.showed("ann", "eve", "letter 1", 2000.0)
        self.assert_broken(report(people=ledger), "shown to somebody else")
        ledger = good(3, 0.1)
        ledger.showed("ann", "ben", "junk", 2000.0)
        self.assert_broken(report(absent=ledger), "never written: 'junk'")

    def test_not_healed(self) -> None:
        """The ring, or the copies."""
        self.assert_broken(report(ideal_after_seconds=None), "one ideal ring")
        self.assert_broken(report(replicated_after_seconds=None), "all of its replicas")

    def test_failures_and_nothing(self) -> None:
        """A node that ended badly; a run in which nobody wrote."""
        self.assert_broken(report(failures=["node 2 died"]), "node 2 died")
        self.assert_broken(report(people=Ledger()), "nothing was written")


class Json(SynchronousTestCase):
    """For programs."""

    def test_fields(self) -> None:
        """All that was promised, as one object; the absent do not count as slow deliveries."""
        told = json.loads(json.dumps(report().as_json()))
        self.assertEqual([told[name] for name in DEMANDED], [120, 120, 120, 0, 0, 0.25, 1.5, 9.0])
        self.assertEqual((told["nodes"], told["copies"], told["seed"]), (20, 8, 7))
        self.assertEqual(told["faults"], {"kill": 1})
        self.assertEqual(told["course"], [{"what": "kill node 3", "at": 10.0, "back": 15.0}])

    def test_beyond_the_model_is_said(self) -> None:
        """A loss then is no surprise, and a reader must know."""
        told = "\n".join(report(settings=ChaosSettings(wiped_at_once=8)).lines())
        self.assertIn("8 disks were wiped at once, on purpose", told)
        self.assertNotIn("on purpose", "\n".join(report().lines()))
