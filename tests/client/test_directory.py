"""What a directory makes of the records that a node hands out."""

from __future__ import annotations

from tace.client.errors import NeverOnline
from tace.e2ee.records import DeviceList, record_expiry_hours
from tace.identity.user_record import (
    KIND_DEVICE_LIST,
    NO_DEVICE,
    UserRecord,
    user_record_key,
)
from tests.client.people import Person
from tests.client.test_user import DAY, World


class Lists(World):
    """Lists that their owner signed, and that are of no use all the same."""

    NODES = 2

    def published(self, person: Person) -> UserRecord:
        return self.store.records[user_record_key(KIND_DEVICE_LIST, person.identity)]

    def publish(self, record: UserRecord) -> None:
        self.store.records[record.key] = record

    def publish_newer_version(self, person: Person) -> None:
        """A list that this version cannot read."""
        now = self.clock.seconds()
        record = UserRecord.sign(
            person.code.identity(),
            kind=KIND_DEVICE_LIST,
            device=NO_DEVICE,
            sequence=self.published(person).sequence + 1,
            expires_hours=record_expiry_hours(now),
            payload=b"\x92\x02\x90",
        )
        self.publish(record)

    def test_nobody_is_found_by_it(self) -> None:
        """It is no list, and that is not the node's fault: every node is still asked."""
        self.publish_newer_version(self.bob)
        with self.assertRaises(NeverOnline):
            self.alice.send(self.bob, "hello")

    def test_what_was_known_holds(self) -> None:
        """Whom we found before we still reach."""
        self.alice.send(self.bob, "hello")
        self.bob.receive()
        self.publish_newer_version(self.bob)
        self.clock.advance(120.0)
        self.assertEqual(self.alice.send(self.bob, "again").state, "stored")

    def test_one_that_is_over_does_not_come_back(self) -> None:
        """It tells older records from newer ones, and nobody is written to by it."""
        self.alice.send(self.bob, "hello")
        known = self.published(self.bob)
        self.clock.advance(31 * DAY)
        listed = DeviceList.of(known)
        for later in range(1, 30 * 24):
            replayed = DeviceList.sign(
                self.bob.code.identity(),
                listed.devices,
                sequence=known.sequence,
                expires_hours=record_expiry_hours(self.clock.seconds()) - later,
            ).record
            if replayed.order < known.order:
                break
        else:
            self.fail("no record of a lower hash was found")
        self.publish(replayed)
        with self.assertRaises(NeverOnline):
            self.alice.send(self.bob, "hello again")
