"""How long packets take: distributions, zones, and what a bad way adds. Pure but for the dice.

Connections are TCP's (:mod:`tace.simulation.streams`): a packet that is lost is sent again, one
that is overtaken is waited for, and one that comes twice is dropped by the kernel. So whoever sits
above the socket sees loss and reordering as delay, and duplication not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from random import Random

from tace.simulation.network import Latency

MOST_SECONDS = 2.0
"""A distribution without an end is cut here."""
RESEND_SECONDS = 0.2
"""After so long TCP sends again what was not confirmed (Linux: TCP_RTO_MIN); doubled each time."""
MAX_RESENDS = 6


def lognormal_latency(
    median_seconds: float, sigma: float = 0.5, *, most_seconds: float = MOST_SECONDS
) -> Latency:
    """Half of the packets take less than the median; a few take many times that.

    :param sigma: the standard deviation of the logarithm.
    """
    mean = log(median_seconds)

    def latency(random: Random, source: str, destination: str) -> float:
        return min(random.lognormvariate(mean, sigma), most_seconds)

    return latency


def zoned_latency(zone_of: Callable[[str], int], within: Latency, between: Latency) -> Latency:
    """One latency inside each zone and another one from zone to zone.

    :param zone_of: the zone of a host.
    """

    def latency(random: Random, source: str, destination: str) -> float:
        same = zone_of(source) == zone_of(destination)
        return (within if same else between)(random, source, destination)

    return latency


def zones_of_hosts(count: int) -> Callable[[str], int]:
    """Hosts spread evenly over so many zones, by the third number of their address."""
    return lambda host: int(host.split(".")[2]) % count


def lossy(latency: Latency, share: float) -> Latency:
    """So many packets are lost, and sent again.

    :param share: of all packets, 0 to below 1.
    """

    def with_loss(random: Random, source: str, destination: str) -> float:
        seconds = latency(random, source, destination)
        wait = RESEND_SECONDS
        for _ in range(MAX_RESENDS):
            if random.random() >= share:
                break
            seconds += wait
            wait *= 2
        return seconds

    return with_loss


def reordered(latency: Latency, share: float, behind_seconds: float) -> Latency:
    """So many packets are overtaken by what was sent up to ``behind_seconds`` after them."""

    def overtaken(random: Random, source: str, destination: str) -> float:
        seconds = latency(random, source, destination)
        return seconds + (random.uniform(0, behind_seconds) if random.random() < share else 0.0)

    return overtaken


def one_way_slower(latency: Latency, hosts: frozenset[str], factor: float) -> Latency:
    """What leaves these hosts takes ``factor`` times as long; what comes to them does not."""

    def asymmetric(random: Random, source: str, destination: str) -> float:
        seconds = latency(random, source, destination)
        return seconds * factor if source in hosts else seconds

    return asymmetric
