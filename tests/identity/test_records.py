"""Node records, user records, leases and removals: what is signed, and what is not believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import BadRecord, Malformed, Unauthorized
from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import LEASE_SECONDS, REPLICA_LEASE_SECONDS, Lease, Removal
from tace.identity.node_record import MAX_RECORD_BYTES, Departure, NodeRecord
from tace.identity.user_record import (
    KIND_DEVICE,
    KIND_DEVICE_LIST,
    MAX_USER_RECORD_BYTES,
    NO_DEVICE,
    UserRecord,
    user_record_key,
)
from tace.ids import KIND_CONTACTS, KIND_REQUESTS, mailbox_id

KEY = SigningKey.from_seed(b"k" * 48)
NETWORK = b"n" * 32
NODE = b"N" * 32
NOW = 1_800_000_000


def node_record(**changes: Any) -> NodeRecord:
    fields: dict[str, Any] = {
        "peer_addresses": ("host:1",),
        "client_urls": ("https://host",),
        "boot": 7,
        "sequence": 3,
        "position_mask": 15,
        "expires_seconds": NOW,
        "zone": "z",
        "software": "s",
    }
    return NodeRecord.sign(KEY, NETWORK, **{**fields, **changes})


def user_record(**changes: Any) -> UserRecord:
    fields: dict[str, Any] = {
        "kind": KIND_DEVICE,
        "device": b"d" * 32,
        "sequence": 1,
        "expires_hours": 500_000,
        "payload": b"payload",
    }
    return UserRecord.sign(KEY, **{**fields, **changes})


class EveryByteTestCase(SynchronousTestCase):
    """What is signed holds byte for byte."""

    def assert_every_byte_counts(
        self, encoded: bytes, parse: Callable[[bytes], object], error: type[Exception]
    ) -> None:
        """One bit changed anywhere, or a byte more or less: refused, and by nothing else."""
        parse(encoded)
        for at in range(len(encoded)):
            changed = encoded[:at] + bytes([encoded[at] ^ 1]) + encoded[at + 1 :]
            self.assertRaises(error, parse, changed)
        for other in (b"", encoded[:-1], encoded + b"\0", encoded[1:], encoded * 2):
            self.assertRaises(error, parse, other)


class NodeRecordTests(EveryByteTestCase):
    """All that is believed of a node."""

    def parse(self, encoded: bytes) -> NodeRecord:
        return NodeRecord.parse(encoded, NETWORK)

    def test_there_and_back(self) -> None:
        """The same bytes, the same node, its places computed."""
        record = node_record(position_mask=0b1000_0001)
        parsed = self.parse(record.encoded)
        self.assertEqual(parsed.encoded, record.encoded)
        self.assertEqual(parsed.freshness, (7, 3))
        self.assertEqual([index for _, index in parsed.places], [0, 7])

    def test_every_byte_counts(self) -> None:
        """Also in another network nothing of it holds."""
        record = node_record()
        self.assert_every_byte_counts(record.encoded, self.parse, BadRecord)
        self.assertRaises(BadRecord, NodeRecord.parse, record.encoded, b"x" * 32)

    def test_departure(self) -> None:
        """Signed like the rest, and in no byte of a record that says nothing of it."""
        silent = node_record()
        self.assertEqual(node_record(departure=Departure.NONE).encoded[:-64], silent.encoded[:-64])
        for departure in (Departure.LEAVING, Departure.LEFT):
            record = node_record(departure=departure)
            # One element more, and a longer head of the array.
            self.assertEqual(len(record.encoded), len(silent.encoded) + 3)
            self.assertIs(self.parse(record.encoded).departure, departure)
            self.assert_every_byte_counts(record.encoded, self.parse, BadRecord)
        self.assertIs(self.parse(silent.encoded).departure, Departure.NONE)
        to_come: Any = 7
        self.assertIs(node_record(departure=to_come).departure, Departure.LEAVING)

    def test_signed_well_and_still_refused(self) -> None:
        """Larger than a record may be; fields outside their bounds."""
        large = ("h" * 128,) * 4
        for changes in (
            {"peer_addresses": large, "client_urls": large},
            {"peer_addresses": ("h" * 129,)},
            {"peer_addresses": ("h",) * 5},
            {"position_mask": 0},
            {"position_mask": 256},
            {"zone": "z" * 33},
            {"boot": 2**63},
            {"proof_of_work": bytes(65)},
        ):
            record = node_record(**changes)
            self.assertRaises(BadRecord, self.parse, record.encoded)
        self.assertLessEqual(len(node_record().encoded), MAX_RECORD_BYTES)

    @given(st.binary(max_size=1100))
    def test_anything_at_all(self, data: bytes) -> None:
        """One kind of error."""
        self.assertRaises(BadRecord, self.parse, data)


class UserRecordTests(EveryByteTestCase):
    """What replicas keep of a person."""

    def test_every_byte_counts(self) -> None:
        """In the frame, the payload and the signature."""
        self.assert_every_byte_counts(user_record().encoded, UserRecord.parse, BadRecord)

    def test_its_place(self) -> None:
        """By kind, identity and device."""
        record = user_record()
        self.assertEqual(record.key, user_record_key(KIND_DEVICE, KEY.public, b"d" * 32))
        self.assertNotEqual(record.key, user_record(device=b"e" * 32).key)

    def test_sizes(self) -> None:
        """Up to 8 KiB with its frame."""
        room = MAX_USER_RECORD_BYTES - len(user_record(payload=b"").encoded)
        self.assertEqual(len(user_record(payload=bytes(room)).encoded), MAX_USER_RECORD_BYTES)
        self.assertRaises(BadRecord, user_record, payload=bytes(room + 1))

    def test_kinds(self) -> None:
        """An unknown one, a list that names a device, a sequence out of range."""
        for changes in (
            {"kind": 3},
            {"kind": 0},
            {"kind": KIND_DEVICE_LIST},
            {"sequence": 2**63},
        ):
            self.assertRaises(BadRecord, user_record, **changes)
        user_record(kind=KIND_DEVICE_LIST, device=NO_DEVICE)

    def test_two_with_one_sequence_have_one_order_everywhere(self) -> None:
        """By their bytes, so that all replicas keep the same one."""
        one, other = user_record(payload=b"1"), user_record(payload=b"2")
        self.assertNotEqual(one.order, other.order)
        self.assertLess(max(one.order, other.order), user_record(sequence=2).order)

    @given(st.binary(max_size=300))
    def test_anything_at_all(self, data: bytes) -> None:
        """One kind of error."""
        self.assertRaises(BadRecord, UserRecord.parse, data)


class LeaseTests(SynchronousTestCase):
    """The owner's word that a node may collect."""

    def lease(self, **changes: Any) -> Lease:
        fields: dict[str, Any] = {
            "network_id": NETWORK,
            "node": NODE,
            "origin": "https://host",
            "challenge": b"c" * 32,
            "expires_seconds": NOW + LEASE_SECONDS,
        }
        return Lease.sign(KEY, KIND_CONTACTS, **{**fields, **changes})

    def opens(self, lease: Lease, **changes: Any) -> bool:
        where: dict[str, Any] = {"network_id": NETWORK, "node": NODE, "now": float(NOW)}
        try:
            found = lease.check(**{**where, **changes})
        except Unauthorized:
            return False
        self.assertEqual(found, mailbox_id(KEY.public, KIND_CONTACTS))
        return True

    def test_for_one_node_in_one_network(self) -> None:
        """Nobody else gets anything with it."""
        lease = self.lease()
        self.assertTrue(self.opens(lease))
        self.assertFalse(self.opens(lease, node=b"M" * 32))
        self.assertFalse(self.opens(lease, network_id=b"m" * 32))

    def test_every_field_is_signed(self) -> None:
        """Changed afterwards it opens nothing, and raises nothing else."""
        good = self.lease()
        names = ("mailbox_key", "kind", "origin", "challenge", "expires_seconds", "signature")
        fields: list[Any] = [getattr(good, name) for name in names]
        other = SigningKey.from_seed(b"o" * 48).public
        for at, value in enumerate(
            (other, KIND_REQUESTS, "https://hosT", b"x" * 32, NOW + 1, good.signature[::-1])
        ):
            self.assertFalse(self.opens(Lease(*[*fields[:at], value, *fields[at + 1 :]])))
        for at, value in ((0, bytes(33)), (1, 9), (1, 255), (2, "ö" * 101), (5, b"")):
            self.assertFalse(self.opens(Lease(*[*fields[:at], value, *fields[at + 1 :]])))

    def test_its_time(self) -> None:
        """Until its second; not from further ahead than replicas accept."""
        lease = self.lease()
        end = NOW + LEASE_SECONDS
        for now, opens in (
            (end - 0.001, True),
            (end, False),
            (end - REPLICA_LEASE_SECONDS, True),
            (end - REPLICA_LEASE_SECONDS - 0.001, False),
        ):
            self.assertEqual(self.opens(lease, now=now), opens, now)

    def test_it_does_not_show_itself(self) -> None:
        """Not in a log."""
        self.assertEqual(repr(self.lease()), "<Lease>")


class RemovalTests(EveryByteTestCase):
    """The owner's word on what nobody could unseal."""

    def test_every_byte_counts(self) -> None:
        """Key, kind, count, every id, every expiry, the signature."""
        removal = Removal.sign(KEY, KIND_CONTACTS, [(b"1" * 32, 500_000), (b"2" * 32, 500_001)])
        self.assert_every_byte_counts(removal.encoded, Removal.parse, Malformed)
        self.assertEqual(removal.mailbox, mailbox_id(KEY.public, KIND_CONTACTS))

    def test_how_many(self) -> None:
        """One to sixty-four."""
        items = [(bytes([n]) * 32, 500_000) for n in range(65)]
        self.assertEqual(len(Removal.sign(KEY, KIND_CONTACTS, items[:64]).items), 64)
        for count in (0, 65):
            self.assertRaises(ValueError, Removal.sign, KEY, KIND_CONTACTS, items[:count])

    @given(st.binary(max_size=300))
    def test_anything_at_all(self, data: bytes) -> None:
        """One kind of error."""
        self.assertRaises(Malformed, Removal.parse, data)
