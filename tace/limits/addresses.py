"""Counting by network address: how much one customer of the internet has open here."""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv6Address, ip_address, ip_network

IPV6_PREFIX_BITS = 56
"""What a provider hands one customer at least (RIPE-690): 256 networks of 2^64 addresses each. To
count by /64 would let one home connection appear as 256."""


class Admission(Enum):
    """Whether one more was let in, and if not, which bound stands against it."""

    ADMITTED = 1
    GROUP_FULL = 2
    FULL = 3


def address_group(host: str) -> str:
    """The addresses that are taken for one party: one IPv4 address, or the /56 of an IPv6 address.

    An IPv4 address is one customer, or a few behind one router; its neighbours in the /24 are
    strangers to it, whom its misbehaviour must not lock out. An IPv4 address written as IPv6
    (``::ffff:192.0.2.1``) is the IPv4 address. What is no address (a name, a socket's path, the
    empty text) is its own group.

    (Where copies are spread, :mod:`tace.ring.placement` draws its lines wider on purpose.)
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host.lower()
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        if not address.is_loopback:
            return str(ip_network((address, IPV6_PREFIX_BITS), strict=False))
    return str(address)


def is_loopback(host: str) -> bool:
    """Is that this very machine? The empty text is: a UNIX socket has no address.

    What is bounded for each address may leave it out: everybody on the machine shares it (a
    network tried out on one machine, a proxy that stands in front of the node).
    """
    if not host:
        return True
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


class AddressCounts:
    """How many things are open, by address group and in all, each bounded.

    Memory: one number for each group that has something open, so at most ``max_in_all``.

    :param max_per_group: 0 for no bound.
    :param max_in_all: 0 for no bound.
    """

    def __init__(self, max_per_group: int, max_in_all: int) -> None:
        self._max_per_group = max_per_group
        self._max_in_all = max_in_all
        self._groups: dict[str, int] = {}
        self._in_all = 0

    def __len__(self) -> int:
        """How many there are in all."""
        return self._in_all

    def in_group(self, group: str) -> int:
        return self._groups.get(group, 0)

    def would_admit(self, group: str) -> Admission:
        """What :meth:`admit` would say; counts nothing."""
        if 0 < self._max_per_group <= self._groups.get(group, 0):
            return Admission.GROUP_FULL
        if 0 < self._max_in_all <= self._in_all:
            return Admission.FULL
        return Admission.ADMITTED

    def admit(self, group: str) -> Admission:
        """Count one more for ``group`` (see :func:`address_group`), if there is room.

        Nothing is counted unless the answer is ADMITTED; then :meth:`release` it once.
        """
        admission = self.would_admit(group)
        if admission is Admission.ADMITTED:
            self.add(group)
        return admission

    def add(self, group: str) -> None:
        """Count one more, whatever the bounds say."""
        self._groups[group] = self._groups.get(group, 0) + 1
        self._in_all += 1

    def release(self, group: str) -> None:
        """One that was counted has gone.

        :raises ValueError: nothing is counted for that group.
        """
        left = self._groups.get(group, 0) - 1
        if left < 0:
            raise ValueError(f"nothing is counted for {group!r}")
        if left:
            self._groups[group] = left
        else:
            del self._groups[group]
        self._in_all -= 1

    def largest_group(self) -> str | None:
        """The group with the most; None when nothing is counted. Looks at every group."""
        return max(self._groups, key=self._groups.__getitem__, default=None)
