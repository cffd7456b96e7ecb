"""The client session, over whole nodes in memory."""

from __future__ import annotations

from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

from tace.delivery import quorum
from tace.gateway.misconduct import ClientMisconduct
from tace.gateway.rates import RateLimits, Rates
from tace.gateway.services import GatewayLimits, GatewayServices
from tace.gateway.session import ClientSession
from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import KIND_DEVICE_LIST, NO_DEVICE, UserRecord, user_record_key
from tace.ids import KIND_REQUESTS
from tace.wire.client import (
    CLIENT_MESSAGES,
    Ack,
    AckAnswer,
    CaughtUp,
    Challenge,
    ClientDone,
    ClientPing,
    ClientRecord,
    ClientRefused,
    Defer,
    FindRecord,
    GetNetwork,
    GetStatus,
    NetworkInfo,
    OpenLease,
    PublishRecord,
    Push,
    RecordPublished,
    Send,
    SendAnswer,
    StartWatch,
    StatusInfo,
    encode_client_message,
    split_client_message,
)
from tace.wire.message import Message
from tace.wire.objects import Envelope
from tests.letters import Box, secret
from tests.network import MemoryNetwork, TestNode

M = TypeVar("M", bound=Message)


class Client:
    """One connection: what it was sent, decoded."""

    def __init__(
        self,
        network: MemoryNetwork,
        node: TestNode,
        *,
        window: int = 64,
        rates: Rates | None = None,
        group: str = "",
    ) -> None:
        self.network = network
        self.node = node
        self.inbox: list[tuple[int, Message]] = []
        self.closed = False
        self._next = 1
        services = GatewayServices(
            core=node.core,
            network_id=network.settings.network_id,
            software="test",
            names=lambda: (f"http://{node.name}",),
            state=lambda: node.core.state,
            limits=GatewayLimits(
                window=window,
                requests_in_flight=8,
                max_lifetime_hours=720,
                requests_stamp_bits=network.settings.limits.requests_stamp_bits,
            ),
            clock=network.clock,
            counters=node.counters,
            random_bytes=lambda count: b"c" * count,
            rates=rates or Rates(RateLimits()),
            misconduct=ClientMisconduct(network.clock, node.counters),
        )
        self.held: list[float] = []
        self.session = ClientSession(services, self, group)
        self.session.opened()

    def send(self, data: bytes) -> None:
        number, request_id, body = split_client_message(data)
        self.inbox.append((request_id, CLIENT_MESSAGES.decode(number, body)))

    def close(self) -> None:
        self.closed = True

    def hold(self, seconds: float) -> None:
        self.held.append(seconds)

    def all(self, cls: type[M]) -> list[M]:
        return [message for _, message in self.inbox if isinstance(message, cls)]

    def tell(self, message: Message) -> int:
        request_id = 0 if isinstance(message, Defer) else self._next
        self._next += 1
        self.session.received(encode_client_message(message, request_id))
        return request_id

    def ask(self, message: Message, within: float = 5.0) -> Message:
        request_id = self.tell(message)
        for _ in range(int(within * 100)):
            for found, answer in self.inbox:
                if found == request_id:
                    return answer
            self.network.run(0.01)
        raise AssertionError("no answer")

    def lease(self, box: Box, **changes: object) -> OpenLease:
        fields: dict[str, object] = {
            "network_id": self.network.settings.network_id,
            "node": self.node.id,
            "origin": f"http://{self.node.name}",
            "challenge": b"c" * 32,
            "now": self.network.clock.seconds(),
        }
        return OpenLease(box.lease(**{**fields, **changes}))  # type: ignore[arg-type]

    def watch(self, *boxes: Box) -> None:
        for box in boxes:
            assert isinstance(self.ask(self.lease(box)), ClientDone)
        answer = self.ask(StartWatch(tuple(box.id for box in boxes), 64))
        assert isinstance(answer, ClientDone)


class SessionTestCase(SynchronousTestCase):
    """Three nodes, and clients at them."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=1, **{"ring.replicas": 3})
        self.nodes = self.network.ring(5)
        self.box = Box()

    def client(self, at: int, *, window: int = 64) -> Client:
        return Client(self.network, self.nodes[at], window=window)

    def letter(self, number: int) -> Envelope:
        return self.box.envelope(number, self.network.clock.seconds())

    def deposit(self, at: int, *numbers: int) -> list[Envelope]:
        envelopes = [self.letter(number) for number in numbers]
        client = self.client(at)
        for start in range(0, len(envelopes), 16):
            answer = client.ask(Send(tuple(e.encoded for e in envelopes[start : start + 16])))
            assert isinstance(answer, SendAnswer)
            self.assertEqual({result.state for result in answer.results}, {"stored"})
        return envelopes


class DeliveryTests(SessionTestCase):
    """From one client to another."""

    def test_the_node_speaks_first(self) -> None:
        """Challenge, clock, limits, names."""
        (challenge,) = self.client(0).all(Challenge)
        self.assertEqual(challenge.names, ("http://n0",))
        self.assertEqual(challenge.network_id, self.network.settings.network_id)
        self.assertEqual(challenge.clock_ms, int(self.network.clock.seconds() * 1000))

    def test_what_waited_is_pushed_then_caught_up_then_what_arrives(self) -> None:
        """At any node, whatever node it was sent through."""
        waiting = self.deposit(0, 1, 2, 3)
        reader = self.client(4)
        reader.watch(self.box)
        self.network.run(1.0)
        self.assertEqual({push.envelope for push in reader.all(Push)}, {e.encoded for e in waiting})
        self.assertEqual(reader.all(CaughtUp), [CaughtUp(self.box.id, True)])
        self.assertIsInstance(reader.inbox[-1][1], CaughtUp)
        (live,) = self.deposit(1, 4)
        self.network.run(0.1)
        self.assertEqual(reader.all(Push)[-1].envelope, live.encoded)
        self.assertEqual(len(reader.all(Push)), 4)

    def test_every_node_pushes_to_every_node(self) -> None:
        """Replicas or not: readers at all five nodes get it, once each."""
        readers = [self.client(at) for at in range(5)]
        for reader in readers:
            reader.watch(self.box)
        (sent,) = self.deposit(2, 1)
        self.network.run(0.5)
        for reader in readers:
            self.assertEqual([push.envelope for push in reader.all(Push)], [sent.encoded])

    def test_an_ack_removes_it_everywhere_and_proves_itself_to_the_sender(self) -> None:
        """The next reader gets nothing; sending it again brings the secret."""
        (sent,) = self.deposit(0, 7)
        reader = self.client(1)
        reader.watch(self.box)
        self.network.run(0.5)
        answer = reader.ask(Ack((self.box.tombstone(sent, 7),)))
        assert isinstance(answer, AckAnswer)
        self.assertEqual(answer.results[0].code, "stored")
        again = self.client(2)
        again.watch(self.box)
        self.network.run(1.0)
        self.assertEqual(again.all(Push), [])
        self.assertEqual(again.all(CaughtUp), [CaughtUp(self.box.id, True)])
        result = self.client(3).ask(Send((sent.encoded,)))
        assert isinstance(result, SendAnswer)
        self.assertEqual((result.results[0].state, result.results[0].secret), ("acked", secret(7)))

    def test_the_window_holds_and_every_release_moves_it(self) -> None:
        """Never more than the window un-released; ack and defer both make room."""
        sent = self.deposit(0, *range(40))
        number_of = {envelope.encoded: number for number, envelope in enumerate(sent)}
        reader = self.client(1, window=10)
        reader.watch(self.box)
        self.network.run(1.0)
        self.assertEqual(len(reader.all(Push)), 10)
        first = [Envelope.parse(push.envelope) for push in reader.all(Push)]
        reader.tell(Defer(tuple(e.id for e in first[:4])))
        self.network.run(0.5)
        self.assertEqual(len(reader.all(Push)), 14)
        self.assertEqual(reader.all(CaughtUp), [])
        done = 4
        while done < 40:
            batch = [p.envelope for p in reader.all(Push)][done:]
            fields = [self.box.tombstone(Envelope.parse(b), number_of[b]) for b in batch]
            reader.ask(Ack(tuple(fields)))
            done += len(batch)
            self.network.run(0.5)
        self.assertEqual(len(reader.all(Push)), 40)
        self.assertEqual(len({push.envelope for push in reader.all(Push)}), 40)
        self.assertEqual(reader.all(CaughtUp), [CaughtUp(self.box.id, True)])

    def test_a_defer_is_heard_although_too_many_requests_wait(self) -> None:
        """It has no answer, so its loss would close the window for ever."""
        self.deposit(0, 1, 2)
        reader = self.client(1, window=1)
        reader.watch(self.box)
        self.network.run(0.5)
        (first,) = reader.all(Push)
        reader.session._in_flight += 8
        reader.tell(Defer((Envelope.parse(first.envelope).id,)))
        self.network.run(0.5)
        self.assertEqual(len(reader.all(Push)), 2)

    def test_junk_goes_by_the_mailbox_keys_word(self) -> None:
        """A removal clears it on all replicas; its sender learns that it was not read."""
        (junk,) = self.deposit(0, 1)
        reader = self.client(1)
        reader.watch(self.box)
        removal = Removal.sign(self.box.key, self.box.kind, [(junk.id, junk.expires_hours)])
        answer = reader.ask(Ack((), (removal.encoded,)))
        assert isinstance(answer, AckAnswer)
        self.assertEqual([result.code for result in answer.results], ["stored"])
        result = self.client(0).ask(Send((junk.encoded,)))
        assert isinstance(result, SendAnswer)
        self.assertEqual((result.results[0].state, result.results[0].secret), ("removed", b""))


class FailureTests(SessionTestCase):
    """Nodes die under the clients."""

    def test_replicas_die_and_return_one_after_the_other_under_a_watch(self) -> None:
        """The connected reader gets each message within two seconds, once, on one connection."""
        reader = self.client(0)
        reader.watch(self.box)
        self.network.run(1.0)
        count = 0
        for at in range(1, 5):
            self.nodes[at].kill()
            count += 1
            (sent,) = self.deposit(0, count)
            self.network.run(2.0)
            self.assertEqual(reader.all(Push)[-1].envelope, sent.encoded)
            self.nodes[at] = self.nodes[at].again()
            self.network.run(5.0)
            count += 1
            (sent,) = self.deposit(at, count)
            self.network.run(2.0)
            self.assertEqual(reader.all(Push)[-1].envelope, sent.encoded)
        self.assertEqual(len(reader.all(Push)), count)
        self.assertFalse(reader.closed)

    def test_a_send_is_answered_within_three_seconds_whatever_is_cut(self) -> None:
        """Two of three replicas gone: ``partial``, to be sent again."""
        replica_set = self.nodes[0].core.membership.replica_set(self.box.id)
        at = next(i for i, node in enumerate(self.nodes) if node.id in replica_set.members)
        for node in self.nodes:
            if node.id in replica_set.members and node is not self.nodes[at]:
                node.kill()
        answer = self.client(at).ask(Send((self.letter(1).encoded,)), within=3.0)
        assert isinstance(answer, SendAnswer)
        self.assertEqual((answer.results[0].state, answer.results[0].copies), ("partial", 1))

    def test_everyone_restarts_and_the_message_is_there(self) -> None:
        """The sender is gone for good; the disks are enough."""
        (sent,) = self.deposit(0, 1)
        for node in self.nodes:
            node.kill()
        self.nodes = [node.again() for node in self.nodes]
        self.network.run(10.0)
        reader = self.client(3)
        reader.watch(self.box)
        self.network.run(1.0)
        self.assertEqual([push.envelope for push in reader.all(Push)], [sent.encoded])


class RefusalTests(SessionTestCase):
    """Every named no."""

    def refused(self, client: Client, message: Message) -> str:
        answer = client.ask(message)
        assert isinstance(answer, ClientRefused), answer
        return answer.code

    def sent(self, client: Client, envelope: Envelope) -> str:
        answer = client.ask(Send((envelope.encoded,)))
        assert isinstance(answer, SendAnswer)
        return answer.results[0].state

    def test_inbox_and_outbox_do_not_mix(self) -> None:
        """In neither order."""
        inbox = self.client(0)
        inbox.watch(self.box)
        self.assertEqual(self.refused(inbox, Send((self.letter(1).encoded,))), "wrong-connection")
        self.assertEqual(self.refused(inbox, FindRecord(bytes(32))), "wrong-connection")
        outbox = self.client(0)
        outbox.ask(Send((self.letter(1).encoded,)))
        self.assertEqual(self.refused(outbox, outbox.lease(self.box)), "wrong-connection")

    def test_leases_that_open_nothing(self) -> None:
        """Another node's, another connection's, another origin's, an old one, another network's."""
        now = self.network.clock.seconds()
        for change in (
            {"node": self.nodes[1].id},
            {"challenge": b"d" * 32},
            {"origin": "http://n1"},
            {"now": now - 3600},
            {"now": now + 3600},
            {"network_id": b"x" * 32},
        ):
            client = self.client(0)
            self.assertEqual(self.refused(client, client.lease(self.box, **change)), "unauthorized")
            watch = StartWatch((self.box.id,), 64)
            self.assertEqual(self.refused(client, watch), "unauthorized")

    def test_acks_without_the_secret(self) -> None:
        """A wrong secret is malformed; a mailbox without a lease is not yours or not there."""
        (sent,) = self.deposit(0, 1)
        reader = self.client(0)
        reader.watch(self.box)
        good = self.box.tombstone(sent, 1)
        forged = good._replace(tombstone=good.tombstone[:36] + bytes(16) + good.tombstone[52:])
        answer = reader.ask(Ack((forged,)))
        assert isinstance(answer, AckAnswer)
        self.assertEqual(answer.results[0].code, "malformed")
        other = Box("other")
        elsewhere = other.envelope(1, self.network.clock.seconds())
        self.assertEqual(
            self.refused(reader, Ack((other.tombstone(elsewhere, 1),))), "unauthorized"
        )

    def test_envelopes_that_are_not_taken(self) -> None:
        """Expired, too far ahead, without a stamp, re-dated."""
        now = self.network.clock.seconds()
        client = self.client(0)
        self.assertEqual(self.sent(client, self.box.envelope(1, now, hours=0)), "expired")
        self.assertEqual(self.sent(client, self.box.envelope(1, now, hours=800)), "too-far-ahead")
        unstamped = Box("stranger", KIND_REQUESTS).envelope(1, now)
        answer = client.ask(Send((unstamped.encoded,)))
        assert isinstance(answer, SendAnswer)
        self.assertEqual(answer.results[0].state, "stamp-required")
        self.assertEqual(answer.results[0].detail, "4")

    def test_a_node_that_is_busy_storing_says_when_to_ask_again(self) -> None:
        self.patch(quorum, "MAX_UNDECIDED", 0)
        answer = self.client(0).ask(
            Send((self.box.envelope(1, self.network.clock.seconds()).encoded,))
        )
        assert isinstance(answer, SendAnswer)
        self.assertEqual(
            [(each.state, each.retry_after_ms) for each in answer.results], [("too-many", 1000)]
        )

    def test_garbage_ends_the_connection_with_a_word(self) -> None:
        """And nothing else happens to the node."""
        for data in (
            b"",
            b"\0",
            b"\1\5\0\0\0\1\xc1",
            encode_client_message(CaughtUp(bytes(32)), 1),
        ):
            client = self.client(0)
            client.session.received(data)
            self.network.run(0.1)
            self.assertEqual(client.all(ClientRefused)[-1].code, "protocol-error")
            self.assertTrue(client.closed)
        self.deposit(0, 1)

    def test_a_number_from_the_future_is_refused_and_the_connection_lives(self) -> None:
        """So that newer clients can ask."""
        client = self.client(0)
        client.session.received(b"\x7f\xff\0\0\0\x09\x90")
        self.assertEqual(
            client.inbox[-1][1], ClientRefused("unknown-message", "no message has number 32767")
        )
        client.ask(ClientPing())

    def test_too_many_unanswered_requests(self) -> None:
        """The ninth is refused, the others are answered."""
        client = self.client(0)
        for number in range(9):
            client.tell(Send((self.letter(number).encoded,)))
        self.network.run(1.0)
        self.assertEqual([r.code for r in client.all(ClientRefused)], ["too-many"])
        self.assertEqual(len(client.all(SendAnswer)), 8)

    def test_a_lease_that_is_not_renewed_ends_the_connection(self) -> None:
        """The node's clock says when; a renewed one goes on."""
        client, other = self.client(0), self.client(0)
        client.watch(self.box)
        other.watch(self.box)
        self.network.run(600)
        other.ask(other.lease(self.box))
        self.network.run(400)
        self.assertTrue(client.closed)
        self.assertFalse(other.closed)
        (sent,) = self.deposit(2, 1)
        self.network.run(1.0)
        self.assertEqual([push.envelope for push in other.all(Push)], [sent.encoded])


class KnowledgeTests(SessionTestCase):
    """Records, the network, the status."""

    def test_records_are_found_anywhere_and_the_highest_wins(self) -> None:
        """Published at one node, found at another; an older one is refused."""
        key = SigningKey.from_seed(b"u" * 48)
        hours = int(self.network.clock.seconds() // 3600) + 24
        older, newer = (
            UserRecord.sign(
                key,
                kind=KIND_DEVICE_LIST,
                device=NO_DEVICE,
                sequence=sequence,
                expires_hours=hours,
                payload=b"p%d" % sequence,
            )
            for sequence in (1, 2)
        )
        where = user_record_key(KIND_DEVICE_LIST, key.public)
        self.assertEqual(self.client(0).ask(FindRecord(where)), ClientRecord(b""))
        for record in (older, newer):
            answer = self.client(1).ask(PublishRecord(record.encoded))
            assert isinstance(answer, RecordPublished)
            self.assertEqual((answer.state, answer.of), ("stored", 3))
        for at in range(5):
            self.assertEqual(self.client(at).ask(FindRecord(where)), ClientRecord(newer.encoded))
        answer = self.client(1).ask(PublishRecord(older.encoded))
        assert isinstance(answer, ClientRefused)
        self.assertEqual(answer.code, "stale-sequence")

    def test_network_and_status(self) -> None:
        """Signed records with client URLs, the own one first; pointers, counts, a word."""
        self.deposit(0, 1)
        info = self.client(0).ask(GetNetwork())
        assert isinstance(info, NetworkInfo)
        self.assertEqual((len(info.records), info.members, info.state), (5, 5, "member"))
        status = self.client(0).ask(GetStatus())
        assert isinstance(status, StatusInfo)
        self.assertEqual((status.node_id, status.members), (self.nodes[0].id, 5))
        self.assertEqual(len(status.positions), 4)
        held = [self.client(at).ask(GetStatus()) for at in range(5)]
        self.assertEqual(sum(s.items for s in held if isinstance(s, StatusInfo)), 3)
        self.assertEqual((status.silent, status.silent_since), (0, 0))

    def test_status_in_a_part_of_the_network(self) -> None:
        """Those that died together are told of, and since when."""
        before = self.network.clock.seconds()
        for node in self.nodes[2:]:
            node.kill()
        self.network.run(60.0)
        status = self.client(0).ask(GetStatus())
        assert isinstance(status, StatusInfo)
        self.assertEqual((status.silent, status.members), (3, 2))
        self.assertTrue(before <= status.silent_since <= self.network.clock.seconds())
