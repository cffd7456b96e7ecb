"""What is stored stays in the outbox until its recipient confirms it, and is offered once more."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable
from importlib.resources import files
from itertools import pairwise

from twisted.internet.defer import Deferred

from tace.client import addressing
from tace.client.backoff import Repeats
from tace.client.errors import OutboxFull
from tace.client.home import DATABASE
from tace.client.user import User
from tace.errors import NotStored
from tace.wire.client import PutBlob, Send, SendResult
from tace.wire.objects import Envelope
from tests.client.fakes import let_pass, run
from tests.client.people import Person
from tests.client.test_user import DAY, HOUR, World

MINUTE = 60.0


class Repeating(World):
    """Alice writes, Bob is away. Three nodes; she named two of them, and met the third."""

    NODES = 3

    def setUp(self) -> None:
        super().setUp()
        self.alice.given = [node.address for node in self.network.nodes[:2]]

    def offers(self) -> list[tuple[str, int]]:
        """(the origin of the node, how many envelopes) of each ``Send`` so far."""
        return [
            (origin, len(message.envelopes))
            for origin, message in self.network.requests
            if isinstance(message, Send)
        ]

    def origins(self) -> list[str]:
        return [origin for origin, _ in self.offers()]

    def with_program(self, person: Person, work: Callable[[User], None]) -> None:
        """Something done to a home by a program that talks to nobody."""
        user = person.program()
        try:
            work(user)
        finally:
            user.home.close()

    def kept(self, person: Person) -> int:
        """How many contents are in somebody's outbox."""
        counts: list[int] = []
        self.with_program(person, lambda user: counts.append(user.home.database.count_outgoing()))
        return counts[0]

    def wait_until_due(self, person: Person) -> float:
        """Let time pass until something is to be offered; how long that was."""
        due: list[float | None] = []
        self.with_program(person, lambda user: due.append(user.home.database.next_due_seconds()))
        assert due[0] is not None
        wait = due[0] - self.clock.seconds()
        self.clock.advance(wait)
        return wait

    # -- until when ------------------------------------------------------------------------------

    def test_it_is_kept_until_the_receipt(self) -> None:
        """Stored is not delivered: only the recipient's word lets go."""
        sent = self.alice.send(self.bob, "one")
        self.assertEqual((sent.state, self.kept(self.alice)), ("stored", 1))
        self.bob.receive()
        self.assertEqual(self.kept(self.alice), 1)
        self.alice.receive()
        self.assertEqual((self.alice.state_of(sent), self.kept(self.alice)), ("delivered", 0))

    def test_it_is_shown_once(self) -> None:
        """However often it was offered, and though all replicas were lost in between."""
        sent = self.alice.send(self.bob, "one")
        for _ in range(3):
            self.store.envelopes.clear()
            self.wait_until_due(self.alice)
            self.alice.flush()
        self.assertEqual(self.bob.receive(), ["one"])
        # The acks and the receipt are lost, too: it comes once more.
        self.store.secrets.clear()
        self.store.envelopes.clear()
        self.wait_until_due(self.alice)
        self.alice.flush()
        self.assertEqual(len(self.store.waiting()), 1)
        self.assertEqual(self.bob.receive(), [])
        self.wait_until_due(self.alice)
        self.alice.flush()
        self.assertEqual(self.alice.state_of(sent), "delivered")

    def test_a_proof_ends_the_offers(self) -> None:
        """A node proves that it was opened: delivered, and not offered any more. The content stays
        until the receipt, because what was opened may have been unreadable."""
        sent = self.alice.send(self.bob, "one")
        self.bob.receive()
        self.store.envelopes.clear()
        self.wait_until_due(self.alice)
        self.alice.flush()
        self.assertEqual((self.alice.state_of(sent), self.kept(self.alice)), ("delivered", 1))
        self.network.requests.clear()
        self.clock.advance(3 * DAY)
        self.alice.flush()
        self.assertEqual(self.offers(), [])
        self.clock.advance(12 * DAY)
        self.alice.receive()
        self.assertEqual((self.alice.state_of(sent), self.kept(self.alice)), ("delivered", 0))

    def test_receipts_are_not_kept(self) -> None:
        """Nobody confirms them: who sent one has nothing in the outbox."""
        self.alice.send(self.bob, "one")
        self.bob.receive()
        self.assertEqual(self.kept(self.bob), 0)

    def test_a_session_request_that_was_opened(self) -> None:
        """It has done its work: a node's proof is enough, and nothing waits for a receipt."""
        self.alice.send(self.bob, "one")
        self.bob.receive()
        self.alice.receive()

        def ask(user: User) -> None:
            (device,) = user.home.database.devices(self.alice.identity)
            now = self.clock.seconds()
            user._addressing.request_session(self.alice.identity, device.device, [], now)

        self.with_program(self.bob, ask)
        self.bob.flush()
        self.assertEqual(self.kept(self.bob), 1)
        self.alice.receive()
        # Alice's receipt is lost.
        self.store.envelopes.clear()
        self.wait_until_due(self.bob)
        self.bob.flush()
        self.assertEqual(self.kept(self.bob), 0)

    # -- how often -------------------------------------------------------------------------------

    def test_ever_more_seldom(self) -> None:
        """After a minute, then about twice as long each time, and at last once a day."""
        self.alice.send(self.bob, "one")
        waits: list[float] = []
        while sum(waits) < 12 * DAY:
            waits.append(self.wait_until_due(self.alice))
            self.alice.flush()
        for number, wait in enumerate(waits):
            about = min(MINUTE * 2.0**number, DAY)
            self.assertTrue(0.74 * about <= wait <= 1.26 * about, (number, wait))
        self.assertLess(len(self.offers()), 30)

    def test_as_often_as_was_chosen(self) -> None:
        """A program may begin later."""
        self.alice.repeats = Repeats(first_seconds=10 * MINUTE)
        self.follow(self.alice).write(self.bob.identity, "one")
        let_pass(self.clock, 1.0)
        self.assertEqual(len(self.offers()), 1)
        let_pass(self.clock, 7 * MINUTE)
        self.assertEqual(len(self.offers()), 1)
        let_pass(self.clock, 6 * MINUTE)
        self.assertEqual(len(self.offers()), 2)

    def test_what_is_new_goes_first(self) -> None:
        """It does not wait for what is only offered once more."""
        for number in range(20):
            self.alice.send(self.bob, str(number))
        self.clock.advance(2 * MINUTE)
        self.network.requests.clear()
        self.assertEqual(self.alice.send(self.bob, "new").state, "stored")
        first = next(m for _, m in self.network.requests if isinstance(m, Send))
        self.assertEqual(len(first.envelopes), 1)
        self.assertEqual(sum(count for _, count in self.offers()), 21)

    def test_after_a_long_absence(self) -> None:
        """Whoever comes back offers everything once, though nothing is due."""
        self.alice.send(self.bob, "one")
        while self.wait_until_due(self.alice) < 8 * HOUR:
            self.alice.flush()
        self.alice.flush()
        for absence, offered in ((5 * HOUR, 0), (6 * HOUR, 1), (HOUR, 0)):
            self.network.requests.clear()
            self.clock.advance(absence)
            self.alice.receive()
            self.assertEqual(len(self.offers()), offered, absence)

    # -- where -----------------------------------------------------------------------------------

    def test_at_another_node_each_time(self) -> None:
        """One that said stored is not asked again where another is known."""
        self.alice.send(self.bob, "one")
        for _ in range(12):
            self.wait_until_due(self.alice)
            self.alice.flush()
        origins = self.origins()
        self.assertEqual(len(origins), 13)
        for earlier, later in pairwise(origins):
            self.assertNotEqual(earlier, later)
        self.assertEqual(len(set(origins)), 3, "all nodes that are known")

    def test_a_node_that_lies(self) -> None:
        """It says stored and keeps nothing: another one gets the message."""
        self.network.nodes[0].answer_send = lambda envelope: SendResult("stored", 3, 3)
        self.assertEqual(self.alice.send(self.bob, "one").state, "stored")
        self.assertEqual(self.store.waiting(), [])
        self.wait_until_due(self.alice)
        self.alice.flush()
        self.assertEqual(self.bob.receive(), ["one"])

    def test_a_node_that_refuses_what_was_stored(self) -> None:
        """The message stays stored, and the next offer goes elsewhere."""
        sent = self.alice.send(self.bob, "one")
        for node in self.network.nodes[1:]:
            node.answer_send = lambda envelope: SendResult("not-stored", retry_after_ms=1000)
        for _ in range(4):
            self.wait_until_due(self.alice)
            self.alice.flush()
        origins = self.origins()
        self.assertEqual(self.alice.state_of(sent), "stored")
        self.assertTrue(all(a != b for a, b in pairwise(origins)), origins)

    def test_the_others_are_gone(self) -> None:
        """Then the same node has to do."""
        self.alice.send(self.bob, "one")
        for node in self.network.nodes[1:]:
            node.kill()
        self.store.envelopes.clear()
        self.wait_until_due(self.alice)
        self.alice.flush()
        self.assertEqual(len(set(self.origins())), 1)
        self.assertEqual(self.bob.receive(), ["one"])

    def test_several_from_several_nodes(self) -> None:
        """Each goes to a node that did not have it, and all within one command."""
        nodes = self.network.nodes
        nodes[0].kill()
        self.alice.given = [nodes[1].address]
        self.alice.send(self.bob, "one")
        self.alice.given = [nodes[2].address]
        self.alice.send(self.bob, "two")
        stored_at = {
            Envelope.parse(encoded).id: origin
            for origin, message in self.network.requests
            if isinstance(message, Send)
            for encoded in message.envelopes
        }
        self.assertEqual(len(set(stored_at.values())), 2)
        self.network.requests.clear()
        self.clock.advance(2 * MINUTE)
        self.alice.flush()
        again = {
            Envelope.parse(encoded).id: origin
            for origin, message in self.network.requests
            if isinstance(message, Send)
            for encoded in message.envelopes
        }
        self.assertEqual(set(again), set(stored_at))
        for message_id, origin in again.items():
            self.assertNotEqual(origin, stored_at[message_id])

    # -- how much --------------------------------------------------------------------------------

    def test_a_full_outbox(self) -> None:
        """It says so before anything is done, and has room when something was confirmed."""
        self.patch(addressing, "MAX_OUTGOING", 2)
        self.alice.send(self.bob, "one")
        with self.assertRaisesRegex(OutboxFull, "is full: 2 messages"):
            self.alice.send(self.bob, "long " * 1000)
        self.alice.send(self.bob, "two")
        self.network.requests.clear()

        def send_file(user: User) -> Deferred[object]:
            return Deferred.fromCoroutine(
                user.send_file(self.bob.identity, io.BytesIO(b"x"), 1, "x", "", lambda *_: None)
            )

        with self.assertRaises(OutboxFull):
            self.alice._do(send_file)
        with self.assertRaises(OutboxFull):
            self.alice.send(self.bob, "three")
        self.assertEqual(self.network.sent(PutBlob), [])
        self.assertEqual(self.bob.receive(), ["one", "two"])
        self.alice.receive()
        self.alice.send(self.bob, "three")
        self.assertEqual(self.bob.receive(), ["three"])

    # -- what people see -------------------------------------------------------------------------

    def test_encrypted_anew_and_refused(self) -> None:
        """What was said to be stored is not taken back."""
        sent = self.alice.send(self.bob, "one")
        (envelope,) = self.store.waiting()
        self.store.removed.add(envelope.id)
        self.store.envelopes.clear()
        self.wait_until_due(self.alice)
        self.alice.flush()
        self.assertEqual(self.alice.state_of(sent), "stored")
        for node in self.network.nodes:
            node.refuse = lambda request: NotStored("") if isinstance(request, Send) else None
        user = self.follow(self.alice)
        let_pass(self.clock, 10.0)
        states = [str(change.state) for change in self.alice.screen.changes]
        self.assertEqual(set(states) - {"stored"}, set())
        for node in self.network.nodes:
            node.refuse = lambda request: None
        let_pass(self.clock, 2 * MINUTE)
        run(self.clock, Deferred.fromCoroutine(user.flush()))
        self.assertEqual(self.bob.receive(), ["one"])


class OfTwo(World):
    """Two nodes: the one holds a follower's leases, the other takes what is sent."""

    NODES = 2

    def test_the_inboxs_node_is_lent(self) -> None:
        """Nobody else can be asked; what is written next goes to the other one again."""
        user = self.follow(self.alice)
        user.write(self.bob.identity, "one")
        let_pass(self.clock, 1.0)
        while len(self.network.sent(Send)) < 2:
            let_pass(self.clock, 1.0)
        user.write(self.bob.identity, "two")
        let_pass(self.clock, 1.0)
        origins = [origin for origin, m in self.network.requests if isinstance(m, Send)]
        first, again, new = origins[:3]
        self.assertNotEqual(first, again)
        self.assertEqual(first, new)


class FromBefore(World):
    """Homes of earlier releases."""

    NODES = 2

    def test_what_was_stored_is_offered(self) -> None:
        """A home of the third version opens, and its outbox goes on."""
        sent = self.alice.send(self.bob, "one")
        path = self.alice.directory / DATABASE
        with sqlite3.connect(path) as before:
            columns = [name for _, name, *_ in before.execute("PRAGMA table_info (parcel)")]
            self.assertEqual(columns[-1], "asked")
            before.execute("ALTER TABLE parcel DROP COLUMN asked")
            before.execute("PRAGMA user_version = 3")
        before.close()
        steps = [step.name for step in (files("tace.client") / "schema").iterdir()]
        self.assertEqual(len([name for name in steps if name.endswith(".sql")]), 4)
        self.assertEqual(self.alice.state_of(sent), "stored")
        self.store.envelopes.clear()
        self.clock.advance(2 * MINUTE)
        self.alice.flush()
        self.assertEqual(self.bob.receive(), ["one"])
        self.alice.receive()
        self.assertEqual(self.alice.state_of(sent), "delivered")
