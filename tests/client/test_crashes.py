"""A program may die between any two steps; the next one goes on from there."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from tace.client.user import User
from tests.client.crashing import Crashed, Fuse, crashing_program
from tests.client.fakes import START_SECONDS, FakeNetwork, run
from tests.client.people import Person

MOST_STEPS = 400


class Crashes(TestCase):
    """One command is killed at each of its steps in turn, each time in a fresh world."""

    def setUp(self) -> None:
        self.worlds = Path(self.mktemp())

    def world(self, number: int, nodes: int = 1) -> tuple[FakeNetwork, Person, Person]:
        clock = Clock()
        clock.advance(START_SECONDS)
        network = FakeNetwork(clock, nodes, stamp_bits=1)
        directory = self.worlds / str(number)
        alice = Person(network, directory / "alice", "Alice")
        bob = Person(network, directory / "bob", "Bob")
        bob.receive()
        return network, alice, bob

    def killed_at(
        self, person: Person, step: int, command: Callable[[User], Awaitable[object]]
    ) -> bool:
        """Run a command that dies at that step; False when it ended before."""
        fuse = Fuse(step)
        user: User | None = None

        async def all_of_it(user: User) -> None:
            try:
                await command(user)
            finally:
                await user.close()

        with contextlib.suppress(Crashed):
            user = crashing_program(person, fuse)
            run(person.clock, Deferred.fromCoroutine(all_of_it(user)))
        if user is not None:
            user.home.close()
        for node in person.network.nodes:
            for session in list(node.sessions):
                session.broken()
        # What ran in the background was killed as well, and logged it.
        self.flushLoggedErrors(Crashed)
        return fuse.burnt

    def send_one(self, to: Person) -> Callable[[User], Awaitable[object]]:
        return lambda user: user.send(to.identity, "one")

    def test_the_sender_dies(self) -> None:
        """What was in the outbox when the sender died arrives; nothing arrives twice."""
        arrived = set()
        for step in range(MOST_STEPS):
            _, alice, bob = self.world(step)
            died = self.killed_at(alice, step, self.send_one(bob))
            alice.send(bob, "two")
            texts = bob.receive()
            self.assertIn(texts, (["one", "two"], ["two"]), f"died at step {step}")
            arrived.add(len(texts))
            alice.receive()
            bob.send(alice, "three")
            self.assertEqual(alice.receive(), ["three"], f"died at step {step}")
            if not died:
                self.assertEqual(texts, ["one", "two"])
                break
        else:
            self.fail("the command never came to its end")
        self.assertGreater(step, 10)
        self.assertEqual(arrived, {1, 2})

    def test_the_sender_dies_offering_again(self) -> None:
        """What nodes had, and lost, is in the outbox whatever the sender was at; it arrives once,
        and the sender is told."""
        for step in range(MOST_STEPS):
            network, alice, bob = self.world(step, nodes=2)
            sent = alice.send(bob, "one")
            network.store.envelopes.clear()
            network.clock.advance(120.0)
            died = self.killed_at(alice, step, lambda user: user.flush())
            self.assertEqual(alice.state_of(sent), "stored", f"died at step {step}")
            network.store.envelopes.clear()
            network.clock.advance(300.0)
            alice.flush()
            self.assertEqual(bob.receive(), ["one"], f"died at step {step}")
            self.assertEqual(bob.receive(), [])
            alice.receive()
            self.assertEqual(alice.state_of(sent), "delivered", f"died at step {step}")
            if not died:
                break
        else:
            self.fail("the command never came to its end")
        self.assertGreater(step, 10)

    def test_the_receiver_dies(self) -> None:
        """Everything is shown, and nothing is in the history twice."""
        for step in range(MOST_STEPS):
            _, alice, bob = self.world(step)
            sent = [alice.send(bob, "one"), alice.send(bob, "two")]
            died = self.killed_at(bob, step, lambda user: user.collect())
            bob.receive()
            # One that was shown when the program died, before it could note so, comes again.
            self.assertEqual(sorted(set(bob.screen.texts)), ["one", "two"], f"step {step}")
            self.assertLessEqual(len(bob.screen.texts), 4)
            alice.receive()
            self.assertEqual([alice.state_of(each) for each in sent], ["delivered"] * 2)
            bob.send(alice, "three")
            self.assertEqual(alice.receive(), ["three"], f"died at step {step}")
            if not died:
                self.assertEqual(bob.screen.texts, ["one", "two"])
                break
        else:
            self.fail("the command never came to its end")
        self.assertGreater(step, 10)
