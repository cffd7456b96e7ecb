"""Two people talk over a network in memory: everything that may go wrong on the way."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from tests.client.fakes import START_SECONDS, FakeNetwork
from tests.client.people import Person


class Conversation(TestCase):
    """Alice and Bob, on one node unless a test says otherwise."""

    NODES = 1

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START_SECONDS)
        self.network = FakeNetwork(self.clock, self.NODES)
        self.directory = Path(self.mktemp())
        self.alice = Person(self.network, self.directory / "alice", "Alice")
        self.bob = Person(self.network, self.directory / "bob", "Bob")

    def test_both_ways(self) -> None:
        """What one sends the other receives, again and again."""
        self.bob.receive()
        sent = self.alice.send(self.bob, "hello")
        self.assertEqual(sent.state, "stored")
        self.assertEqual(self.bob.receive(), ["hello"])
        self.bob.send(self.alice, "hello yourself")
        self.assertEqual(self.alice.receive(), ["hello yourself"])
        self.assertEqual(self.alice.state_of(sent), "delivered")
        self.bob.receive()
        self.assertEqual(self.network.store.waiting(), [])
