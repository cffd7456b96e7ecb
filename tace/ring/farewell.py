"""Leaving for a while: the word that this node will be back (page 2.4).

Those who hear it stop asking at once and keep its place, so that a restart moves no data.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import DeferredList

from tace.background import background
from tace.errors import Failure, Refusal
from tace.ids import NodeId
from tace.ring.membership import Membership
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
        membership = self._membership
        membership.describe(
            replace(membership.description, away_until_seconds=int(now + self._away_seconds))
        )
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
