"""A client that sends as fast as the node lets it, and notes what became of each letter."""

from __future__ import annotations

from itertools import count

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from tace.errors import Failure, Refusal
from tace.wire.objects import Envelope
from tests.letters import Box
from tests.smoke.stage.people import Sender
from tests.smoke.stage.waiting import until

STARTS_WITHIN_SECONDS = 10.0


class Load:
    """Letters to one mailbox, ``depth`` of them in flight, until the node refuses or is gone."""

    def __init__(self, sender: Sender, box: Box, depth: int) -> None:
        self.stored: dict[int, Envelope] = {}
        self.refused: dict[int, str] = {}
        """Letter number -> the node's word."""
        self.unanswered: list[int] = []
        self._sender = sender
        self._box = box
        self._numbers = count(1)
        self._lanes = [Deferred.fromCoroutine(self._lane()) for _ in range(depth)]

    async def under_way(self, letters: int) -> None:
        """Returns when at least so many are stored."""

        async def look() -> bool:
            return len(self.stored) >= letters

        await until(f"{letters} letters are stored", look, STARTS_WITHIN_SECONDS)

    async def over(self) -> None:
        """Returns when every letter has had its fate."""
        await gatherResults(self._lanes)

    async def _lane(self) -> None:
        for number in self._numbers:
            letter = self._box.envelope(number, reactor.seconds())
            try:
                result = await self._sender.send_one(letter)
            except Refusal as refusal:
                self.refused[number] = refusal.code
                return
            except Failure:
                self.unanswered.append(number)
                return
            if result.state == "stored":
                self.stored[number] = letter
            else:
                self.refused[number] = result.state
