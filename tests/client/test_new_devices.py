"""A person's new device: its owner's list is looked at before anything of it is shown."""

from __future__ import annotations

from dataclasses import replace

from tace.client.own import rename
from tace.client.rows import Introduction, Listing, PeerDevice
from tace.errors import NotStored
from tace.identity.user_record import KIND_DEVICE_LIST, user_record_key
from tace.wire.client import FindRecord
from tests.client.fakes import let_pass
from tests.client.people import Person
from tests.client.test_user import World


class Lists(World):
    """Bob has moved to another device; the old one still writes."""

    def setUp(self) -> None:
        super().setUp()
        self.clock.advance(10.0)
        self.again = Person(self.network, self.directory / "bob2", "Bob", code=self.bob.code)
        self.again.receive()
        self.again.send(self.alice, "from the new one")
        self.alice.receive()
        self.alice.send(self.again, "to the new one")

    def test_said_before_it_is_shown(self) -> None:
        """By a command, and by a program that stays."""
        self.alice.screen.said.clear()
        self.bob.send(self.alice, "from the old one")
        self.alice.receive()
        self.assertEqual(self.alice.screen.said, ["unlisted", "from the old one"])

    def test_said_before_it_is_shown_by_a_follower(self) -> None:
        """Likewise; what it sends next is shown without another look."""
        self.follow(self.alice)
        self.alice.screen.said.clear()
        self.bob.send(self.alice, "from the old one")
        let_pass(self.clock, 5.0)
        self.bob.send(self.alice, "again")
        let_pass(self.clock, 5.0)
        self.assertEqual(self.alice.screen.said, ["unlisted", "from the old one", "again"])

    def test_no_list_to_be_had(self) -> None:
        """It waits until the list was looked at, by whichever program."""
        node = self.network.nodes[0]
        self.bob.send(self.alice, "from the old one")
        own = user_record_key(KIND_DEVICE_LIST, self.alice.identity)
        looked_up: list[bytes] = []

        def refuse(request: object) -> NotStored | None:
            if isinstance(request, FindRecord) and request.key != own:
                looked_up.append(request.key)
                return NotStored("not now")
            return None

        node.refuse = refuse
        self.assertEqual(self.alice.receive(), [])
        self.assertTrue(looked_up)
        node.refuse = lambda request: None
        self.alice.screen.said.clear()
        self.assertEqual(self.alice.receive(), ["from the old one"])
        self.assertEqual(self.alice.screen.said, ["unlisted", "from the old one"])

    def test_kept_for_the_user_to_see(self) -> None:
        """The device stays known as one that is not listed."""
        self.bob.send(self.alice, "from the old one")
        self.alice.receive()
        home = self.alice.program().home
        self.addCleanup(home.close)
        listings = {
            device.device: device.listing for device in home.database.devices(self.bob.identity)
        }
        self.assertEqual(sorted(listings.values()), [Listing.KNOWN, Listing.UNLISTED])


class Introducing(World):
    """Our name and mailbox ride along until the device confirmed something that had them."""

    def device(self) -> PeerDevice:
        home = self.alice.program().home
        self.addCleanup(home.close)
        (device,) = home.database.devices(self.bob.identity)
        return device

    def test_confirmed_by_what_they_rode_with(self) -> None:
        """The ordinary course."""
        self.alice.send(self.bob, "one")
        self.assertIs(self.device().introduction, Introduction.SENT)
        self.bob.receive()
        self.alice.receive()
        self.assertIs(self.device().introduction, Introduction.CONFIRMED)

    def test_not_by_what_had_no_room_for_them(self) -> None:
        """A receipt for a part that filled its message says nothing of them."""
        full = "x" * 2000
        self.alice.send(self.bob, full)
        self.assertIs(self.device().introduction, Introduction.NOT_SENT)
        user = self.alice.program()
        # As if they had ridden with something that was lost on its way.
        database = user.home.database
        (device,) = database.devices(self.bob.identity)
        database.set_device(replace(device, introduction=Introduction.SENT))
        user.home.close()
        self.assertEqual(self.bob.receive(), [full])
        self.alice.receive()
        self.assertIs(self.device().introduction, Introduction.SENT)
        self.alice.send(self.bob, "short")
        self.assertEqual(self.bob.receive(), ["short"])
        self.alice.receive()
        self.assertIs(self.device().introduction, Introduction.CONFIRMED)
        home = self.bob.program().home
        self.addCleanup(home.close)
        (peer,) = home.database.peers_named("Alice")
        self.assertEqual(peer.identity, self.alice.identity)

    def test_another_name(self) -> None:
        """Everybody learns it with the next message."""
        self.alice.send(self.bob, "one")
        self.bob.receive()
        self.alice.receive()
        home = self.alice.program().home
        rename(home.database, "Alicia")
        home.close()
        self.alice.send(self.bob, "two")
        self.bob.receive()
        home = self.bob.program().home
        self.addCleanup(home.close)
        peer = home.database.peer(self.alice.identity)
        assert peer is not None
        self.assertEqual(peer.name, "Alicia")


class Moving(World):
    """Somebody who does not confirm may have moved."""

    def test_looked_up_once_since_it_was_written(self) -> None:
        """Half a minute after it was written, though they were looked up a minute before."""
        user = self.follow(self.alice)
        user.write(self.bob.identity, "one")
        let_pass(self.clock, 10.0)
        self.bob.receive()
        again = Person(self.network, self.directory / "bob2", "Bob", code=self.bob.code)
        again.receive()
        let_pass(self.clock, 40.0)
        self.network.requests.clear()
        user.write(self.bob.identity, "two")
        let_pass(self.clock, 29.0)
        self.assertEqual(self.network.sent(FindRecord), [])
        let_pass(self.clock, 6.0)
        self.assertEqual(again.receive(), ["two"])
        looked_up = len(self.network.sent(FindRecord))
        # Confirmed: nobody is looked up any more.
        let_pass(self.clock, 300.0)
        self.assertLessEqual(len(self.network.sent(FindRecord)), looked_up + 1)
