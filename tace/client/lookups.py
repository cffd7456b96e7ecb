"""Keeping what is known of recipients fresh: who is to be looked up, and what follows from it."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from tace.client.connection import Connection
from tace.client.directory import Directory
from tace.client.errors import NeverOnline
from tace.client.sqlite import HomeDatabase
from tace.errors import Refusal

LOOKED_UP_FOR_SECONDS = 60.0
"""How long a recipient's records are taken as they are while the program runs."""
UNCONFIRMED_SECONDS = 30.0
RECHECK_SECONDS = 120.0
"""Somebody who has not confirmed a message for 30 s is looked up again, once since it was written
and then at most so often: their identity may have been restored on another device."""


class Lookups:
    """Looks recipients up for the outbox."""

    def __init__(self, database: HomeDatabase, directory: Directory, clock: IReactorTime) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock

    def outdated(self, now: float) -> list[bytes]:
        """Who has not confirmed for a while, and was not looked up since it was written, or not
        lately."""
        found: list[bytes] = []
        for identity, written_ms in self._database.waiting_peers(
            int((now - UNCONFIRMED_SECONDS) * 1000)
        ):
            peer = self._database.peer(identity)
            looked_up = peer.looked_up_seconds if peer is not None else 0.0
            if looked_up * 1000 < written_ms or not 0 <= now - looked_up < RECHECK_SECONDS:
                found.append(identity)
        return found

    async def look_up(
        self, connection: Connection, identity: bytes, max_age_seconds: float
    ) -> None:
        """Make sure that somebody's records are known and not older than that. What waits for
        them is encrypted anew where they have a device that it was not encrypted for.

        :raises NeverOnline: they have published none.
        :raises TaceError: the node did not say.
        """
        now = self._clock.seconds()
        peer = self._database.peer(identity)
        known = self._directory.devices(identity, now)
        age = now - peer.looked_up_seconds if peer is not None else None
        if age is not None and 0 <= age < max_age_seconds:
            if known:
                return
            raise NeverOnline("has never been online")
        await self._directory.look_up(connection, identity, now)
        current = {each.device for each in self._directory.devices(identity, now)}
        for outgoing in self._database.outgoing_of(identity):
            if outgoing.addressed and outgoing.device is None:
                reached = {each.device for each in self._database.parcels_of(outgoing.seq)}
                if current - reached:
                    # They have a device that it was not encrypted for.
                    self._database.set_addressed(outgoing.seq, False)

    async def try_look_up(
        self, connection: Connection, identity: bytes, max_age_seconds: float
    ) -> None:
        """The same; where it fails, what is known has to do."""
        try:
            await self.look_up(connection, identity, max_age_seconds)
        except (NeverOnline, Refusal):
            # Where nothing is known it stays in the outbox.
            return
