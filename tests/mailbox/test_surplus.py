"""Copies beyond the replica set go when all of the set have proved that they hold them."""

from __future__ import annotations

from typing import Any

from tace.mailbox import surplus
from tace.seams import Item, ItemState
from tace.wire.objects import Envelope, Tombstone
from tace.wire.peer import ItemPage, ListItems
from tests.letters import Box, secret
from tests.mailbox.test_repair import RepairTestCase
from tests.network import TestNode

SETTLED = 60.0


class SurplusTests(RepairTestCase):
    """Six nodes, two copies of each letter, and a third one on a node that is none of theirs."""

    def setUp(self) -> None:
        self.patch(surplus, "SETTLED_SECONDS", SETTLED)
        self.patch(surplus, "LOOK_SECONDS", 20.0)
        self.nodes = self.network_of(6, **{"ring.replicas": 2})
        self.boxes = [Box(f"b{n}") for n in range(12)]
        self.written = [e for box in self.boxes for e in self.letters(3, box)]
        for letter in self.written:
            (outcome,) = self.network.result(self.nodes[0].core.deposit.envelopes([letter.encoded]))
            self.assertEqual(outcome.state, "stored")
        self.network.run(1.0)

    def members(self, letter: Envelope) -> list[TestNode]:
        ids = self.nodes[0].core.membership.replica_set(letter.mailbox).members
        return [node for node in self.nodes if node.id in ids]

    def third(self, letter: Envelope) -> TestNode:
        """The next candidate: it may ask the members what they hold."""
        node = self.nodes[0].core.membership.candidates(letter.mailbox)[2]
        return next(n for n in self.nodes if n.id == node)

    def keep_thirds(self) -> None:
        for letter in self.written:
            self.put(self.third(letter), [letter])

    def copies(self) -> set[int]:
        return {len(self.holders(self.nodes, letter)) for letter in self.written}

    def test_when_all_replicas_hold_it_it_goes(self) -> None:
        """Not before the sets have stood for a while; the replicas keep theirs."""
        self.keep_thirds()
        self.network.run(SETTLED - 5)
        self.assertEqual(self.copies(), {3})
        self.network.run(60.0)
        self.assertEqual(self.copies(), {2})
        for letter in self.written:
            self.assertCountEqual(self.holders(self.nodes, letter), self.members(letter))

    def test_what_a_replica_lacks_is_brought_to_it_first(self) -> None:
        """The surplus copy may be the one that is left."""
        letter = self.written[0]
        item = Item(letter.mailbox, letter.id, ItemState.ENVELOPE)
        self.keep_thirds()
        for node in self.members(letter):
            self.network.result(node.store.drop_items([item]))
        self.network.run(SETTLED + 60.0)
        self.assertCountEqual(self.holders(self.nodes, letter), self.members(letter))

    def test_not_while_a_replica_is_away_or_dead(self) -> None:
        """It has proved nothing."""
        self.keep_thirds()
        letter = self.written[0]
        away = self.members(letter)[0]
        away.drain()
        self.network.run(SETTLED + 60.0)
        self.assertIn(self.third(letter), self.holders(self.nodes, letter))

    def test_not_while_a_replica_does_not_list_it(self) -> None:
        """Whatever it says when the copy is brought to it."""
        self.keep_thirds()
        letter = self.written[0]
        liar = self.members(letter)[0]

        async def nothing(peer: bytes, message: ListItems) -> ItemPage:
            return ItemPage(())

        procedures = liar.raw_links._procedures
        liar.raw_links._procedures = {**procedures, ListItems: nothing}
        self.network.run(SETTLED + 100.0)
        self.assertIn(self.third(letter), self.holders(self.nodes, letter))

    def test_an_envelope_is_no_proof_of_a_tombstone(self) -> None:
        """The replicas have missed the ack: it is brought, and only then dropped here."""
        letter = self.written[0]
        holder = self.third(letter)
        now = self.network.clock.seconds()
        ack = Tombstone.of(letter, secret(0))
        self.network.result(holder.store.put_tombstones([ack], now))
        self.network.run(SETTLED + 80.0)
        grave = Item(letter.mailbox, letter.id, ItemState.TOMBSTONE)
        having = [node for node in self.nodes if grave in self.items(node)]
        self.assertCountEqual(having, self.members(letter))

    def test_not_when_the_view_changes_while_they_are_asked(self) -> None:
        """What they said was about another set."""
        self.keep_thirds()
        letter = self.written[0]
        holder, member = self.third(letter), self.members(letter)[0]
        honest: Any = member.raw_links._procedures[ListItems]

        async def and_then_news(peer: bytes, message: ListItems) -> Any:
            answer = await honest(peer, message)
            if peer == holder.id:
                holder.core.membership.describe(holder.core.membership.description)
            return answer

        procedures = member.raw_links._procedures
        member.raw_links._procedures = {**procedures, ListItems: and_then_news}
        self.network.run(SETTLED + 80.0)
        self.assertIn(holder, self.holders(self.nodes, letter))

    def test_a_round_goes_on_where_the_last_one_stopped(self) -> None:
        """With room for one page a round everything is looked at in the end."""
        self.patch(surplus, "MAX_ITEMS_A_ROUND", 1)
        self.patch(surplus, "MAX_LISTED", 1)
        self.patch(surplus, "LOOK_SECONDS", 1.0)
        self.keep_thirds()
        self.network.run(SETTLED + 100.0)
        self.assertEqual(self.copies(), {2})
