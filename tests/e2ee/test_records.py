"""Device lists and device records."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.records import (
    MAX_DEVICES,
    DeviceList,
    DeviceRecord,
    ListedDevice,
    newest,
    next_sequence,
    record_expiry_hours,
)
from tace.errors import BadRecord, Expired, StaleSequence
from tace.identity.user_record import (
    KIND_DEVICE,
    KIND_DEVICE_LIST,
    MAX_USER_RECORD_BYTES,
    NO_DEVICE,
    UserRecord,
)
from tests.e2ee.people import NOW, Person

ANN, BEN = Person("ann"), Person("ben")


def _list(*devices: ListedDevice, sequence: int = 1, expires_hours: int = 600_000) -> DeviceList:
    return DeviceList.sign(ANN.identity, devices, sequence=sequence, expires_hours=expires_hours)


def _signed(kind: int, device: bytes, *payload: object) -> bytes:
    """A record whose signature is right, whatever the payload."""
    record = UserRecord.sign(
        ANN.identity,
        kind=kind,
        device=device,
        sequence=1,
        expires_hours=600_000,
        payload=msgspec.msgpack.encode(payload),
    )
    return record.encoded


class DeviceListTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """The devices come back, verified."""
        made = _list(ListedDevice(ANN.own.id, 5), ListedDevice(BEN.own.id, 6))
        found = DeviceList.parse(made.record.encoded)
        self.assertEqual(made, found)
        self.assertEqual(ANN.identity.public, found.identity)
        self.assertIn(ANN.own.id, found)
        self.assertNotIn(bytes(32), found)

    def test_bounds(self) -> None:
        """Eight fit, nine do not, and none twice."""
        devices = [ListedDevice(bytes([n]) * 32, n) for n in range(MAX_DEVICES + 1)]
        self.assertEqual(MAX_DEVICES, len(_list(*devices[:-1]).devices))
        self.assertRaises(BadRecord, _list, *devices)
        self.assertRaises(BadRecord, _list, devices[0], ListedDevice(devices[0].device, 9))

    def test_unknown_trailing_fields_are_ignored(self) -> None:
        """A newer client may say more."""
        encoded = _signed(
            KIND_DEVICE_LIST, NO_DEVICE, 1, [[ANN.own.id, 5, "more"]], {"still": "more"}
        )
        self.assertEqual((ListedDevice(ANN.own.id, 5),), DeviceList.parse(encoded).devices)

    def test_other_payloads(self) -> None:
        """Another version, another type, or a device record are refused."""
        for encoded in (
            _signed(KIND_DEVICE_LIST, NO_DEVICE, 2, []),
            _signed(KIND_DEVICE_LIST, NO_DEVICE, 1, [[b"short", 5]]),
            _signed(KIND_DEVICE_LIST, NO_DEVICE, 1, "x"),
            ANN.record.record.encoded,
        ):
            self.assertRaises(BadRecord, DeviceList.parse, encoded)


class DeviceRecordTests(SynchronousTestCase):
    def _payload(self, **changes: object) -> list[object]:
        record = ANN.record
        fields: dict[str, object] = {
            "version": 1,
            "device_key": record.device_key,
            "inbox_key": record.inbox_key,
            "requests_key": record.requests_key,
            "prekey_id": record.prekey_id,
            "prekey": record.prekey,
            "kem_prekey": record.kem_prekey,
        }
        return list((fields | changes).values())

    def test_round_trip(self) -> None:
        """Everything needed to write to the device, well below the limit of a record."""
        found = DeviceRecord.parse(ANN.record.record.encoded)
        self.assertEqual(ANN.record, found)
        self.assertEqual(ANN.keys.requests_mailbox, found.requests_mailbox)
        self.assertEqual(ANN.own.id, found.device)
        self.assertEqual(ANN.prekey.kem_public, found.kem_prekey)
        self.assertLess(len(found.record.encoded), MAX_USER_RECORD_BYTES // 4)

    def test_the_payload_as_made_here_is_taken(self) -> None:
        """So that the refusals below are for the change alone."""
        encoded = _signed(KIND_DEVICE, ANN.own.id, *self._payload(), "unknown, later")
        self.assertEqual(ANN.own.id, DeviceRecord.parse(encoded).device)

    def test_refused(self) -> None:
        """Points off the curve, wrong sizes, one key twice, a device id of another key."""
        record = ANN.record
        off_curve = b"\x02" + b"\xff" * 32
        for changes in (
            {"version": 2},
            {"device_key": off_curve},
            {"inbox_key": off_curve},
            {"requests_key": b"\x04" + record.requests_key[1:]},
            {"prekey": off_curve},
            {"prekey": record.inbox_key},
            {"inbox_key": record.record.identity},
            {"prekey_id": 0},
            {"prekey_id": 1 << 32},
            {"kem_prekey": record.kem_prekey[:-1]},
            {"kem_prekey": b"\xff" * 1184},
            {"device_key": BEN.record.device_key},
        ):
            encoded = _signed(KIND_DEVICE, ANN.own.id, *self._payload(**changes))
            self.assertRaises(BadRecord, DeviceRecord.parse, encoded)

    def test_not_a_device_record(self) -> None:
        """A device list is something else."""
        encoded = _list(ListedDevice(ANN.own.id, 5)).record.encoded
        self.assertRaises(BadRecord, DeviceRecord.parse, encoded)

    def test_signed_by_another_identity(self) -> None:
        """A record whose identity was exchanged does not verify."""
        encoded = ANN.record.record.encoded
        changed = encoded.replace(ANN.identity.public, BEN.identity.public)
        self.assertNotEqual(encoded, changed)
        self.assertRaises(BadRecord, DeviceRecord.parse, changed)


class NewestTests(SynchronousTestCase):
    def test_goes_forward_only(self) -> None:
        """A later sequence replaces, an earlier one is refused, the same again changes nothing."""
        older, newer = _list(sequence=1).record, _list(sequence=2).record
        self.assertIs(older, newest(None, older, NOW))
        self.assertIs(newer, newest(older, newer, NOW))
        self.assertIs(newer, newest(newer, newer, NOW))
        self.assertRaises(StaleSequence, newest, newer, older, NOW)

    def test_same_sequence_same_choice(self) -> None:
        """Of two records with one sequence every client goes by the same, whichever came first."""
        one = _list(sequence=3).record
        other = _list(ListedDevice(ANN.own.id, 5), sequence=3).record
        self.assertIs(newest(one, other, NOW), newest(other, one, NOW))

    def test_over(self) -> None:
        """A record that has ended is not taken."""
        record = _list(expires_hours=int(NOW) // 3600).record
        self.assertRaises(Expired, newest, None, record, NOW)

    def test_sequence_outdoes_what_was_forgotten(self) -> None:
        """Above the one known and above all earlier seconds."""
        self.assertEqual(1000, next_sequence(5, 1000.9))
        self.assertEqual(1001, next_sequence(1000, 1000.9))

    def test_expiry(self) -> None:
        """Thirty days on, in whole hours."""
        self.assertEqual(500_000 + 720, record_expiry_hours(500_000 * 3600 + 3599))
