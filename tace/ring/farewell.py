"""A node's last words: that it will be back, that it leaves for good, that it has left (page 2.4).

Those who hear that it will be back stop asking at once and keep its place, so that a restart moves
no data. Those who hear that it leaves have the next nodes take its place.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import DeferredList

from tace.background import background
from tace.errors import Failure, Refusal
from tace.identity.node_record import Departure
from tace.ids import NodeId
from tace.ring.membership import Membership, OwnDescription
from tace.seams import Counters, Links
from tace.wire.peer import Ping, Records

HEARD_WITHIN_SECONDS = 1.0
"""Who has not said by then that it has read the word will hear it from others, or not at all."""


class Farewell:
    """Says this node's last words to everyone it is linked with.

    :param away_seconds: for how long its place is to be kept.
    """

    def __init__(
        self, membership: Membership, links: Links, counters: Counters, *, away_seconds: float
    ) -> None:
        self._membership = membership
        self._links = links
        self._counters = counters
        self._away_seconds = away_seconds

    async def say(self, now: float) -> int:
        """Sign a record with ``away until`` and send it over every open link.

        Returns how many said, in time, that they have read it.
        """
        until = int(now + self._away_seconds)
        return await self._tell_all(replace(self._membership.description, away_until_seconds=until))

    async def say_leaving(self) -> int:
        """Sign a record that says that this node leaves, and send it over every open link.

        Returns how many said, in time, that they have read it. The others hear it from them.
        """
        return await self._say(Departure.LEAVING)

    async def say_left(self) -> int:
        """The same for: it is gone, and will not be back."""
        return await self._say(Departure.LEFT)

    async def _say(self, departure: Departure) -> int:
        return await self._tell_all(replace(self._membership.description, departure=departure))

    async def _tell_all(self, description: OwnDescription) -> int:
        membership = self._membership
        membership.describe(description)
        word = Records((membership.current.encoded,))
        heard = 0

        async def tell(node: NodeId) -> None:
            nonlocal heard
            if not self._links.send(node, word):
                return
            try:
                # Frames arrive in the order they were sent: who answers this has read the word.
                await self._links.call(node, Ping(), timeout_seconds=HEARD_WITHIN_SECONDS)
            except (Failure, Refusal):
                self._counters.count("farewells_unheard_total")
                return
            heard += 1

        await DeferredList([background("say farewell", tell(node)) for node in self._links.up()])
        return heard
