"""All that happens follows from the seed."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from tace.lab.attack.catalogue import ATTACKS
from tace.lab.people.letters import letters, pairs
from tace.lab.soak.plan import (
    KILL,
    TERM,
    WITNESS,
    SoakSettings,
    abuses,
    endings,
)

NAMES = sorted(ATTACKS)
HOUR = SoakSettings(seconds=3600)


class Plans(SynchronousTestCase):
    """Of an hour."""

    def test_same_seed_same_run(self) -> None:
        """And another one with another seed."""
        other = SoakSettings(seconds=3600, seed=2)
        for plan in (letters, endings, lambda settings: abuses(settings, NAMES)):
            self.assertEqual(list(plan(HOUR)), list(plan(HOUR)))
            self.assertNotEqual(list(plan(HOUR)), list(plan(other)))

    def test_letters_are_steady(self) -> None:
        """At the rate, no two alike, between people who know each other, in both directions."""
        all_of_them = list(letters(HOUR))
        self.assertEqual(len(all_of_them), 5 * 3600)
        self.assertEqual(len({letter.text for letter in all_of_them}), len(all_of_them))
        known = {frozenset(pair) for pair in pairs(HOUR.people)}
        self.assertEqual({frozenset((x.sender, x.recipient)) for x in all_of_them}, known)
        ways = {(letter.sender, letter.recipient) for letter in all_of_them}
        self.assertEqual(len(ways), 2 * len(known))

    def test_every_abuse_has_its_turn(self) -> None:
        """Each as often as the others, all nodes, every few seconds."""
        all_of_them = list(abuses(HOUR, NAMES))
        self.assertEqual({abuse.name for abuse in all_of_them}, set(NAMES))
        counts = [sum(a.name == name for a in all_of_them) for name in NAMES]
        self.assertLessEqual(max(counts) - min(counts), 1)
        self.assertEqual({abuse.node for abuse in all_of_them}, set(range(5)))
        gaps = [b.at - a.at for a, b in pairwise(all_of_them)]
        self.assertTrue(all(2.0 <= gap <= 6.0 for gap in gaps))

    def test_only_some(self) -> None:
        """Where only these were asked for."""
        settings = SoakSettings(only=("junk", "quota"))
        self.assertEqual({a.name for a in abuses(settings, NAMES)}, {"junk", "quota"})

    def test_endings(self) -> None:
        """Every 20 s another node than the last one, by both signals, and never the witness."""
        all_of_them = list(endings(HOUR))
        self.assertEqual(len(all_of_them), 3600 // 20 - 1)
        self.assertEqual({ending.signal for ending in all_of_them}, {KILL, TERM})
        nodes = [ending.node for ending in all_of_them]
        self.assertEqual(set(nodes), set(range(5)) - {WITNESS})
        self.assertFalse(any(a == b for a, b in pairwise(nodes)))
        self.assertTrue(all(ending.away < 20 for ending in all_of_them))

    def test_one_node(self) -> None:
        """It is the witness, and nothing is ended."""
        self.assertEqual(list(endings(SoakSettings(nodes=1))), [])

    def test_pairs(self) -> None:
        """A circle; two people are one pair."""
        self.assertEqual(pairs(4), [(0, 1), (1, 2), (2, 3), (3, 0)])
        self.assertEqual(pairs(2), [(0, 1)])


class Catalogue(SynchronousTestCase):
    """The hostile list itself."""

    def test_entries(self) -> None:
        """Each says what it does and what an unharmed node answers."""
        self.assertGreater(len(ATTACKS), 30)
        for name, attack in ATTACKS.items():
            self.assertEqual(attack.name, name)
            self.assertTrue(attack.does, name)
            self.assertTrue(attack.answers, name)
            self.assertNotIn("kept", attack.answers, name)
