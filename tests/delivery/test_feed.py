"""Watches on replicas that die, lie, restart, are slow, or learn of each other late."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tace.delivery.feed import RENEW_SECONDS
from tace.errors import InternalError, TooMany
from tace.identity.mailbox_proof import LEASE_SECONDS
from tace.seams import ReplicaSet
from tace.wire.fields import WaitingItem
from tace.wire.message import Message
from tace.wire.objects import Envelope
from tace.wire.peer import (
    Arrival,
    Arrived,
    EnvelopeList,
    FetchEnvelopes,
    ListMailbox,
    MailboxPage,
    Watch,
)
from tests.delivery.nodes import DeliveryTestCase, Reader
from tests.letters import Box
from tests.network import MemoryNetwork, TestNode


class FeedTestCase(DeliveryTestCase):
    """Five nodes with three copies; a reader at one that keeps none."""

    count = 5
    replicas = 3

    def setUp(self) -> None:
        super().setUp()
        self.members = self.nodes[0].core.membership.replica_set(self.box.id).members
        self.away = next(n for n in self.nodes if n.id not in self.members)
        self.keepers = [n for n in self.nodes if n.id in self.members]
        self.sender = self.nodes.index(self.keepers[0])

    def reader(self, window: int = 64, *, node: TestNode | None = None) -> Reader:
        reader = Reader(node or self.away, window)
        reader.watch(self.box)
        return reader

    def watched(self) -> list[TestNode]:
        """The replicas that the reader's node watches, the one that pushes bodies first."""
        sources = self.away.core.collect._feeds[self.box.id]._sources
        nodes = [node for node in self.nodes if node.id in sources]
        return sorted(nodes, key=lambda node: not sources[node.id].bodies)

    def watches_at(self, node: TestNode) -> int:
        return len(node.core.replica._watches)


class LeaseTests(FeedTestCase):
    """Two clients read one mailbox; each has a lease of its own."""

    def test_the_older_lease_ends_and_the_younger_goes_on(self) -> None:
        """Replicas go by the newest, whoever opened the feed."""
        first = self.reader()
        self.network.run(600.0)
        second = self.reader()
        first.leave(self.box)
        self.network.run(LEASE_SECONDS - 600.0 + 30.0)
        letter = self.letter(1)
        self.sent(self.sender, letter)
        self.network.run(1.0)
        self.assertEqual(second.pushed, [letter.encoded])
        self.assertEqual(first.pushed, [])

    def test_an_older_lease_takes_nothing_away(self) -> None:
        """The feed keeps the one that lasts longest."""
        old = self.reader().lease(self.box)
        self.network.run(60.0)
        self.reader()
        feed = self.away.core.collect._feeds[self.box.id]
        newest = feed.lease
        self.away.core.collect.renew(old)
        self.assertIs(feed.lease, newest)

    def test_a_replica_dies_while_leases_are_renewed(self) -> None:
        """Another one takes its place, and nothing is lost."""
        reader = self.reader()
        self.network.run(1.0)
        self.slow(self.watched()[0], Watch, 1.0)
        gone = self.watched()[0]
        self.network.run(5.0)
        self.away.core.collect.renew(reader.lease(self.box))
        self.network.run(0.5)
        gone.kill()
        self.network.run(1.0)
        letter = self.letter(1)
        left = next(node for node in self.keepers if node is not gone)
        self.sent(self.nodes.index(left), letter)
        self.network.run(2.0)
        self.assertEqual(reader.pushed, [letter.encoded])


class OrderTests(FeedTestCase):
    """Things that overtake each other."""

    def test_news_that_overtakes_the_answer_to_the_watch(self) -> None:
        """Stored after the listing was made, told before it came: the listing does not have it."""
        for keeper in self.keepers:
            honest = self.truth(keeper, Watch)

            async def late(peer: bytes, message: Watch, honest: Any = honest) -> Any:
                page = await honest(peer, message)
                waited: Deferred[None] = Deferred()
                self.network.clock.callLater(0.5, waited.callback, None)
                await waited
                return page

            self.lie(keeper, Watch, late)
        reader = self.reader()
        self.network.run(0.2)
        letter = self.letter(1)
        self.sent(self.sender, letter)
        self.network.run(2.0)
        self.assertEqual(reader.pushed, [letter.encoded])
        self.assertEqual(reader.caught_up, [(self.box.id, True)])

    def test_leaving_in_the_middle_of_every_step(self) -> None:
        """Of the watch, the listing, the fetch: no watch stays behind, and no timer."""
        letters = [self.letter(number) for number in range(30)]
        self.put_everywhere(letters)
        for thousandths in range(12):
            reader = self.reader(window=5)
            self.network.run(thousandths / 1000)
            pushed = len(reader.pushed)
            reader.leave(self.box)
            self.network.run(0.2)
            self.assertEqual(len(reader.pushed), pushed)
            self.assertEqual(self.away.core.collect._feeds, {})
            self.assertEqual([self.watches_at(node) for node in self.nodes], [0] * 5)
            mine = [c for c in self.network.clock.getDelayedCalls() if "watch replicas" in _name(c)]
            self.assertEqual(mine, [])

    def test_leaving_and_coming_back_at_once(self) -> None:
        """The last word to the replicas is the watch, not its end."""
        for thousandths in range(6):
            self.reader().leave(self.box)
            first = self.reader()
            self.network.run(thousandths / 1000)
            first.leave(self.box)
            second = self.reader()
            self.network.run(0.5)
            letter = self.letter(thousandths)
            self.sent(self.sender, letter)
            self.network.run(0.5)
            self.assertIn(letter.encoded, second.pushed)
            second.leave(self.box)
            self.network.run(0.5)

    def test_two_clients_one_leaves_while_both_are_told(self) -> None:
        """The other one misses nothing and is told once."""
        letters = [self.letter(number) for number in range(20)]
        self.put_everywhere(letters)
        stays, leaves = self.reader(), self.reader()
        self.network.run(0.002)
        leaves.leave(self.box)
        self.network.run(1.0)
        self.assertEqual(sorted(stays.pushed), sorted(e.encoded for e in letters))
        self.assertEqual(stays.caught_up, [(self.box.id, True)])

    def test_stopping_the_node_ends_every_feed(self) -> None:
        """Also while clients are still there."""
        self.put_everywhere([self.letter(number) for number in range(5)])
        self.reader()
        self.network.run(0.001)
        self.network.result(Deferred.fromCoroutine(self.away.core.collect.stop()))
        self.network.run(5.0)
        mine = [c for c in self.network.clock.getDelayedCalls() if "watch replicas" in _name(c)]
        self.assertEqual(mine, [])


class LyingTests(FeedTestCase):
    """Replicas that say what is not so."""

    def test_a_list_without_end(self) -> None:
        """Its inventor holds up nobody: the rest arrives, ``caught up`` comes, the watches move."""
        numbers = iter(range(10**9))

        async def endless(peer: bytes, message: Any) -> MailboxPage:
            waited: Deferred[None] = Deferred()
            self.network.clock.callLater(2.0, waited.callback, None)
            await waited
            items = tuple(WaitingItem(next(numbers).to_bytes(32), 24) for _ in range(512))
            return MailboxPage(items, cursor=next(numbers), more=True)

        letters = [self.letter(number) for number in range(5)]
        self.put_everywhere(letters)
        reader = self.reader()
        self.network.run(0.5)
        liar = self.watched()[0]
        reader.leave(self.box)
        self.lie(liar, Watch, endless)
        self.lie(liar, ListMailbox, endless)
        reader = self.reader()
        self.network.run(1.0)
        self.assertEqual(sorted(reader.pushed), sorted(e.encoded for e in letters))
        self.network.run(5.0)
        self.assertEqual(len(reader.caught_up), 1)
        gone = next(node for node in self.watched() if node is not liar)
        gone.kill()
        self.network.run(2.0)
        self.assertEqual(len(self.watched()), 2)
        third = next(n for n in self.keepers if n is not gone and n is not liar)
        letter = self.letter(99)
        self.sent(self.nodes.index(third), letter)
        self.network.run(1.0)
        self.assertIn(letter.encoded, reader.pushed)

    def test_fetches_answered_with_something_else(self) -> None:
        """Another replica is asked; what else came reaches nobody."""
        letters = [self.letter(number) for number in range(5)]
        other = Box("other").envelope(1, self.network.clock.seconds())

        async def wrong(peer: bytes, message: FetchEnvelopes) -> EnvelopeList:
            return EnvelopeList((other.encoded,) * 16)

        self.put_everywhere(letters)
        honest = [self.truth(keeper, FetchEnvelopes) for keeper in self.keepers]
        for liar in range(3):
            self.lie(self.keepers[liar], FetchEnvelopes, wrong)
            reader = self.reader()
            self.network.run(1.0)
            self.assertEqual(sorted(reader.pushed), sorted(e.encoded for e in letters))
            reader.leave(self.box)
            self.lie(self.keepers[liar], FetchEnvelopes, honest[liar])

    def test_news_from_strangers_and_of_mailboxes_nobody_asked_for(self) -> None:
        """Is dropped without a trace."""
        reader = self.reader()
        self.network.run(1.0)
        stranger = next(n for n in self.nodes if n.id not in self.members and n is not self.away)
        letter = self.letter(1)
        elsewhere = Box("other").envelope(1, self.network.clock.seconds())
        self.network.result(stranger.core.links.introduce(f"{self.away.name}:1"))
        for source, envelope in (
            (stranger, letter),
            (self.watched()[0], elsewhere),
        ):
            news = Arrived((Arrival(envelope.mailbox, envelope.id, 24, envelope.encoded),))
            self.assertTrue(source.raw_links.send(self.away.id, news))
        self.network.run(1.0)
        self.assertEqual(reader.pushed, [])
        self.assertEqual(list(self.away.core.collect._feeds), [self.box.id])


class ChoiceTests(FeedTestCase):
    """Which replicas are watched."""

    def test_members_before_stand_ins_even_before_this_node_itself(self) -> None:
        """Only members are sure to meet every write that was answered ``stored``."""
        self.reader()
        self.network.run(0.5)
        feed = self.away.core.collect._feeds[self.box.id]
        a_set = ReplicaSet(self.members, (*self.members[1:], self.away.id))
        self.patch(self.away.core.membership, "replica_set", lambda key: a_set)
        self.assertEqual(len(feed._choose()), a_set.read_quorum)
        self.assertLessEqual(set(feed._choose()), set(self.members))

    def test_this_node_first_where_it_is_a_member(self) -> None:
        """Its own copy costs nothing."""
        keeper = self.keepers[1]
        self.reader(node=keeper)
        self.network.run(0.5)
        self.assertIn(keeper.id, keeper.core.collect._feeds[self.box.id]._sources)

    def test_bodies_from_this_node_where_it_watches_itself(self) -> None:
        """They cross no link, then."""
        for keeper in self.keepers:
            reader = self.reader(node=keeper)
            self.network.run(1.0)
            sources = keeper.core.collect._feeds[self.box.id]._sources
            whole = [node for node, source in sources.items() if source.bodies]
            self.assertEqual(whole, [keeper.id])
            reader.leave(self.box)

    def test_a_watch_that_is_refused_is_made_elsewhere(self) -> None:
        """And tried there again later; a quiet feed asks each replica about once a minute."""

        async def no(peer: bytes, message: Watch) -> MailboxPage:
            raise TooMany("as many watches as there may be")

        self.lie(self.keepers[0], Watch, no)
        reader = self.reader()
        self.network.run(3.0)
        letter = self.letter(1)
        self.sent(self.nodes.index(self.keepers[1]), letter)
        self.network.run(1.0)
        self.assertEqual(reader.pushed, [letter.encoded])
        self.network.frames.clear()
        self.network.run(RENEW_SECONDS)
        asked = [kind for _, _, kind in self.network.frames if kind in ("Watch", "ListMailbox")]
        self.assertLessEqual(len(asked), 4)

    def test_half_a_listing_is_made_good(self) -> None:
        """A replica that breaks off in the middle is watched and listed anew."""
        letters = [self.letter(number) for number in range(700)]
        self.put_everywhere(letters)
        honest = {node.id: self.truth(node, ListMailbox) for node in self.keepers}

        async def busy(peer: bytes, message: ListMailbox) -> MailboxPage:
            raise InternalError("busy")

        for node in self.keepers:
            self.lie(node, ListMailbox, busy)
        reader = self.reader(window=1000)
        self.network.run(5.0)
        for node in self.keepers:
            self.lie(node, ListMailbox, honest[node.id])
        self.network.run(20.0)
        self.assertEqual(set(reader.pushed), {letter.encoded for letter in letters})

    def test_news_that_a_full_link_did_not_take(self) -> None:
        """It is told again soon, of all messages."""
        reader = self.reader()
        self.network.run(3.0)
        full = True
        for node in self.keepers:
            links = node.raw_links
            real = links.send

            def send(
                peer: bytes, message: Message, real: Callable[[bytes, Message], bool] = real
            ) -> bool:
                return not (full and isinstance(message, Arrived)) and real(peer, message)

            self.patch(links, "send", send)
        letters = [self.letter(number) for number in range(3)]
        for letter in letters:
            self.sent(self.nodes.index(self.keepers[1]), letter)
        self.network.run(2.0)
        self.assertEqual(reader.pushed, [])
        full = False
        self.network.run(1.0)
        self.assertEqual(set(reader.pushed), {letter.encoded for letter in letters})


OPERATIONS = ("send", "send", "send", "kill", "restart", "cut", "heal", "ack", "wait")


class ScheduleTests(DeliveryTestCase):
    """Whatever happens, in whatever order: nothing ``stored`` is lost, nothing comes twice."""

    count = 0

    def setUp(self) -> None:
        return None

    @given(st.integers(0, 2**32), st.lists(st.sampled_from(OPERATIONS), min_size=8, max_size=24))
    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    def test_any_schedule(self, seed: int, operations: list[str]) -> None:
        """Each envelope that was answered ``stored`` reaches each connected reader once."""
        choose = Random(seed)
        self.network = MemoryNetwork(seed=seed % 1000, **{"ring.replicas": 3})
        self.nodes = self.network.ring(5)
        self.box = Box()
        readers = [Reader(self.nodes[0]), Reader(self.nodes[1])]
        for reader in readers:
            reader.watch(self.box)
        self.network.run(1.0)
        stored: list[Envelope] = []
        acked: set[bytes] = set()
        dead: list[int] = []
        number = 0
        for operation in operations:
            if operation == "send":
                number += 1
                alive = [at for at in range(5) if at not in dead]
                letter = self.letter(number)
                if self.sent(choose.choice(alive), letter).state == "stored":
                    stored.append(letter)
            elif operation == "kill" and not dead:
                # One of three copies at a time: a majority lives.
                dead.append(choose.randrange(2, 5))
                self.nodes[dead[0]].kill()
            elif operation == "restart" and dead:
                self.nodes[dead[0]] = self.nodes[dead[0]].again()
                dead.clear()
                self.network.run(8.0)
            elif operation == "cut" and not dead and not self.network.cut:
                lonely = self.nodes[choose.randrange(2, 5)].id
                rest = [node.id for node in self.nodes if node.id != lonely]
                self.network.partition([lonely], rest)
                self.network.run(choose.choice((0.1, 2.0)))
                self.network.cut.clear()
                self.network.run(15.0)
            elif operation == "ack" and stored:
                for envelope in choose.sample(stored, min(3, len(stored))):
                    at = int(envelope.blob[:8])
                    field = self.box.tombstone(envelope, at)
                    node = readers[0].node
                    (outcome,) = self.network.result(node.core.deposit.acks([field], []))
                    if outcome.state == "stored":
                        acked.add(envelope.encoded)
                    for reader in readers:
                        reader.inbox.release([envelope.id])
            elif operation == "wait":
                self.network.run(choose.choice((0.01, 0.3, 3.0)))
        if dead:
            self.nodes[dead[0]] = self.nodes[dead[0]].again()
        self.network.run(60.0)
        for reader in readers:
            self.assertEqual(len(reader.pushed), len(set(reader.pushed)), "pushed twice")
            missing = {e.encoded for e in stored} - set(reader.pushed) - acked
            self.assertEqual(missing, set(), "stored and never pushed")
        late = Reader(self.nodes[choose.randrange(5)])
        late.watch(self.box)
        self.network.run(5.0)
        self.assertEqual(set(late.pushed) & acked, set(), "came back after its ack")
        self.assertEqual({e.encoded for e in stored} - acked - set(late.pushed), set())


def _name(call: Any) -> str:
    """The name of the periodic work that a timer belongs to, if it does."""
    return str(getattr(getattr(call.func, "__self__", None), "_name", call.func))
