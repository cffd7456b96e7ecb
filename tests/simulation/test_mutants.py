"""Known mistakes, each put into a production procedure, each found by the oracle or the ledger.

Every test first runs its scenario with the program as it is: nothing is found then, so that what is
found afterwards, with the same seed, is the mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tace.delivery.collect import Collect
from tace.ids import NodeId, Place
from tace.mailbox import reconcile
from tace.mailbox.replica import Replica
from tace.ring import maintenance
from tace.ring.maintenance import RingMaintenance
from tace.ring.pointers import nearer_successors
from tace.ring.presence import Presence
from tace.seams import Item, ItemState, Put, ReplicaSet
from tace.simulation.people import Person
from tace.simulation.world import World, simulated_world
from tace.storage import sums
from tace.wire.fields import PlaceField
from tace.wire.objects import Envelope
from tace.wire.peer import Ring
from tace.wire.ranges import element

SEED = 20


def small_world(**more: Any) -> AbstractContextManager[World]:
    """Three copies of everything, compared often."""
    settings = {"ring.replicas": 3, "ring.reconcile_seconds": 3.0}
    return simulated_world(SEED, settings, **more)


class MutantTests(SynchronousTestCase):
    """Mistakes of delivery, of repair and of the ring, and the list of one of page 2.2."""

    def assert_caught(
        self, scenario: Callable[[], list[str]], mutate: Callable[[], None], words: str
    ) -> None:
        """Clean without the mutant, and found, in these words, with it."""
        self.assertEqual(scenario(), [])
        mutate()
        found = scenario()
        self.assertTrue(any(words in fault for fault in found), found[:3] or "nothing was found")

    # -- answer before commit --------------------------------------------------------------------

    def power_cut(self) -> list[str]:
        """All machines lose power while messages are being stored, on disks that take a while."""
        with small_world(commit_seconds=0.25) as world:
            world.ring(5)
            world.seconds_until_ideal(20.0)
            alice, bob = world.person("alice"), world.person("bob")
            for _ in range(40):
                alice.send(bob)
                world.run_for(0.05)
            world.clock.run_until(lambda: world.ledger.stored_count >= 15)
            world.oracle.expect_disorder(30.0)
            for node in world.nodes:
                world.kill(node, power=True)
            world.run_for(1.0)
            for node in world.nodes:
                world.start(node)
            world.run_for(30.0)
            bob.read()
            world.run_for(15.0)
            self.assertGreaterEqual(world.ledger.stored_count, 15)
            return world.faults()

    def test_answer_before_commit(self) -> None:
        """A replica says stored, and its disk has not got it yet."""

        async def accept(replica: Any, envelopes: Sequence[Envelope]) -> list[Put]:
            replica._store.put_envelopes(envelopes, replica._clock.seconds())
            return [Put("stored") for _ in envelopes]

        self.assert_caught(
            self.power_cut, lambda: self.patch(Replica, "accept", accept) and None, "is lost"
        )

    # -- W = 1 -----------------------------------------------------------------------------------

    def lost_alone(self) -> list[str]:
        """A node that is cut off takes a message, and then its disk is lost; the sender is gone."""
        with small_world() as world:
            world.ring(5)
            world.seconds_until_ideal(20.0)
            alice, bob = world.person("alice"), world.person("bob")
            (alone, *others) = replicas(world, bob)
            world.partition([alone], [node for node in world.nodes if node is not alone])
            self.assertEqual(len(others), 2)
            alice.send(bob, through=alone, repeat=False)
            world.run_for(5.0)
            world.kill(alone, power=True, wipe=True)
            world.heal()
            bob.read(others[0])
            world.run_for(20.0)
            return world.faults()

    def test_a_write_quorum_of_one(self) -> None:
        """One copy is called stored."""
        self.assert_caught(
            self.lost_alone,
            lambda: self.patch(ReplicaSet, "write_quorum", property(lambda _: 1)) and None,
            "was called stored",
        )

    # -- tombstone not repaired ------------------------------------------------------------------

    def acked_while_away(self) -> list[str]:
        """One of three replicas is down while a message is read; later it serves the reader."""
        with small_world() as world:
            world.ring(3)
            world.seconds_until_ideal(20.0)
            alice, bob = world.person("alice"), world.person("bob")
            asleep, awake, _ = world.nodes
            alice.send(bob)
            world.run_for(5.0)
            world.kill(asleep)
            world.run_for(2.0)
            bob.read(awake)
            world.run_for(5.0)
            (letter,) = world.ledger.letters.values()
            self.assertIsNotNone(letter.acked)
            bob.leave()
            world.start(asleep)
            world.run_for(30.0)
            bob.read(asleep)
            world.run_for(10.0)
            return world.faults()

    def test_tombstones_are_not_repaired(self) -> None:
        """What is compared and fetched are envelopes only."""
        honest = reconcile.lacking

        def lacking(theirs: Iterable[Item], ours: Iterable[Item]) -> list[Item]:
            wanted = honest(theirs, ours)
            return [item for item in wanted if item.state is not ItemState.TOMBSTONE]

        self.assert_caught(
            self.acked_while_away,
            lambda: self.patch(reconcile, "lacking", lacking) and None,
            "came again",
        )

    def test_a_fingerprint_that_does_not_tell_the_state(self) -> None:
        """A tombstone counts as its envelope: the two replicas hold themselves for in step."""
        honest = element
        self.assert_caught(
            self.acked_while_away,
            lambda: self.patch(sums, "element", lambda place, state: honest(place, 1)) and None,
            "came again",
        )

    # -- a bare dead veto ------------------------------------------------------------------------

    def healed_split(self) -> list[str]:
        """Two of seven are cut off for so long that both sides hold each other for dead."""
        with small_world() as world:
            world.ring(7)
            world.seconds_until_ideal(20.0)
            world.partition(world.nodes[:2], world.nodes[2:])
            world.run_for(40.0)
            for node in world.nodes:
                self.assertGreater(len(node.core.membership.dead()), 0)
            world.heal()
            world.seconds_until_ideal(30.0)
            return world.faults()

    def test_a_bare_dead_veto(self) -> None:
        """Who was once found dead stays dead, whatever it proves since."""

        def heard(presence: Presence, node: NodeId) -> bool:
            return False

        self.assert_caught(
            self.healed_split,
            lambda: self.patch(Presence, "heard", heard) and None,
            "not ideal 30 s after the last fault",
        )

    # -- a watch that is not made again ----------------------------------------------------------

    def broken_connections(self) -> list[str]:
        """All connections of the reader's node break; a message comes soon after."""
        with small_world() as world:
            world.ring(6)
            world.seconds_until_ideal(20.0)
            alice, bob = world.person("alice"), world.person("bob")
            keepers = replicas(world, bob)
            at = next(node for node in world.nodes if node not in keepers)
            bob.read(at)
            world.run_for(5.0)
            world.break_connections(at)
            world.run_for(3.0)
            alice.send(bob, through=keepers[0])
            world.run_for(70.0)
            self.assertEqual(world.ledger.delivered_count, 1)
            return world.faults(late_seconds=2.0)

    def test_a_watch_is_not_made_again(self) -> None:
        """A node does not notice that its watch went with the link."""

        def link_lost(collect: Collect, node: NodeId) -> None:
            return None

        self.assert_caught(
            self.broken_connections,
            lambda: self.patch(Collect, "link_lost", link_lost) and None,
            "after it was stored",
        )

    # -- adoption without contact ----------------------------------------------------------------

    def sudden_silence(self) -> list[str]:
        """One of eight loses power, and its neighbours do not learn of it at the same time."""
        with small_world() as world:
            world.ring(8)
            world.seconds_until_ideal(20.0)
            world.kill(world.nodes[3], power=True)
            world.seconds_until_ideal(30.0)
            return world.faults()

    def test_adoption_without_contact(self) -> None:
        """The first Chord: what the successor names as its predecessor is taken at its word."""

        async def stabilize(ring: Any, index: int) -> None:
            heard = await ring._first_living_successor(index)
            if heard is None:
                await ring._recover(index)
                return
            successor, answer = heard
            named = answer.predecessor
            pointers = ring._pointers[index]
            for candidate in nearer_successors(
                pointers,
                (None if named is None else type(successor)(*named),),
                is_dead=ring._membership.is_dead,
            ):
                followers = tuple(PlaceField(*place) for place in pointers.successors)
                ring._adopt(
                    index, candidate, Ring(candidate.number, True, b"", False, None, followers)
                )
                successor = candidate
                break
            await ring._notify(index, successor, answer)

        self.assert_caught(
            self.sudden_silence,
            lambda: self.patch(RingMaintenance, "stabilize", stabilize) and None,
            "which cannot have answered",
        )

    # -- a list of one ---------------------------------------------------------------------------

    def test_successor_lists_of_one(self) -> None:
        """The head alone is kept of what it answers: its death takes the position off the ring."""

        def merged(own: Place, head: Place, *rest: object, **more: object) -> tuple[Place, ...]:
            return (head,)

        self.assert_caught(
            self.sudden_silence,
            lambda: self.patch(maintenance, "merged", merged) and None,
            "has no live successor",
        )


def replicas(world: World, person: Person) -> list[Any]:
    """The nodes that keep somebody's mailbox, as every one of them sees it."""
    members = world.nodes[0].core.membership.replica_set(person.mailbox).members
    by_id = {node.id: node for node in world.nodes}
    return [by_id[node] for node in members]
