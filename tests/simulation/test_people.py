"""The outbox of simulated people: what it repeats, and for how long."""

from __future__ import annotations

import random
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tace.delivery.votes import Outcome
from tace.ids import MessageId
from tace.simulation.clock import VirtualClock
from tace.simulation.history import History
from tace.simulation.ledger import Ledger
from tace.simulation.node import SimulatedNode
from tace.simulation.people import HOURS_KEPT, Person, _secret
from tace.simulation.process import Process
from tace.simulation.signatures import SeededKey
from tace.wire.objects import Envelope

DAY = 24 * 3600.0
STORED = Outcome("stored", 3, 3)


class Desk:
    """A node as people see it, which answers what the test says."""

    def __init__(self, world: Street, name: str) -> None:
        self.name = name
        self.process = Process(world.clock)
        self.core = SimpleNamespace(deposit=self)
        self.answer = STORED
        self._world = world

    def envelopes(self, encoded: list[bytes]) -> Deferred[list[Outcome]]:
        self._world.offers.append((self._world.since(), self.name, Envelope.parse(encoded[0]).id))
        return succeed([self.answer])


class Street:
    """A :class:`tace.simulation.people.Scene` with two nodes that answer at once."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.history = History(self.clock)
        self.ledger = Ledger()
        self.last_fault = 0.0
        self.offers: list[tuple[float, str, bytes]] = []
        self.desks = [Desk(self, "a"), Desk(self, "b")]
        self._start = self.clock.seconds()
        self._letters = 0

    def since(self) -> float:
        return self.clock.seconds() - self._start

    def some_node(self, random_source: random.Random) -> SimulatedNode | None:
        return cast(SimulatedNode, random_source.choice(self.desks)) if self.desks else None

    def next_letter(self) -> int:
        self._letters += 1
        return self._letters


class Outboxes(SynchronousTestCase):
    """Alice writes to Bob, who does not read."""

    def setUp(self) -> None:
        self.world = Street()
        self.alice, self.bob = (
            Person(self.world, name, SeededKey.named(1, name), random.Random(name))
            for name in ("alice", "bob")
        )

    def send(self, **more: Any) -> MessageId:
        message = self.alice.send(self.bob, **more)
        self.world.clock.run_for(1.0)
        return message

    def test_until_it_is_stored(self) -> None:
        """Then somebody who has gone says no more."""
        for desk in self.world.desks:
            desk.answer = Outcome("not-stored", 0, 3)
        self.send()
        self.world.clock.run_for(10.0)
        self.assertGreater(len(self.world.offers), 3)
        for desk in self.world.desks:
            desk.answer = STORED
        self.world.clock.run_for(20.0)
        self.assertEqual(self.world.ledger.stored_count, 1)
        offered = len(self.world.offers)
        self.world.clock.run_for(DAY)
        self.assertEqual(len(self.world.offers), offered)

    def test_removed_is_not_stored(self) -> None:
        """Nor is it a proof without the secret."""
        for state in ("removed", "acked"):
            for desk in self.world.desks:
                desk.answer = Outcome(state, 3, 3, bytes(16))
            self.send()
        self.world.clock.run_for(5.0)
        self.assertEqual(self.world.ledger.stored_count, 0)

    def test_who_returns_offers_until_it_is_delivered(self) -> None:
        """At once, then as a client does: after a minute, two, four; each time to another node."""
        message = self.send()
        self.world.offers.clear()
        self.alice.send_again(message)
        self.world.clock.run_for(1100.0)
        times = [at for at, _, _ in self.world.offers]
        for number, (earlier, later) in enumerate(pairwise(times)):
            about = 60.0 * 2.0**number
            self.assertTrue(0.75 * about <= later - earlier <= 1.25 * about + 1.0, times)
        self.assertIn(len(times), (4, 5))
        names = [name for _, name, _ in self.world.offers]
        self.assertTrue(all(a != b for a, b in pairwise(names)), names)
        self.assertEqual({found for _, _, found in self.world.offers}, {message})
        self.world.clock.run_for(1.0)
        self.world.ledger.delivered(message, self.world.since(), again_in_connection=False)
        self.world.clock.run_for(DAY)
        self.assertEqual(len(self.world.offers), len(times))

    def test_who_returns_is_shown_the_proof(self) -> None:
        """The secret that opens the lock ends the offers."""
        message = self.send()
        letter = self.world.ledger.letters[message]
        for desk in self.world.desks:
            desk.answer = Outcome("acked", 3, 3, _secret(letter.number))
        self.world.offers.clear()
        self.alice.send_again(message)
        self.world.clock.run_for(DAY)
        self.assertEqual(len(self.world.offers), 1)

    def test_until_it_expires(self) -> None:
        """Nobody confirms it, ever."""
        message = self.send()
        self.alice.send_again(message)
        self.world.clock.run_for(HOURS_KEPT * 3600.0)
        offered = len(self.world.offers)
        self.assertGreater(offered, 8)
        self.world.clock.run_for(10 * DAY)
        self.assertEqual(len(self.world.offers), offered)
