"""Pointers move only to who has answered, whatever a neighbour says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import LocalExhaustion, RateLimited, Refusal, TooMany, Unauthorized
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId, Place, between, distance
from tace.ring import maintenance
from tace.ring.maintenance import RingMaintenance
from tace.ring.pointers import Pointers
from tace.wire.fields import PlaceField
from tace.wire.message import Message
from tace.wire.peer import Changed, GetRing, Notify, Ring
from tests.network import MemoryNetwork, TestNode


def ghost(name: str, network: MemoryNetwork) -> NodeRecord:
    """A signed record of a node that does not run."""
    return NodeRecord.sign(
        SigningKey.from_seed((name.encode() * 48)[:48]),
        network.settings.network_id,
        peer_addresses=(f"{name}:1",),
        client_urls=(),
        boot=1,
        sequence=1,
        position_mask=15,
        expires_seconds=int(network.clock.seconds()) + 3600,
    )


class MaintenanceTestCase(SynchronousTestCase):
    """A settled ring of three, one of which lies."""

    quiet_seconds = 2.0

    def setUp(self) -> None:
        quiet = {"ring.stabilize_quiet_seconds": self.quiet_seconds}
        self.network = MemoryNetwork(seed=11, **quiet)
        self.nodes = self.network.ring(3)
        self.node = self.nodes[0]
        heads = {p.successor.node for p in self.node.core.ring.snapshot() if p.successor}
        self.liar = next(node for node in self.nodes[1:] if node.id in heads)

    def answer_with(self, change: Callable[[Ring], Ring]) -> None:
        honest = self.liar.raw_links._procedures[GetRing]

        async def lie(peer: bytes, message: GetRing) -> Message:
            answer: Any = await honest(peer, GetRing(message.index))
            return change(answer)

        self.liar.raw_links._procedures = {**self.liar.raw_links._procedures, GetRing: lie}

    def named(self) -> set[Place]:
        """Every place that the honest node points at."""
        found: set[Place] = set()
        for pointers in self.node.core.ring.snapshot():
            found.update(pointers.successors)
            if pointers.predecessor is not None:
                found.add(pointers.predecessor)
        return found

    def disturb(self, seconds: float = 5.0) -> None:
        """Let rounds come, quickly."""
        self.node.core.ring._disturbed()
        self.network.run(seconds)


def nearer_place(node: TestNode, liar: TestNode) -> tuple[Pointers, PlaceField]:
    """A position of the node whose successor is the liar's, and an invented place in between."""
    for pointers in node.core.ring.snapshot():
        successor = pointers.successor
        assert successor is not None
        if successor.node != liar.id:
            continue
        for number in range(100_000):
            place = Place(number.to_bytes(32), number % 8)
            if between(pointers.position, place.position, successor.position):
                return pointers, PlaceField(*place)
    raise AssertionError("the liar is nobody's successor")


class NewsRunsBack(MaintenanceTestCase):
    """Who is told that its successor changed asks at once, however slow its rounds are."""

    quiet_seconds = 15.0

    def setUp(self) -> None:
        super().setUp()
        self.network.run(200.0)
        self.own = next(
            pointers
            for pointers in self.node.core.ring.snapshot()
            if pointers.successor is not None and pointers.successor.node == self.liar.id
        )
        self.asked = 0
        honest = self.liar.raw_links._procedures[GetRing]

        async def counted(peer: NodeId, message: Any) -> Message:
            assert self.own.successor is not None
            if peer == self.node.id and message.index == self.own.successor.number:
                self.asked += 1
            answer = await honest(peer, message)
            assert answer is not None
            return answer

        self.liar.raw_links._procedures = {**self.liar.raw_links._procedures, GetRing: counted}
        # A round has just been, so by itself the next one comes in ten seconds or more.
        while not self.asked:
            self.network.run(0.25)
        self.network.run(1.0)
        self.asked = 0

    def say_changed(self, who: TestNode) -> None:
        who.raw_links.send(self.node.id, Changed(self.own.place.number))
        self.network.run(0.5)

    def test_asks_at_once(self) -> None:
        """A round of that position, long before the next one is due."""
        self.network.run(4.0)
        self.assertEqual(self.asked, 0)
        self.say_changed(self.liar)
        self.assertEqual(self.asked, 1)

    def test_only_from_the_successor(self) -> None:
        """Nobody else can have a position ask more often."""
        self.say_changed(next(n for n in self.nodes[1:] if n is not self.liar))
        self.assertEqual(self.asked, 0)

    def test_no_more_often_than_after_an_event(self) -> None:
        """However often it is said."""
        for _ in range(20):
            self.liar.raw_links.send(self.node.id, Changed(self.own.place.number))
        self.network.run(0.2)
        self.assertEqual(self.asked, 1)

    def test_a_change_is_told(self) -> None:
        """Whose snapshot changes tells its predecessor."""
        told: list[int] = []
        predecessor = self.own.predecessor
        assert predecessor is not None
        teller = next(n for n in self.nodes if n.id == self.own.place.node)
        send = teller.core.ring._links.send

        def noted(node: NodeId, message: Message) -> None:
            if isinstance(message, Changed):
                told.append(message.index)
            send(node, message)

        self.patch(teller.core.ring._links, "send", noted)
        self.network.node("late", seeds=("n0:1",)).start()
        self.network.run(10.0)
        self.assertNotEqual(told, [])


class LyingTests(MaintenanceTestCase):
    """Answers that name what is not there."""

    def adopts_a_ghost(self) -> bool:
        """Does a predecessor that nobody can reach become a successor?"""
        _, invented = nearer_place(self.node, self.liar)
        self.answer_with(
            lambda ring: Ring(ring.index, True, b"lie", False, invented, ring.successors)
        )
        seen = False
        for _ in range(50):
            self.disturb(0.1)
            seen = seen or Place(*invented) in self.named()
        return seen

    def test_a_predecessor_that_does_not_exist(self) -> None:
        """Is asked, does not answer, is not adopted."""
        self.assertFalse(self.adopts_a_ghost())

    def test_the_mutant_that_adopts_without_contact_is_caught(self) -> None:
        """The same scenario sees the difference."""
        real = RingMaintenance._ask

        async def gullible(ring: RingMaintenance, place: Place) -> Ring | None:
            answer = await real(ring, place)
            claimed = (PlaceField(ring.snapshot()[0].place.node, 0),)
            return answer or Ring(place.number, True, b"", successors=claimed)

        self.patch(RingMaintenance, "_ask", gullible)
        self.patch(RingMaintenance, "_stands", lambda ring, place: True)
        self.assertTrue(self.adopts_a_ghost())

    def test_a_known_node_that_does_not_run(self) -> None:
        """Its record is good and it still has to answer."""
        dead = ghost("ghost", self.network)
        places = tuple(PlaceField(dead.node_id, index) for _, index in dead.places)
        for node in self.nodes:
            node.core.membership.take_in(dead)
        for place in places:
            self.answer_with(
                lambda ring, place=place: Ring(  # type: ignore[misc]
                    ring.index, True, b"lie", False, place, ring.successors
                )
            )
            self.disturb()
        heads = {p.successor for p in self.node.core.ring.snapshot()}
        self.assertNotIn(dead.node_id, {place.node for place in heads if place is not None})
        self.assertTrue(self.node.core.membership.is_dead(dead.node_id))

    def test_a_list_of_inventions(self) -> None:
        """Names without a record do not enter a successor list, nor places no record claims."""
        unclaimed = [PlaceField(node.id, number) for node in self.nodes for number in range(4, 8)]
        invented = [PlaceField(number.to_bytes(32), number % 8) for number in range(40)]
        for extra in (invented, unclaimed):
            self.answer_with(
                lambda ring, extra=extra: Ring(  # type: ignore[misc]
                    ring.index, True, b"lie", False, ring.predecessor, _sorted_after(ring, extra)
                )
            )
            self.disturb()
            self.assertFalse({PlaceField(*place) for place in self.named()} & set(extra))

    def test_unchanged_to_somebody_who_knows_nothing(self) -> None:
        """Is no answer: the liar drops out of the lists while it does that, and comes back."""
        self.node.core.ring._heard.clear()
        self.answer_with(lambda ring: Ring(ring.index, True, b"lie", unchanged=True))
        self.disturb()
        heads = {p.successor.node for p in self.node.core.ring.snapshot() if p.successor}
        self.assertNotIn(self.liar.id, heads)
        self.answer_with(lambda ring: ring)


class BusyTests(MaintenanceTestCase):
    """A neighbour that has no time keeps its place."""

    def test_asked_too_often(self) -> None:
        for refusal in (RateLimited("later", retry_after_ms=50), TooMany("later")):
            self.assertTrue(self.keeps_its_neighbours(refusal), refusal.code)

    def test_no_room_for_another_connection_here(self) -> None:
        real = self.node.raw_links.call

        def call(node: NodeId, request: Any, **options: Any) -> Deferred[Any]:
            return (
                fail(LocalExhaustion("EMFILE"))
                if isinstance(request, GetRing)
                else real(node, request, **options)
            )

        self.patch(self.node.raw_links, "call", call)
        before = self.named()
        self.disturb()
        self.assertEqual(self.named(), before)

    def test_one_that_does_not_know_the_place(self) -> None:
        """Is no neighbour: what the two tests above see is not just any refusal."""
        self.assertFalse(self.keeps_its_neighbours(Unauthorized("not mine")))

    def keeps_its_neighbours(self, refusal: Refusal) -> bool:
        before = self.named()

        async def refuse(peer: bytes, message: GetRing) -> Message:
            raise refusal

        honest = self.liar.raw_links._procedures
        self.liar.raw_links._procedures = {**honest, GetRing: refuse}
        self.disturb()
        kept = self.named() == before
        self.liar.raw_links._procedures = honest
        self.disturb()
        return kept


class JoiningTests(MaintenanceTestCase):
    """Through whom a node joins."""

    def test_not_through_one_that_has_not_joined(self) -> None:
        """It stands nearer and answers, and leads nowhere."""
        pointers, _ = nearer_place(self.node, self.liar)
        head = pointers.successor
        assert head is not None
        self.answer_with(lambda ring: Ring(ring.index, False, b""))
        ring = self.node.core.ring
        self.assertIsNone(self.first_joined(ring, [head]))
        others = [place for each in ring.snapshot() for place in each.successors]
        joined = next(place for place in others if place.node not in (self.liar.id, self.node.id))
        found = self.first_joined(ring, [head, joined])
        assert found is not None
        self.assertEqual(found[0], joined)

    def test_where_nobody_near_has(self) -> None:
        """One of those who have been up for longest is joined through; only where they have not
        joined either, as in a network that starts as a whole, one that has not."""
        self.patch(maintenance, "MAX_STEPS_PER_ROUND", 1)
        oldest, young, last = self.nodes
        self.liar = young
        self.answer_with(lambda ring: Ring(ring.index, False, b""))
        ring = last.core.ring
        nearest = {
            index: place
            for index, pointers in ring._pointers.items()
            if (place := self.nearest_other(last, pointers)).node == young.id
        }
        self.assertTrue(nearest)
        for index in nearest:
            self.recover(ring, index)
            head = ring._pointers[index].successor
            assert head is not None
            self.assertEqual(head.node, oldest.id)
        self.liar = oldest
        self.answer_with(lambda ring: Ring(ring.index, False, b""))
        for index, place in nearest.items():
            self.recover(ring, index)
            self.assertEqual(ring._pointers[index].successor, place)

    def nearest_other(self, node: TestNode, pointers: Pointers) -> Place:
        walk = node.core.membership.table.clockwise(pointers.position)
        return next(place for _, place in walk if place.node != node.id)

    def recover(self, ring: RingMaintenance, index: int) -> None:
        ring._heard.clear()
        ring._drop(index, ())
        self.network.result(Deferred.fromCoroutine(ring._recover(index)))

    def first_joined(self, ring: RingMaintenance, places: list[Place]) -> tuple[Place, Ring] | None:
        ring._heard.clear()
        work = Deferred.fromCoroutine(ring._first_to_answer(places, joined=True))
        found: tuple[Place, Ring] | None = self.network.result(work)
        return found


class NotifyTests(MaintenanceTestCase):
    """Who may say that it is a predecessor."""

    def notify(self, message: Notify) -> object:
        return self.network.result(self.liar.core.links.call(self.node.id, message))

    def test_positions_that_nobody_has(self) -> None:
        """Neither a number outside the asker's record nor one this node does not stand at."""
        before = self.node.core.ring.snapshot()
        for message in (Notify(0, 4), Notify(0, 7), Notify(0, 255), Notify(4, 0), Notify(255, 0)):
            self.assertRaises(Unauthorized, self.notify, message)
        self.assertEqual(self.node.core.ring.snapshot(), before)

    def test_a_stranger_without_a_record(self) -> None:
        """Nothing unsigned is believed."""
        self.node.core.membership.table.remove(self.liar.id)
        self.assertRaises(Unauthorized, self.notify, Notify(0, 0))

    def test_a_farther_one_does_not_displace_a_living_predecessor(self) -> None:
        """The present one is asked first, and answers."""
        before = {p.place: p.predecessor for p in self.node.core.ring.snapshot()}
        for to in range(4):
            for number in range(4):
                self.notify(Notify(to, number))
        self.assertEqual({p.place: p.predecessor for p in self.node.core.ring.snapshot()}, before)


class StopTests(MaintenanceTestCase):
    """The end of the rounds."""

    def test_stop_while_a_neighbour_takes_its_time(self) -> None:
        """The round that waits for it ends, and no other comes."""

        async def never(peer: bytes, message: GetRing) -> Any:
            await Deferred()

        self.liar.raw_links._procedures = {**self.liar.raw_links._procedures, GetRing: never}
        self.node.core.ring._heard.clear()
        self.disturb(0.4)
        self.network.result(Deferred.fromCoroutine(self.node.core.ring.stop()), within=0.1)
        rounds = self.node.core.ring._rounds
        self.network.run(10.0)
        self.node.core.ring._disturbed()
        self.assertEqual((rounds._timer, rounds._running), (None, None))


def _sorted_after(ring: Ring, extra: list[PlaceField]) -> tuple[PlaceField, ...]:
    """The honest list with inventions between, still in ring order."""
    if not ring.successors:
        return tuple(extra)
    start = Place(*ring.successors[0]).position
    rest = [*ring.successors[1:], *extra]
    rest.sort(key=lambda field: distance(start, Place(*field).position))
    return (ring.successors[0], *rest)[:64]
