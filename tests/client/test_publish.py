"""Our own records, and nodes that refuse them."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tace.client.publish import PUBLISHED_FOR_SECONDS
from tace.e2ee.prekeys import Prekey
from tace.e2ee.records import DeviceRecord
from tace.identity.user_record import KIND_DEVICE, KIND_DEVICE_LIST, UserRecord, user_record_key
from tace.wire.client import PublishRecord
from tests.client.fakes import run
from tests.client.test_user import World


class Outdone(World):
    """The network has a newer record than the home."""

    def published(self) -> list[UserRecord]:
        return [UserRecord.parse(message.record) for message in self.network.sent(PublishRecord)]

    def outdo(self, ahead: int) -> bytes:
        """Publish a device record of Bob's with another prekey; its key."""
        user = self.bob.program()
        own, prekeys = user.home.own, user.home.database.prekeys()
        user.home.close()
        key = user_record_key(KIND_DEVICE, own.public, own.keys.id)
        old = self.store.records[key]
        prekey = Prekey.generate(
            self.bob.random.randbytes,
            prekey_id=Prekey.from_bytes(prekeys[0]).id + 1,
            now=self.clock.seconds(),
            listed_until_hours=old.expires_hours,
        )
        newer = DeviceRecord.sign(
            own.identity,
            own.keys,
            prekey,
            sequence=old.sequence + ahead,
            expires_hours=old.expires_hours,
        )
        self.store.records[key] = newer.record
        return key

    def test_a_home_that_was_set_back(self) -> None:
        """Its record is signed anew, above the one that it does not remember."""
        key = self.outdo(ahead=1_000_000)
        outdone = self.store.records[key].sequence
        self.clock.advance(PUBLISHED_FOR_SECONDS + 1.0)
        self.bob.receive()
        self.assertEqual(self.store.records[key].sequence, outdone + 1)
        self.alice.send(self.bob, "one")
        self.assertEqual(self.bob.receive(), ["one"])
        self.network.requests.clear()
        self.bob.receive()
        self.assertEqual(self.published(), [])

    def test_a_word_that_is_not_stored(self) -> None:
        """A state that is neither stored nor partial refuses by that word."""
        self.network.nodes[0].publish_state = "stale-sequence"
        self.network.requests.clear()
        self.clock.advance(PUBLISHED_FOR_SECONDS + 1.0)
        self.bob.receive()
        first, second, *_ = self.published()
        self.assertEqual((first.kind, second.kind), (KIND_DEVICE, KIND_DEVICE))
        self.assertGreater(second.sequence, first.sequence)
        self.network.nodes[0].publish_state = "stored"
        self.bob.receive()
        self.assertEqual(self.published()[-1].kind, KIND_DEVICE_LIST)


class Elsewhere(World):
    """A node that takes no records, beside one that does."""

    NODES = 2

    def test_another_node_is_asked(self) -> None:
        """The next flush of the same program hands them to the other one."""
        self.network.nodes[0].publish_state = "full"
        self.clock.advance(PUBLISHED_FOR_SECONDS + 1.0)
        user = self.alice.program()
        for _ in range(2):
            run(self.clock, Deferred.fromCoroutine(user.flush()))
        self.network.requests.clear()
        run(self.clock, Deferred.fromCoroutine(user.flush()))
        run(self.clock, Deferred.fromCoroutine(user.close()))
        user.home.close()
        self.assertEqual(self.network.sent(PublishRecord), [])
