"""Whose connection it is: the address that is counted, also behind a proxy. Pure."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

from tace.limits import address_group, is_loopback


def client_host(peer: str, forwarded: str, trusted_proxies: Collection[str]) -> str:
    """The address that a request came from.

    Each proxy appends to ``X-Forwarded-For`` the address that it was called from; so it is read
    from the right, as far as the proxies that are trusted go. What stands further left was said by
    a stranger.

    :param peer: the other end of the connection.
    :param forwarded: the header, all its lines joined by commas; empty where there is none.
    """
    host = peer
    hops = [hop.strip() for hop in forwarded.split(",")]
    while host in trusted_proxies and hops:
        hop = hops.pop()
        try:
            host = str(ip_address(hop))
        except ValueError:
            break
    return host


def counted_group(host: str) -> str:
    """The group that a client at that address is counted in; empty for this machine, which is
    not counted: everybody behind a proxy on it shares its address."""
    return "" if is_loopback(host) else address_group(host)
