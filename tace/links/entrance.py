"""Who may come in: connections that have proved nothing yet, shared out among addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime

from tace.config import LinksSettings
from tace.limits import AddressCounts, Admission, BucketTable, address_group, is_loopback
from tace.links.connection import Link
from tace.links.misconduct import Misconduct

ACCEPT_BURST_SECONDS = 8.0
"""So many seconds' worth of connections may come from one address at once: several nodes that
restart behind it."""
YOUNG_SECONDS = 1.0
"""A handshake and a hello take three round trips and some milliseconds of work. What is older may
have to make room for a newcomer of its own address: an honest node behind it gets its turn."""
MAX_ADDRESSES = 4096
"""Address groups whose rate of connections is remembered."""


class _Place(NamedTuple):
    group: str
    since: float


class Entrance:
    """The connections that came in and are not proved, at most ``max_unproved``.

    When all places are taken, a connection from an address group that holds fewer than another
    takes the oldest place of the group that holds most; one from a group that holds as many does
    so once that place is a second old. So one address, or a few, can fill the places and still keep
    nobody out; the more places a flood holds, the sooner it loses them.

    Whoever is turned away is cut before TLS, without a word: nothing has been said yet that could
    be answered.

    :param open_connections: how many connections of links there are in all, those included that
        are proved or being closed. They are bounded by ``max_links + max_unproved``.
    """

    def __init__(
        self,
        settings: LinksSettings,
        clock: IReactorTime,
        misconduct: Misconduct,
        open_connections: Callable[[], int],
    ) -> None:
        self._max_open = settings.max_links + settings.max_unproved
        self._clock = clock
        self._misconduct = misconduct
        self._open_connections = open_connections
        self._counts = AddressCounts(0, settings.max_unproved)
        self._inside: dict[Link, _Place] = {}
        per_second = settings.accepts_per_second
        self._rates: BucketTable[str] | None = None
        if per_second:
            burst = max(1.0, per_second * ACCEPT_BURST_SECONDS)
            self._rates = BucketTable(per_second, burst, MAX_ADDRESSES)

    def __len__(self) -> int:
        """How many have not proved themselves."""
        return len(self._inside)

    def may_enter(self, host: str) -> bool:
        """May a connection from this address come in? Where it may, there is room for it."""
        group = address_group(host)
        reason = self._reason_against(host, group)
        if reason:
            self._misconduct.report(group, reason, "cut before it said anything")
        return not reason

    def add(self, link: Link) -> None:
        """It has come in."""
        self._inside[link] = _Place(link.address_group, self._clock.seconds())
        self._counts.add(link.address_group)

    def remove(self, link: Link) -> None:
        """It is proved, or gone, or does not count any more."""
        place = self._inside.pop(link, None)
        if place is not None:
            self._counts.release(place.group)

    def _reason_against(self, host: str, group: str) -> str:
        if (
            self._rates is not None
            and not is_loopback(host)
            and self._rates.take(group, self._clock.seconds()) > 0.0
        ):
            return "connects-too-often"
        if self._open_connections() >= self._max_open:
            return "too-many-connections"
        if self._counts.would_admit(group) is Admission.FULL and not self._displace(group):
            return "too-many-unproved"
        return ""

    def _displace(self, group: str) -> bool:
        """Cut the oldest of the group that holds most, where ``group`` has a right to its place."""
        largest = self._counts.largest_group()
        oldest, place = next(
            (link, place) for link, place in self._inside.items() if place.group == largest
        )
        fewer = self._counts.in_group(group) < self._counts.in_group(place.group)
        if not fewer and self._clock.seconds() - place.since < YOUNG_SECONDS:
            return False
        self.remove(oldest)
        oldest.abort("displaced")
        return True
