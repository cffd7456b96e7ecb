"""What a client may try: each gets its word and a line in the log, and the others are served."""

from __future__ import annotations

import msgspec

from tace.delivery.feed import MAX_READERS
from tace.gateway.rates import RateLimits, Rates
from tace.gateway.session import FIRST_COMMAND_SECONDS, HOLD_SECONDS
from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import KIND_DEVICE_LIST, NO_DEVICE, UserRecord
from tace.ids import KIND_CONTACTS
from tace.wire.client import (
    Ack,
    AckAnswer,
    ClientPing,
    ClientPong,
    ClientRecord,
    ClientRefused,
    Defer,
    FindRecord,
    GetBlob,
    OpenLease,
    PublishRecord,
    Push,
    Send,
    SendAnswer,
    StartWatch,
    encode_client_message,
)
from tace.wire.message import Message
from tests.gateway.logs import gateway_lines
from tests.gateway.test_session import Client, SessionTestCase
from tests.letters import Box

THERE = "192.0.2.1"
_HEAD = b"\1\5\0\0\0\1"
"""Of an OpenLease with the request id 1."""


class AbuseTestCase(SessionTestCase):
    """Three replicas, five nodes; somebody who does wrong, and somebody else."""

    def stranger(self, **rates: float) -> Client:
        return Client(self.network, self.nodes[0], rates=Rates(RateLimits(**rates)), group=THERE)

    def assert_others_are_served(self) -> None:
        """Node 0 still takes a message and pushes it."""
        (sent,) = self.deposit(0, 99)
        reader = self.client(0)
        reader.watch(self.box)
        self.network.run(1.0)
        self.assertIn(sent.encoded, [push.envelope for push in reader.all(Push)])

    def word(self, client: Client, message: Message) -> str:
        answer = client.ask(message)
        assert isinstance(answer, ClientRefused), answer
        return answer.code


class GarbageTests(AbuseTestCase):
    """Bytes that are no message."""

    def test_each_ends_the_connection_with_a_word(self) -> None:
        """Nested a thousand deep, of wrong types, too large, of a peer's protocol, all zeros."""
        deep = b"\x91" * 1000 + b"\x90"
        lines = gateway_lines(self)
        for body in (
            deep,
            b"\x91" + deep,
            b"\x91\xc0",
            b"\x90",
            msgspec.msgpack.encode([["key"] * 6]),
            msgspec.msgpack.encode({"lease": 1}),
            b"\x91\xdd\xff\xff\xff\xff",
            b"\x91\xc6\xff\xff\xff\xff",
            bytes(60_000),
            b"\xa5\xff\xff\xff\xff\xff",
        ):
            client = self.stranger()
            client.session.received(_HEAD + body)
            self.network.run(0.1)
            self.assertEqual(client.all(ClientRefused)[-1].code, "protocol-error", body[:8])
            self.assertTrue(client.closed)
        oversized = self.stranger()
        oversized.session.received(bytes(70_000))
        self.assertTrue(oversized.closed)
        self.assertEqual(len(lines()), 11)
        self.assertEqual(set(lines()), {_line("protocol-error")})
        self.assert_others_are_served()

    def test_nobody_fills_the_log(self) -> None:
        """A thousand of them make a few lines; the number is in the next one."""
        shared = self.stranger()
        services = shared.session._services
        lines = gateway_lines(self)
        for _ in range(1000):
            services.misconduct.report(THERE, "protocol-error")
        self.assertEqual(lines(), [_line("protocol-error")])
        self.network.run(11.0)
        services.misconduct.report(THERE, "protocol-error")
        self.assertEqual(lines()[-1], _line("protocol-error", 1000))
        self.assertEqual(self.nodes[0].counters.counts["client_misconduct_total"], 1001)

    def test_after_the_end_nothing_is_taken_in(self) -> None:
        """Not even what would be right."""
        client = self.stranger()
        client.session.received(b"")
        said = len(client.inbox)
        client.session.received(encode_client_message(ClientPing(), 1))
        self.network.run(1.0)
        self.assertEqual(len(client.inbox), said)


class SilenceTests(AbuseTestCase):
    """Clients that say nothing."""

    def test_before_the_first_command(self) -> None:
        """The end, with a word, after a while."""
        client = self.stranger()
        self.network.run(FIRST_COMMAND_SECONDS - 1)
        self.assertFalse(client.closed)
        self.network.run(2)
        self.assertEqual(client.all(ClientRefused)[-1].code, "timed-out")
        self.assertTrue(client.closed)

    def test_after_it(self) -> None:
        """A watch may wait for as long as its lease lasts."""
        client = self.stranger()
        client.watch(self.box)
        self.network.run(800)
        self.assertFalse(client.closed)

    def test_gone_before_it(self) -> None:
        """No timer is left behind."""
        before = len(self.network.clock.getDelayedCalls())
        client = self.stranger()
        client.session.closed()
        self.assertEqual(len(self.network.clock.getDelayedCalls()), before)


class LeaseTests(AbuseTestCase):
    """Leases that are not one's own, or not any more."""

    def test_a_lease_that_was_overheard(self) -> None:
        """Good on the connection it was made for, on no other one; the attempt is noted."""
        lines = gateway_lines(self)
        good = self.client(0).lease(self.box)
        other = Client(self.network, self.nodes[0], group=THERE)
        other.session._challenge = b"d" * 32
        self.assertEqual(self.word(other, good), "unauthorized")
        elsewhere = Client(self.network, self.nodes[1], group=THERE)
        self.assertEqual(self.word(elsewhere, good), "unauthorized")
        self.assertEqual(set(lines()), {_line("unauthorized")})
        self.assertNotIn(self.box.id.hex(), "".join(lines()))

    def test_a_lease_by_the_wrong_key(self) -> None:
        """The mailbox is named by the key, so another key opens another mailbox, not this one."""
        client = self.stranger()
        lease = client.lease(self.box).lease
        signed_by_another = client.lease(Box("another")).lease
        forged = lease._replace(signature=signed_by_another.signature)
        self.assertEqual(self.word(client, OpenLease(forged)), "unauthorized")
        renamed = lease._replace(mailbox_key=Box("another").key.public)
        self.assertEqual(self.word(client, OpenLease(renamed)), "unauthorized")
        self.assertEqual(self.word(client, StartWatch((self.box.id,))), "unauthorized")

    def test_a_ninth_mailbox(self) -> None:
        """Is one too many for a connection."""
        client = self.client(0)
        for number in range(8):
            client.ask(client.lease(Box(f"box {number}")))
        self.assertEqual(self.word(client, client.lease(Box("ninth"))), "too-many")

    def test_many_readers_of_one_mailbox(self) -> None:
        """So many at one node; when one goes another finds room, and another node has its own."""
        readers = [self.client(0) for _ in range(MAX_READERS)]
        for reader in readers:
            reader.watch(self.box)
        late = self.client(0)
        late.ask(late.lease(self.box))
        self.assertEqual(self.word(late, StartWatch((self.box.id,))), "too-many")
        self.client(1).watch(self.box)
        readers[0].session.closed()
        late.ask(StartWatch((self.box.id,)))
        (sent,) = self.deposit(2, 1)
        self.network.run(0.5)
        for reader in (*readers[1:], late):
            self.assertEqual([push.envelope for push in reader.all(Push)], [sent.encoded])

    def test_removals_by_another_key(self) -> None:
        """A removal is its own proof: by another key it is for another mailbox."""
        (sent,) = self.deposit(0, 1)
        reader = self.client(0)
        reader.watch(self.box)
        stranger = Box("stranger")
        foreign = Removal.sign(stranger.key, KIND_CONTACTS, [(sent.id, sent.expires_hours)])
        for encoded in (foreign.encoded, foreign.encoded[:-1] + b"\0"):
            reader.ask(Ack((), (encoded,)))
        again = self.client(1)
        again.watch(self.box)
        self.network.run(1.0)
        self.assertEqual([push.envelope for push in again.all(Push)], [sent.encoded])


class RecordTests(AbuseTestCase):
    """Records that are not taken."""

    def record(self, **changes: object) -> UserRecord:
        fields: dict[str, object] = {
            "kind": KIND_DEVICE_LIST,
            "device": NO_DEVICE,
            "sequence": 5,
            "expires_hours": int(self.network.clock.seconds() // 3600) + 24,
            "payload": b"p",
            **changes,
        }
        return UserRecord.sign(SigningKey.from_seed(b"u" * 48), **fields)  # type: ignore[arg-type]

    def test_each_has_its_word(self) -> None:
        """Expired, too far ahead, changed on the way, an older one, and one that is too large."""
        hours = int(self.network.clock.seconds() // 3600)
        client = self.stranger()
        good = self.record()
        client.ask(PublishRecord(good.encoded))
        for record, code in (
            (self.record(expires_hours=hours).encoded, "expired"),
            (self.record(expires_hours=hours + 2000).encoded, "too-far-ahead"),
            (good.encoded[:-1] + bytes([good.encoded[-1] ^ 1]), "bad-record"),
            (bytes(200), "bad-record"),
            (self.record(sequence=4).encoded, "stale-sequence"),
        ):
            self.assertEqual(self.word(client, PublishRecord(record)), code)
        self.assertEqual(client.ask(FindRecord(good.key)), ClientRecord(good.encoded))
        body = msgspec.msgpack.encode([bytes(8193)])
        client.session.received((275).to_bytes(2) + (77).to_bytes(4) + body)
        self.assertEqual(client.all(ClientRefused)[-1].code, "protocol-error")
        self.assertTrue(client.closed)


class SpeedTests(AbuseTestCase):
    """Clients that ask too fast."""

    def test_sends(self) -> None:
        """Each envelope has its word and the time to wait; after that it is taken."""
        client = self.stranger(sends=8.0)
        batch = Send(tuple(self.letter(number).encoded for number in range(16)))
        first, second = client.ask(batch), client.ask(batch)
        assert isinstance(first, SendAnswer)
        assert isinstance(second, SendAnswer)
        self.assertEqual({result.state for result in first.results}, {"stored"})
        self.assertEqual({result.state for result in second.results}, {"rate-limited"})
        wait = second.results[0].retry_after_ms / 1000
        self.assertTrue(7 < wait < 8.1, wait)
        self.network.run(wait)
        third = client.ask(batch)
        assert isinstance(third, SendAnswer)
        self.assertEqual({result.state for result in third.results}, {"stored"})

    def test_what_is_small_waits_for_its_turn(self) -> None:
        """Nobody is refused for a moment; what would wait longer than that is."""
        client = self.stranger(lookups=8.0)
        for _ in range(16):
            client.ask(FindRecord(bytes(32)))
        started = self.network.clock.seconds()
        self.assertEqual(client.ask(FindRecord(bytes(32))), ClientRecord(b""))
        self.assertGreater(self.network.clock.seconds() - started, 0.2)
        for number in range(16):
            client.session.received(encode_client_message(FindRecord(bytes(32)), 1000 + number))
        self.network.run(10.0)
        answers = [message for request, message in client.inbox if request >= 1000]
        found = [answer for answer in answers if isinstance(answer, ClientRecord)]
        # Three seconds' worth of two a second, and the eighth of the connection's requests.
        self.assertTrue(5 <= len(found) <= 8, len(found))
        self.assertEqual(len(answers), 16)

    def test_publications_and_blobs_and_leases(self) -> None:
        """Each kind by its own word, with a time to wait."""
        slow = {"records": 0.01, "blobs": 0.01, "leases": 0.01}
        for ask in (PublishRecord(bytes(200)), GetBlob(bytes(32))):
            client = self.stranger(**slow)
            client.ask(ask)
            self.assertEqual(self.word(client, ask), "rate-limited")
        client = self.stranger(**slow)
        client.ask(client.lease(self.box))
        answer = client.ask(client.lease(self.box))
        assert isinstance(answer, ClientRefused)
        self.assertEqual(answer.code, "rate-limited")
        self.assertGreater(answer.retry_after_ms, 1000)

    def test_acks_for_what_never_was(self) -> None:
        """A million tombstones need one lease, but not at once, nor by many connections."""
        rates = Rates(RateLimits(acks=40.0))
        started = self.network.clock.seconds()
        taken = 0
        for _ in range(5):
            client = Client(self.network, self.nodes[0], rates=rates, group=THERE)
            client.watch(self.box)
            for number in range(4):
                tombstones = tuple(
                    self.box.tombstone(self.letter(n), n)
                    for n in range(number * 60, number * 60 + 60)
                )
                answer = client.ask(Ack(tombstones))
                if isinstance(answer, AckAnswer):
                    taken += len(tombstones)
                else:
                    assert isinstance(answer, ClientRefused)
                    self.assertEqual(answer.code, "rate-limited")
        # A quarter of 40 a second for one mailbox: eight seconds' worth, and what time has passed.
        self.assertLessEqual(taken, 80 + 10 * (self.network.clock.seconds() - started))
        self.assertGreaterEqual(taken, 60)

    def test_commands_of_any_kind(self) -> None:
        """Beyond the bound they are not even decoded, and no more is read for a while."""
        client = self.stranger(commands=4.0)
        for number in range(1, 9):
            client.session.received(encode_client_message(ClientPing(), number))
        self.network.run(0.01)
        self.assertEqual(len(client.all(ClientPong)), 8)
        client.session.received(_HEAD + b"garbage")
        self.assertEqual(client.inbox[-1], (1, client.all(ClientRefused)[-1]))
        self.assertEqual(client.all(ClientRefused)[-1].code, "rate-limited")
        self.assertGreaterEqual(client.held[0], HOLD_SECONDS)
        self.assertFalse(client.closed)

    def test_a_defer_is_never_lost(self) -> None:
        """It has no answer, so nobody could be told to say it again."""
        (sent,) = self.deposit(0, 1)
        client = self.stranger(commands=4.0)
        client.watch(self.box)
        self.network.run(0.5)
        for number in range(1, 20):
            client.session.received(encode_client_message(ClientPing(), 100 + number))
        client.tell(Defer((sent.id,)))
        self.network.run(0.1)
        inbox = client.session._inbox
        assert inbox is not None
        self.assertEqual(len(inbox._in_flight), 0)

    def test_others_are_not_slowed(self) -> None:
        """Another address has its own allowance."""
        rates = Rates(RateLimits(sends=4.0))
        fast = Client(self.network, self.nodes[0], rates=rates, group=THERE)
        slow = Client(self.network, self.nodes[0], rates=rates, group="192.0.2.2")
        letter = Send((self.letter(1).encoded,))
        for _ in range(40):
            fast.ask(letter)
        answer = slow.ask(letter)
        assert isinstance(answer, SendAnswer)
        self.assertEqual(answer.results[0].state, "stored")


class EnvelopeTests(AbuseTestCase):
    """Envelopes that are none, or not wanted."""

    def test_each_has_its_word(self) -> None:
        """Sealed junk is stored like anything sealed: only its owner can tell."""
        good = self.letter(1)
        changed = bytearray(good.encoded)
        changed[-1] ^= 1
        client = self.stranger()
        answer = client.ask(Send((bytes(3630), bytes(changed), good.encoded)))
        assert isinstance(answer, SendAnswer)
        states = [result.state for result in answer.results]
        self.assertEqual(states[0], "malformed")
        self.assertEqual(states[2], "stored")
        self.assert_others_are_served()


def _line(code: str, times: int = 1) -> str:
    return f"client at {THERE}: {code} ({times} since the last line about it)"
