"""What becomes of a request as it arrives: it is served, or refused, or the last one for now."""

from __future__ import annotations

import math

from tace.errors import RateLimited, Refusal, TooMany
from tace.links.rates import REFUSALS_SECONDS, Allowance
from tace.links.reading import Marks, ReadingGate
from tace.links.sending import SendBuffer
from tace.seams import Counters
from tace.wire.session import PeerSession

READ_FIRST_MS = 1000
"""When a peer that does not read the answers it has asked for may ask again."""


class Intake:
    """The bounds on what one proven peer asks.

    :param session: whose event in hand is asked about.
    :param out: where the answers wait.
    """

    def __init__(
        self,
        session: PeerSession,
        allowance: Allowance,
        gate: ReadingGate,
        out: SendBuffer,
        marks: Marks,
        counters: Counters,
    ) -> None:
        self._session = session
        self._allowance = allowance
        self._gate = gate
        self._out = out
        self._marks = marks
        self._counters = counters

    def refusal(self, now: float) -> Refusal | None:
        """The answer to the request in hand, if it is a no; None where it is to be served."""
        wait = self._allowance.take(now, self._session.frame_bytes)
        if wait > 0.0:
            self.tire(now)
            self._counters.count("link_requests_refused", why=RateLimited.code)
            return RateLimited("too fast", math.ceil(wait * 1000))
        if self._out.unsent_bytes < self._marks.shut:
            return None
        self._gate.watch()
        if self._session.in_flight == 0:
            self._counters.count("link_reading_stopped")
            self._gate.shut()
        elif self._out.unsent_bytes >= self._marks.refuse or not self._gate.may_lag():
            self._counters.count("link_requests_refused", why=TooMany.code)
            return TooMany("read the answers that wait first", READ_FIRST_MS)
        return None

    def takes_one_way(self, now: float) -> bool:
        """Is the one-way message in hand passed on? Else it is dropped, and counted."""
        if self._allowance.take(now, self._session.frame_bytes) == 0.0:
            return True
        self.tire(now)
        self._counters.count("link_one_way_dropped")
        return False

    def bears(self, now: float, forgeries: int) -> bool:
        """Is a peer that has sent so many more forged signatures still heard?"""
        return self._allowance.may_have_forged(now, forgeries)

    def tire(self, now: float) -> None:
        """Something is refused, whoever refuses it: that costs too, and is bounded too."""
        if not self._allowance.may_be_refused(now):
            self._counters.count("link_reading_rested")
            self._gate.rest(REFUSALS_SECONDS)
