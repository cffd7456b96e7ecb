"""The ends of a message, each on a connection whose node is played by the test."""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.client.address import NodeAddress
from tace.client.connection import Connection
from tace.errors import LinkLost
from tace.identity.mailbox_proof import Lease
from tace.lab.bench.account import Account
from tace.lab.bench.clients import RENEW_SECONDS, Receiver, Sender, WatchedMailbox
from tace.lab.bench.letters import Letter, Mailbox, lock_in
from tace.wire.client import (
    CLIENT_MESSAGES,
    Ack,
    AckAnswer,
    Challenge,
    ClientDone,
    ClientPing,
    ClientPong,
    ClientRefused,
    OpenLease,
    Push,
    Send,
    SendAnswer,
    SendResult,
    StartWatch,
    encode_client_message,
    split_client_message,
)
from tace.wire.fields import PutResult
from tace.wire.message import Message
from tace.wire.objects import Envelope, Tombstone

HOURS = 500_000


class PlayedNode:
    """The other end of a connection; the test answers."""

    def __init__(self, clock: Clock) -> None:
        self.asked: list[tuple[int, Message]] = []
        self.challenge = Challenge(
            challenge=b"\1" * 32,
            clock_ms=0,
            network_id=b"\2" * 32,
            node_id=b"\3" * 32,
            names=("http://node:1",),
            versions=(1,),
            software="",
            requests_stamp_bits=0,
            max_lifetime_hours=1,
            requests_in_flight=3,
        )
        self.connection = Connection(NodeAddress.parse("http://node:1"), self, clock)
        self.say(self.challenge)

    def send(self, data: bytes) -> None:
        number, request_id, body = split_client_message(data)
        self.asked.append((request_id, CLIENT_MESSAGES.decode(number, body)))

    def close(self) -> None:
        self.connection.carrier_lost("closed")

    def say(self, message: Message, request_id: int = 0) -> None:
        self.connection.received(encode_client_message(message, request_id))

    def answer_pings(self) -> None:
        pings = [each for each in self.asked if isinstance(each[1], ClientPing)]
        for ping in pings:
            self.asked.remove(ping)
            self.say(ClientPong(0), ping[0])

    def answer(self, message: Message) -> Message:
        """To the oldest question, which it returns."""
        request_id, asked = self.asked.pop(0)
        self.say(message, request_id)
        return asked


class ClientCase(SynchronousTestCase):
    """A connection, three letters, the books."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.node = PlayedNode(self.clock)
        self.mailbox = Mailbox()
        self.letters = [self.mailbox.letter(HOURS, os.urandom) for _ in range(3)]
        self.account = Account()


class Letters(ClientCase):
    """What is sealed beforehand."""

    def test_letter(self) -> None:
        """A whole envelope for that mailbox; the tombstone proves that it was opened."""
        letter = self.letters[0]
        envelope = Envelope.parse(letter.envelope)
        self.assertEqual((envelope.mailbox, envelope.expires_hours), (self.mailbox.id, HOURS))
        self.assertEqual(lock_in(letter.envelope), envelope.lock)
        self.assertEqual(letter.lock, envelope.lock)
        proof = Tombstone.parse(letter.tombstone.mailbox, letter.tombstone.tombstone)
        self.assertEqual(proof.id, envelope.id)


class Watching(ClientCase):
    """An inbox connection."""

    def pass_time(self, seconds: float) -> None:
        """On a connection that is kept up meanwhile."""
        for _ in range(round(seconds)):
            self.clock.advance(1)
            self.node.answer_pings()

    def test_lease_watch_and_renewal(self) -> None:
        """The lease holds for that node; it is renewed, and not after the end."""
        watch = WatchedMailbox(self.mailbox, self.node.connection, self.clock)
        starting = Deferred.fromCoroutine(watch.start())
        asked = self.node.answer(ClientDone())
        assert isinstance(asked, OpenLease)
        lease = asked.lease
        mailbox = Lease(
            lease.mailbox_key,
            lease.kind,
            lease.origin,
            lease.challenge,
            lease.expires_seconds,
            lease.signature,
        ).check(network_id=b"\2" * 32, node=b"\3" * 32, now=0.0)
        self.assertEqual(mailbox, self.mailbox.id)
        asked = self.node.answer(ClientDone())
        assert isinstance(asked, StartWatch)
        self.assertEqual(asked.mailboxes, (self.mailbox.id,))
        self.successResultOf(starting)
        # Before the connection asks whether the node is there, which it would after 20 s.
        self.pass_time(RENEW_SECONDS)
        self.assertEqual([type(message) for _, message in self.node.asked], [OpenLease])
        self.node.answer(ClientDone())
        watch.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_renewal_refused(self) -> None:
        """The connection is given up, and nothing is left to be called."""
        watch = WatchedMailbox(self.mailbox, self.node.connection, self.clock)
        starting = Deferred.fromCoroutine(watch.start())
        self.node.answer(ClientDone())
        self.node.answer(ClientDone())
        self.successResultOf(starting)
        self.pass_time(RENEW_SECONDS)
        self.node.answer(ClientRefused("unauthorized"))
        self.assertTrue(self.node.connection.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Receiving(ClientCase):
    """What is pushed is acked."""

    def setUp(self) -> None:
        super().setUp()
        self.freed = 0
        expected = {letter.lock: letter for letter in self.letters}
        self.receiver = Receiver(
            self.node.connection,
            expected,
            self.account,
            self.clock,
            self.clock.seconds,
            self.count_freed,
        )
        self.node.connection.events = self.receiver
        for letter in self.letters:
            self.account.sending(letter.lock, 0.0)
            self.account.answered(letter.lock, "stored", 0.0)

    def count_freed(self) -> None:
        self.freed += 1

    def push(self, *letters: Letter) -> None:
        for letter in letters:
            self.node.say(Push(letter.envelope))

    def acks(self) -> list[int]:
        """How many tombstones each ack under way holds."""
        return [len(m.tombstones) for _, m in self.node.asked if isinstance(m, Ack)]

    def test_together(self) -> None:
        """What comes in one turn, or while an ack is under way, is acked together."""
        self.push(self.letters[0], self.letters[1])
        self.assertEqual(self.account.delivered, 0)
        self.clock.advance(0)
        self.assertEqual(self.acks(), [2])
        self.assertEqual(self.account.delivered, 2)
        self.push(self.letters[2])
        self.clock.advance(0)
        self.assertEqual(self.acks(), [2])
        self.node.answer(AckAnswer((PutResult("stored"), PutResult("stored"))))
        self.assertEqual(self.acks(), [1])
        self.assertFalse(self.receiver.idle)
        self.node.answer(AckAnswer((PutResult("partial"),)))
        self.assertTrue(self.receiver.idle)
        self.assertEqual(dict(self.account.acks), {"stored": 2, "partial": 1})
        self.assertEqual((self.account.delivered, self.account.lost, self.freed), (3, 0, 3))

    def test_second_push(self) -> None:
        """Counted as a duplicate, and acked again: the node still has it."""
        self.push(self.letters[0])
        self.clock.advance(0)
        self.node.answer(AckAnswer((PutResult("partial"),)))
        self.push(self.letters[0])
        self.clock.advance(0)
        self.assertEqual(self.acks(), [1])
        self.assertEqual((self.account.duplicated, self.account.delivered, self.freed), (1, 1, 1))

    def test_strange(self) -> None:
        """Nobody sent it, or it has been changed on its way: not acked, and told apart."""
        other = Mailbox().letter(HOURS, os.urandom)
        changed = bytearray(self.letters[0].envelope)
        changed[-1] ^= 1
        self.push(other)
        self.node.say(Push(bytes(changed)))
        self.clock.advance(0)
        self.assertEqual(self.acks(), [])
        self.assertEqual((self.account.strange, self.account.delivered), (2, 0))

    def test_connection_lost(self) -> None:
        """What is pushed and cannot be acked is not delivered; an ack without answer is told."""
        self.push(self.letters[0])
        self.clock.advance(0)
        self.push(self.letters[1])
        self.node.close()
        self.clock.advance(0)
        self.assertEqual((self.account.delivered, self.account.lost), (1, 2))
        self.assertEqual(dict(self.account.acks), {LinkLost.code: 2})
        self.assertTrue(self.receiver.idle)


class Sending(ClientCase):
    """One message a request."""

    def setUp(self) -> None:
        super().setUp()
        self.over: list[bool] = []
        self.sender = Sender(
            self.node.connection, self.account, self.clock.seconds, self.over.append
        )

    def test_stored(self) -> None:
        """Over when it is pushed too; the room is what the node takes at once."""
        first, second, _ = self.letters
        self.assertEqual(self.sender.room, 3)
        self.sender.send(first, 0.0)
        self.sender.send(second, 0.0)
        self.assertEqual(self.sender.room, 1)
        self.account.pushed(second.lock, 1.0)
        for _ in range(2):
            asked = self.node.answer(SendAnswer((SendResult("stored", 3, 3),)))
            assert isinstance(asked, Send)
            self.assertEqual(len(asked.envelopes), 1)
        self.assertEqual(self.over, [False, True])
        self.assertEqual((self.sender.room, self.account.stored), (3, 2))

    def test_refused(self) -> None:
        """By a result, by a refusal, by the end of the connection: each is over, with its word."""
        for letter in self.letters:
            self.sender.send(letter, 0.0)
        self.node.answer(SendAnswer((SendResult("full"),)))
        self.node.answer(ClientRefused("rate-limited"))
        self.node.close()
        self.assertEqual(self.over, [True, True, True])
        self.assertTrue(self.sender.lost)
        self.assertEqual(
            dict(self.account.refused), {"full": 1, "rate-limited": 1, LinkLost.code: 1}
        )
        self.assertEqual((self.account.stored, self.account.open), (0, 0))
