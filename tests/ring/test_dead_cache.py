"""Which of the dead are asked whether they are back, how often, and what is written down."""

from __future__ import annotations

from functools import cache
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.ring.dead_cache import (
    BURST_PER_SECOND,
    BURST_SECONDS,
    KEPT_SECONDS,
    LEAST_INTERVAL_SECONDS,
    MOST_INTERVAL_SECONDS,
    Dead,
    DeadCache,
)
from tace.seams import MAX_KNOWN_DEAD

HOUR = 3600.0
DAY = 24 * HOUR
NETWORK_ID = bytes(32)
START = 1_800_000_000.0


@cache
def record(number: int, sequence: int = 1) -> NodeRecord:
    """Of the node with that number."""
    return NodeRecord.sign(
        SigningKey.from_seed(number.to_bytes(48)),
        NETWORK_ID,
        peer_addresses=(f"10.0.0.{number}:1",),
        client_urls=(),
        boot=1,
        sequence=sequence,
        position_mask=1,
        expires_seconds=1,
    )


def node(number: int) -> NodeId:
    return record(number).node_id


def dead(number: int, died: float = START, *, in_burst: bool = False) -> Dead:
    return Dead(record(number), died, in_burst)


class DeadCacheTestCase(SynchronousTestCase):
    """Deaths, turns and returns; the clock is a number."""

    def setUp(self) -> None:
        self.cache = DeadCache(Random(1), max_nodes=20)

    def die(self, *numbers: int, at: float = START, known: int = 20) -> int:
        return self.cache.add([dead(n, at) for n in numbers], known, at)

    def asked(self, start: float, seconds: int) -> list[NodeId]:
        return [n for second in range(seconds) for n in self.cache.next(start + second)]


class RateTests(DeadCacheTestCase):
    """How many are asked."""

    def test_many_at_once_are_asked_often_and_then_seldom(self) -> None:
        """Four a second after a burst, half as many a minute later, one in five seconds then."""
        self.assertEqual(self.die(*range(10)), 10)
        self.assertEqual(self.cache.per_second(START), BURST_PER_SECOND)
        self.assertEqual(self.cache.per_second(START + 60.0), BURST_PER_SECOND / 2)
        self.assertGreater(len(self.asked(START + 1.0, 20)), 40)
        self.assertLessEqual(len(self.asked(START + 900.0, 50)), 11)
        self.assertGreaterEqual(len(self.asked(START + 1000.0, 50)), 9)

    def test_less_with_every_hour(self) -> None:
        """By the age of the last death: of all together, not of each."""
        self.die(1)
        for age, rate in ((HOUR, 1 / 15), (DAY, 1 / 60), (6 * DAY, 1 / 60)):
            self.assertEqual(self.cache.per_second(START + age - 1.0) >= rate, True)
            self.assertEqual(self.cache.per_second(START + age), rate)
        self.die(2, at=START + 6 * DAY)
        self.assertEqual(self.cache.per_second(START + 6 * DAY), 1 / 5)
        self.assertEqual(DeadCache(Random(1)).per_second(START), 0.0)
        self.assertEqual(DeadCache(Random(1)).next(START), [])

    def test_what_was_not_asked_is_not_made_up_for(self) -> None:
        """After a pause a second's worth, and not an hour's."""
        self.die(*range(20))
        self.assertLessEqual(len(self.cache.next(START + 30.0)), 4)
        self.assertEqual(len(self.cache.next(START + HOUR)), 1)

    def test_each_less_often_the_longer_it_is_dead(self) -> None:
        """When a fortieth of its death is over, give or take a quarter; ten minutes at most."""
        for age, least, most in (
            (10.0, 2.0, 2.0),
            (400.0, 10.0, 10.0),
            (HOUR, 90.0, 90.0),
            (3 * DAY, MOST_INTERVAL_SECONDS, MOST_INTERVAL_SECONDS),
        ):
            for seed in range(20):
                cache = DeadCache(Random(seed))
                cache.add([dead(1)], 20, START)
                now = START + age
                cache.asked(node(1), now)
                turn = cache._turns[node(1)]
                self.assertTrue(0.75 * least <= turn.ask_again - now <= 1.25 * most, (age, seed))

    def test_a_node_is_left_alone_for_a_while(self) -> None:
        """Whoever says that it is back brings about one question in two seconds."""
        self.die(1)
        self.assertTrue(self.cache.may_ask(node(1), START))
        self.cache.asked(node(1), START)
        self.assertFalse(self.cache.may_ask(node(1), START + 1.0))
        self.assertTrue(self.cache.may_ask(node(1), START + LEAST_INTERVAL_SECONDS))
        self.assertFalse(self.cache.may_ask(node(2), START + 2.5))
        self.cache.asked(node(2), START)
        self.assertNotIn(node(2), self.cache)

    def test_likeliest_first(self) -> None:
        """Of the four likeliest one by chance: those of a burst, then who died last."""
        chosen = set()
        for seed in range(40):
            cache = DeadCache(Random(seed))
            cache.add([dead(9, START - 600.0), dead(8, START - 500.0)], 20, START - 500.0)
            cache.add([dead(n) for n in (1, 2, 3)], 20, START)
            chosen.update(cache.next(START + HOUR))
        self.assertEqual(chosen, {node(n) for n in (1, 2, 3, 8)})

    def test_a_clock_that_is_set_back(self) -> None:
        """By a day: the dead are asked on at once, and nothing is owed."""
        self.die(1, 2, 3, 4)
        self.asked(START + 1.0, 30)
        asked = self.asked(START - DAY, 10)
        self.assertGreaterEqual(len(asked), 10)
        self.assertEqual(set(asked), {node(n) for n in (1, 2, 3, 4)})
        self.cache.asked(node(1), START)
        self.assertTrue(self.cache.may_ask(node(1), START - DAY))


class BurstTests(DeadCacheTestCase):
    """What looks like a partition."""

    def test_one_death_is_no_burst(self) -> None:
        """Nor are three of a hundred; of sixty they are."""
        self.assertEqual(self.die(1), 0)
        self.assertEqual(self.cache.silent, 0)
        self.assertIsNone(self.cache.silent_since)
        self.assertEqual(DeadCache(Random(1)).add([dead(n) for n in range(3)], 100, START), 0)
        self.assertEqual(DeadCache(Random(1)).add([dead(n) for n in range(3)], 60, START), 3)

    def test_within_a_minute(self) -> None:
        """One after the other; those before count, and are silent with the others."""
        self.assertEqual(self.die(1, at=START), 0)
        self.assertEqual(self.die(2, at=START + 30.0), 0)
        self.assertEqual(self.die(3, at=START + BURST_SECONDS), 3)
        self.assertEqual(self.cache.silent, 3)
        self.assertEqual(self.cache.silent_since, START)
        self.assertEqual(self.die(4, at=START + BURST_SECONDS + 31.0), 0)
        self.assertEqual(self.cache.silent, 3)

    def test_nobody_new_is_no_burst(self) -> None:
        """Though many died a moment ago; nor is one that is here already."""
        self.die(1, 2, 3)
        self.assertEqual(self.die(at=START + 1.0), 0)
        self.assertEqual(self.die(2, at=START + 1.0), 0)
        self.assertEqual(self.cache.silent_since, START)

    def test_those_that_went_together_return_together(self) -> None:
        """One that answers names the others of its burst, and no older death."""
        self.die(9, at=START - 400.0)
        self.die(0, 1, 2)
        self.die(5, 6, 7, at=START + 100.0)
        self.assertEqual(self.cache.discard(node(1)), sorted([node(0), node(2)]))
        self.assertEqual(self.cache.silent, 5)
        self.assertEqual(self.cache.discard(node(9)), [])
        self.assertEqual(self.cache.discard(node(9)), [])


class BoundTests(DeadCacheTestCase):
    """How many, and for how long."""

    def test_how_many(self) -> None:
        """The longest dead go first."""
        self.cache.add([dead(n, START + n) for n in range(30)], 1000, START + 30.0)
        self.assertEqual(len(self.cache), 20)
        self.assertNotIn(node(9), self.cache)
        self.assertIn(node(10), self.cache)
        self.assertEqual(DeadCache(Random(1))._max_nodes, MAX_KNOWN_DEAD)

    def test_how_long(self) -> None:
        """Seven days."""
        self.die(1, 2, 3)
        self.die(4, at=START + 100.0)
        self.assertEqual(self.cache.forget_old(START + KEPT_SECONDS), [])
        old = self.cache.forget_old(START + KEPT_SECONDS + 0.5)
        self.assertEqual(old, [node(1), node(2), node(3)])
        self.assertEqual((len(self.cache), self.cache.silent), (1, 0))


class WrittenTests(DeadCacheTestCase):
    """What goes to the disk and comes back from it."""

    def test_what_is_new_is_written_once(self) -> None:
        """Deaths, and those before that turn out to be of a burst."""
        self.die(1, 2)
        new, over = self.cache.take_unsaved()
        self.assertEqual((new, over), ([dead(1), dead(2)], []))
        self.assertEqual(self.cache.take_unsaved(), ([], []))
        self.die(3)
        new, over = self.cache.take_unsaved()
        self.assertEqual({(d.node, d.in_burst) for d in new}, {(node(n), True) for n in (1, 2, 3)})
        self.assertEqual(self.cache.take_unsaved(), ([], []))

    def test_who_is_back_is_forgotten_there_once(self) -> None:
        """And who was never written down needs no forgetting."""
        self.die(1)
        self.cache.take_unsaved()
        self.die(2, at=START + 100.0)
        self.cache.discard(node(1))
        self.cache.discard(node(2))
        self.assertEqual(self.cache.take_unsaved(), ([], [node(1)]))
        self.assertEqual(self.cache.take_unsaved(), ([], []))

    def test_what_could_not_be_written_comes_again(self) -> None:
        """As it is by then."""
        self.die(1)
        self.cache.take_unsaved()
        self.die(2, at=START + 100.0)
        self.cache.discard(node(1))
        taken = self.cache.take_unsaved()
        self.assertEqual(taken, ([dead(2, START + 100.0)], [node(1)]))
        self.cache.not_saved(*taken)
        self.assertEqual(self.cache.take_unsaved(), taken)
        self.cache.not_saved(*taken)
        self.cache.discard(node(2))
        # Perhaps it was written all the same: it is forgotten, to be sure.
        new, over = self.cache.take_unsaved()
        self.assertEqual((new, set(over)), ([], {node(1), node(2)}))

    def test_a_newer_record_is_kept_in_place_of_the_older(self) -> None:
        """It may name other addresses; of the living nothing is kept."""
        self.die(1)
        self.cache.take_unsaved()
        newer = record(1, 2)
        self.cache.heard_of(newer)
        self.cache.heard_of(record(1))
        self.cache.heard_of(record(2))
        self.assertIs(self.cache.record_of(node(1)), newer)
        self.assertIsNone(self.cache.record_of(node(2)))
        self.assertEqual(self.cache.take_unsaved(), ([Dead(newer, START)], []))

    def test_ages_go_on(self) -> None:
        """After a start all are asked as after a burst; who went together still did."""
        self.cache.load([dead(1, in_burst=True), dead(2, in_burst=True)], [], START + DAY)
        self.assertEqual(self.cache.silent, 2)
        self.assertEqual(self.cache.silent_since, START)
        self.assertEqual(self.cache.per_second(START + DAY), BURST_PER_SECOND)
        self.assertEqual(self.cache.per_second(START + DAY + HOUR), 1 / 60)
        self.assertEqual(self.die(2, at=START + DAY + 1.0), 0)
        self.assertEqual(self.cache.discard(node(1)), [node(2)])
        self.assertEqual(self.cache.forget_old(START + KEPT_SECONDS + 1.0), [node(2)])

    def test_a_start_with_nobody_dead(self) -> None:
        """Asks nobody."""
        self.cache.load([], [], START)
        self.die(1, at=START + 1.0)
        self.assertEqual(self.cache.per_second(START + 1.0), 1 / 5)

    def test_what_is_too_old_or_too_much_is_not_taken_in(self) -> None:
        """And is forgotten on the disk, as is what means nothing."""
        late = [dead(n, START + n) for n in range(25)]
        old = dead(30, START + 25.0 - KEPT_SECONDS - 1.0)
        written = [*(d.node for d in [*late, old]), b"?" * 32]
        self.cache.load([*late, old], written, START + 25.0)
        self.assertEqual(len(self.cache), 20)
        new, over = self.cache.take_unsaved()
        self.assertEqual(new, [])
        self.assertEqual(set(over), {*(node(n) for n in range(5)), node(30), b"?" * 32})

    def test_a_death_that_lies_ahead(self) -> None:
        """A clock was wrong, or is: it happened now, and is over in seven days of this clock."""
        self.cache.load([dead(1, START + 9 * DAY)], [node(1)], START)
        self.assertEqual(self.cache.per_second(START), BURST_PER_SECOND)
        self.assertEqual(self.cache.take_unsaved(), ([dead(1, START)], []))
        self.assertEqual(self.cache.forget_old(START + KEPT_SECONDS + 1.0), [node(1)])
