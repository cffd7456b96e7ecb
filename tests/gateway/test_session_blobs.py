"""Blobs over a client session: who may, what is taken, how many at one time."""

from __future__ import annotations

from tace.gateway.session import MAX_BLOBS_UNDER_WAY
from tace.wire.client import (
    BlobFound,
    BlobStored,
    ClientRefused,
    GetBlob,
    PutBlob,
    encode_client_message,
)
from tace.wire.message import Message
from tace.wire.objects import Blob
from tests.delivery.nodes import stamped_blob
from tests.gateway.test_session import Client, SessionTestCase


def put(blob: Blob) -> PutBlob:
    return PutBlob(blob.data, blob.expires_hours, blob.stamp_target, blob.stamp_nonce)


class BlobTestCase(SessionTestCase):
    """Five nodes, three replicas."""

    def blob(self, number: int, *, hours: int = 24, bits: int = 4) -> Blob:
        return stamped_blob(number, self.network.clock.seconds(), hours=hours, bits=bits)

    def refused(self, client: Client, message: Message) -> ClientRefused:
        answer = client.ask(message, within=10.0)
        assert isinstance(answer, ClientRefused), answer
        return answer

    def got(self, at: int, name: bytes) -> bytes:
        answer = self.client(at).ask(GetBlob(name))
        assert isinstance(answer, BlobFound), answer
        return answer.blob


class TransferTests(BlobTestCase):
    """What is put at one node is got at every other."""

    def test_put_here_and_got_everywhere(self) -> None:
        """Byte for byte; putting it again is harmless; what nobody has is empty."""
        one = self.blob(1)
        for _ in range(2):
            answer = self.client(0).ask(put(one))
            assert isinstance(answer, BlobStored), answer
            self.assertEqual((answer.state, answer.of), ("stored", 3))
            self.assertGreaterEqual(answer.copies, 2)
        self.network.run(1.0)
        for at in range(5):
            self.assertEqual(self.got(at, one.hash), one.data)
        self.assertEqual(self.got(0, self.blob(2).hash), b"")

    def test_everyone_restarts_and_it_is_there(self) -> None:
        """The disks are enough."""
        one = self.blob(1)
        self.client(0).ask(put(one))
        for node in self.nodes:
            node.kill()
        self.nodes = [node.again() for node in self.nodes]
        self.network.run(10.0)
        self.assertEqual(self.got(3, one.hash), one.data)

    def test_replicas_gone(self) -> None:
        """Two of three: ``partial``, to be put again."""
        one = self.blob(1)
        replica_set = self.nodes[0].core.membership.replica_set(one.hash)
        at = next(i for i, node in enumerate(self.nodes) if node.id in replica_set.members)
        for node in self.nodes:
            if node.id in replica_set.members and node is not self.nodes[at]:
                node.kill()
        answer = self.client(at).ask(put(one), within=10.0)
        self.assertEqual(answer, BlobStored("partial", 1, 3))
        self.assertEqual(self.got(at, one.hash), one.data)


class RefusalTests(BlobTestCase):
    """Every named no."""

    def test_only_on_an_outbox(self) -> None:
        """Both commands; and they make an undecided connection one."""
        inbox = self.client(0)
        inbox.watch(self.box)
        for command in (put(self.blob(1)), GetBlob(bytes(32))):
            self.assertEqual(self.refused(inbox, command).code, "wrong-connection")
            outbox = self.client(0)
            outbox.ask(command)
            refused = self.refused(outbox, outbox.lease(self.box))
            self.assertEqual(refused.code, "wrong-connection")

    def test_blobs_that_are_not_taken(self) -> None:
        """With the bits wanted in the detail where it is the stamp."""
        client = self.client(0)
        stamp = self.refused(client, put(self.blob(1, bits=3)))
        self.assertEqual((stamp.code, stamp.detail), ("stamp-required", "4"))
        self.assertEqual(self.refused(client, put(self.blob(2, hours=0))).code, "expired")
        far = self.refused(client, put(self.blob(3, hours=24 * 31)))
        self.assertEqual(far.code, "too-far-ahead")
        self.assertFalse(client.closed)

    def test_a_blob_of_another_length(self) -> None:
        """Breaks the protocol: the connection ends."""
        for change in (-1, 1):
            client = self.client(0)
            whole = put(self.blob(1))
            data = whole.blob[:change] if change < 0 else whole.blob + b"x"
            broken = PutBlob(data, whole.expires_hours, whole.stamp_target, whole.stamp_nonce)
            client.session.received(encode_client_message(broken, 1))
            self.assertEqual(client.all(ClientRefused)[-1].code, "protocol-error")
            self.assertTrue(client.closed)

    def test_full(self) -> None:
        """With a time to come again."""
        for node in self.nodes:
            node.store._max_bytes = 1
        refused = self.refused(self.client(0), put(self.blob(1)))
        self.assertEqual((refused.code, refused.retry_after_ms), ("full", 60_000))

    def test_too_few_can_be_asked(self) -> None:
        """Not the same as that nobody has it."""
        name = self.blob(1).hash
        replica_set = self.nodes[0].core.membership.replica_set(name)
        at = next(i for i, node in enumerate(self.nodes) if node.id not in replica_set.members)
        for node in self.nodes:
            if node.id in replica_set.members:
                self.network.partition([self.nodes[at].id], [node.id])
        self.nodes[at].core.blob_repair._replica.partial = True
        refused = self.refused(self.client(at), GetBlob(name))
        self.assertEqual(refused.code, "not-stored")
        self.assertGreater(refused.retry_after_ms, 0)

    def test_so_many_at_one_time(self) -> None:
        """Of puts and gets together; other requests go on, and afterwards there is room."""
        client = self.client(0)
        ids = [client.tell(put(self.blob(n))) for n in range(MAX_BLOBS_UNDER_WAY)]
        over = client.tell(GetBlob(bytes(32)))
        self.assertIn((over, "too-many"), self.refusals(client))
        self.network.run(5.0)
        stored = {found for found, message in client.inbox if isinstance(message, BlobStored)}
        self.assertEqual(stored, set(ids))
        self.assertIsInstance(client.ask(GetBlob(bytes(32))), BlobFound)

    def refusals(self, client: Client) -> list[tuple[int, str]]:
        return [(n, m.code) for n, m in client.inbox if isinstance(m, ClientRefused)]

    def test_so_many_of_one_address(self) -> None:
        """However many connections it has; another address, and this machine, are not hindered."""
        groups = ("192.0.2.1",) * 5 + ("192.0.2.2", "")
        clients = [Client(self.network, self.nodes[0], group=group) for group in groups]
        for client in clients:
            client.session._services = clients[0].session._services
        for client in clients[:4]:
            for number in range(MAX_BLOBS_UNDER_WAY):
                client.tell(GetBlob(bytes([number]) * 32))
        for client, code in zip(clients[4:], ("too-many", None, None), strict=True):
            asked = client.tell(GetBlob(bytes(32)))
            self.assertEqual(dict(self.refusals(client)).get(asked), code)
        self.network.run(10.0)
        self.assertEqual(len(clients[0].session._services.blob_transfers), 0)
        self.assertIsInstance(clients[4].ask(GetBlob(bytes(32))), BlobFound)
