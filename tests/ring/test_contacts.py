"""Whom a node that looks for others dials next."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.ids import NodeId
from tace.ring.contacts import (
    FIRST_SECONDS,
    MAX_NAMED,
    MOST_SECONDS,
    OPENING,
    WAVE,
    Contact,
    Contacts,
    Source,
    of_peer,
    of_seed,
)

NOW = 1_000_000.0


def node(number: int) -> NodeId:
    return number.to_bytes(32)


def seeds(*numbers: int) -> list[Contact]:
    return [of_seed(Source.SEED, f"seed{number}.example:6512") for number in numbers]


def peers(source: Source, *numbers: int) -> list[Contact]:
    return [of_peer(source, node(number)) for number in numbers]


def full(random: int = 1) -> Contacts:
    """Five of each source."""
    contacts = Contacts(Random(random))
    contacts.offer(Source.ANCHOR, peers(Source.ANCHOR, 1, 2, 3, 4))
    contacts.offer(Source.REMEMBERED, peers(Source.REMEMBERED, *range(1, 20)))
    contacts.offer(Source.SEED, seeds(*range(5)))
    contacts.offer(Source.NAME, [of_seed(Source.NAME, f"10.0.0.{n}:6512") for n in range(5)])
    return contacts


class ContactTests(SynchronousTestCase):
    """What a contact says of itself."""

    def test_seeds(self) -> None:
        """With and without an id; from a name, known by another address."""
        plain = of_seed(Source.SEED, "[::1]:6512")
        self.assertEqual((plain.known_as, plain.node), ("[::1]:6512", None))
        pinned = of_seed(Source.SEED, f"a.example:1#{node(7).hex()}")
        self.assertEqual((pinned.known_as, pinned.node), ("a.example:1", node(7)))
        self.assertEqual(pinned.shown, "seed a.example:1")
        named = of_seed(Source.NAME, "10.0.0.1:1", "b.example:1")
        self.assertEqual((named.address, named.known_as), ("10.0.0.1:1", "b.example:1"))
        self.assertEqual((named.host_name, plain.host_name), ("b.example", ""))
        self.assertEqual(of_peer(Source.ANCHOR, b"\xab" * 32).shown, "anchor abababababababab")


class WaveTests(SynchronousTestCase):
    """Who comes when."""

    def sources(self, contacts: list[Contact]) -> dict[Source, int]:
        return {s: n for s in Source if (n := [c.source for c in contacts].count(s))}

    def test_anchors_come_first_and_never_without_a_seed(self) -> None:
        opening = full().wave(NOW, OPENING)
        self.assertEqual(opening[:4], peers(Source.ANCHOR, 1, 2, 3, 4))
        self.assertEqual(self.sources(opening), {Source.ANCHOR: 4, Source.SEED: 1})

    def test_then_some_of_all(self) -> None:
        """A node that is two things is asked once; nobody is asked twice at once."""
        contacts = full()
        opening = contacts.wave(NOW, OPENING)
        second = contacts.wave(NOW)
        self.assertEqual(
            self.sources(second), {Source.REMEMBERED: 4, Source.SEED: 2, Source.NAME: 2}
        )
        self.assertFalse(set(opening) & set(second))
        later = full().wave(NOW)
        asked = [contact.node for contact in later if contact.node is not None]
        self.assertEqual(len(asked), len(set(asked)))

    def test_an_anchor_is_not_asked_again_as_a_remembered_peer(self) -> None:
        contacts = full()
        waves = [contacts.wave(NOW, OPENING), *(contacts.wave(NOW) for _ in range(9))]
        asked = [c.node for wave in waves for c in wave if c.node is not None]
        self.assertEqual(sorted(asked), [node(number) for number in range(1, 20)])

    def test_the_remembered_come_in_their_order_and_seeds_in_any(self) -> None:
        remembered = peers(Source.REMEMBERED, *range(20))
        firsts = set()
        for number in range(20):
            contacts = Contacts(Random(number))
            contacts.offer(Source.REMEMBERED, remembered)
            contacts.offer(Source.SEED, seeds(*range(5)))
            wave = contacts.wave(NOW)
            self.assertEqual(wave[:4], remembered[:4])
            firsts.add(wave[4])
        self.assertEqual(len(firsts), 5)

    def test_a_failure_waits_longer_each_time_and_never_for_ever(self) -> None:
        contacts = Contacts(Random(3))
        (seed,) = seeds(1)
        contacts.offer(Source.SEED, [seed])
        now, waits = NOW, []
        for _ in range(12):
            self.assertEqual(contacts.wave(now), [seed])
            contacts.failed(seed, now)
            began = now
            while not contacts.wave(now):
                now += 0.25
            waits.append(now - began)
            contacts.failed(seed, began)
            now = began + 2 * MOST_SECONDS
        self.assertLessEqual(waits[0], 1.25 * FIRST_SECONDS + 0.25)
        self.assertGreaterEqual(waits[0], 0.75 * FIRST_SECONDS)
        self.assertGreaterEqual(waits[-1], 0.75 * MOST_SECONDS)
        self.assertLessEqual(max(waits), 1.25 * MOST_SECONDS + 0.25)

    def test_an_answer_ends_the_waits(self) -> None:
        contacts = Contacts(Random(3))
        (seed,) = seeds(1)
        contacts.offer(Source.SEED, [seed])
        for _ in range(9):
            contacts.failed(seed, NOW)
        contacts.answered(seed, NOW)
        self.assertEqual(contacts.wave(NOW), [])
        self.assertEqual(contacts.wave(NOW + 1.25 * FIRST_SECONDS), [seed])

    def test_who_failed_less_comes_first(self) -> None:
        contacts = Contacts(Random(3))
        contacts.offer(Source.REMEMBERED, peers(Source.REMEMBERED, *range(6)))
        for contact in contacts.wave(NOW):
            contacts.failed(contact, NOW)
        again = contacts.wave(NOW + 100.0)
        self.assertEqual(again, peers(Source.REMEMBERED, 4, 5, 0, 1))

    def test_offers_are_bounded_and_replace_each_other(self) -> None:
        contacts = Contacts(Random(3))
        contacts.offer(Source.NAME, [of_seed(Source.NAME, f"h{n}.example:1") for n in range(99)])
        self.assertEqual(len(contacts.of(Source.NAME)), MAX_NAMED)
        contacts.offer(Source.NAME, [])
        self.assertEqual((contacts.sources, contacts.wave(NOW)), ([], []))

    def test_enough(self) -> None:
        """Four answers; of two sources where there are two."""
        contacts = full()
        self.assertFalse(contacts.enough([Source.SEED] * 9))
        self.assertFalse(contacts.enough([Source.ANCHOR, Source.SEED, Source.SEED]))
        self.assertTrue(contacts.enough([Source.ANCHOR, Source.SEED, Source.SEED, Source.SEED]))
        alone = Contacts(Random(1))
        alone.offer(Source.SEED, seeds(1, 2, 3, 4, 5))
        self.assertTrue(alone.enough([Source.SEED] * 4))

    @given(
        st.lists(st.sampled_from(Source), unique=True),
        st.lists(st.tuples(st.floats(0.0, 30.0), st.booleans()), max_size=30),
        st.integers(0, 99),
    )
    def test_no_wave_is_of_one_source_alone(
        self, offered: list[Source], steps: list[tuple[float, bool]], random: int
    ) -> None:
        """Whatever fails: a source with somebody to ask is asked in every wave, within bounds."""
        contacts = Contacts(Random(random))
        for source in offered:
            whole = full()
            contacts.offer(source, whole.of(source))
        now = NOW
        for seconds, answers in steps:
            now += seconds
            due = {s for s in offered if contacts._due(s, now)}
            wave = contacts.wave(now)
            found = {contact.source for contact in wave}
            assert due == found
            assert len(wave) <= sum(WAVE.values())
            for contact in wave:
                (contacts.answered if answers else contacts.failed)(contact, now)
