"""New devices of people: whether their owner's list names them, before anything of them is shown.

The certificate alone would let a device that was removed from the list go on for up to 30 days.
"""

from __future__ import annotations

from contextlib import suppress

from tace.client.directory import device_list
from tace.client.errors import NeverOnline
from tace.client.events import UserEvents
from tace.client.lookups import LOOKED_UP_FOR_SECONDS
from tace.client.outbox import Outbox
from tace.client.rows import Listing
from tace.client.sqlite import HomeDatabase
from tace.client.strangers import Strangers


class NewDevices:
    """The devices of one home's people that are to be looked up."""

    def __init__(self, database: HomeDatabase, outbox: Outbox, events: UserEvents) -> None:
        self._database = database
        self._outbox = outbox
        self._events = events
        self._strangers = Strangers(database)

    def waiting(self) -> list[tuple[bytes, bytes]]:
        """(person, device) of those that may be looked up: who was not let in makes us ask
        nobody."""
        return [
            (identity, device)
            for identity, device in self._database.unchecked_devices()
            if self._strangers.admits(self._database.peer(identity))
        ]

    async def check(self) -> None:
        """Look them up; one that is not listed is told of, and then shown as well.

        :raises NoNode: none could be asked; they stay unchecked.
        """
        for identity, device in self.waiting():
            with suppress(NeverOnline):
                await self._outbox.look_up(identity, LOOKED_UP_FOR_SECONDS)
            peer = self._database.peer(identity)
            found = None if peer is None else peer.device_list
            if found is None or device in device_list(found):
                self._database.set_listing(identity, device, Listing.KNOWN)
            else:
                self._database.set_listing(identity, device, Listing.UNLISTED)
                self._events.unlisted(identity)
