"""What a client session may use of its node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.interfaces import IReactorTime

from tace.core import Core
from tace.delivery.inbox import NameRoom
from tace.gateway.misconduct import ClientMisconduct
from tace.gateway.rates import Rates
from tace.limits import AddressCounts
from tace.seams import Counters

MAX_BLOBS_OF_ADDRESS = 16
"""Blobs under way for clients at one address (of IPv6, one /56), of the 64 of a node."""


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """What one connection may do.

    :param window: messages pushed and not yet released, at most.
    :param requests_in_flight: unanswered requests.
    """

    window: int
    requests_in_flight: int
    max_lifetime_hours: int
    requests_stamp_bits: int


@dataclass(frozen=True, slots=True)
class GatewayServices:
    """The node, as its client sessions see it.

    :param names: the origins this node answers to; a lease for another one is refused.
    :param state: one word for what the node is doing.
    :param random_bytes: for challenges.
    :param rates: how fast clients may ask.
    :param misconduct: who is told when one does not keep to the protocol or its bounds.
    """

    core: Core
    network_id: bytes
    software: str
    names: Callable[[], tuple[str, ...]]
    state: Callable[[], str]
    limits: GatewayLimits
    clock: IReactorTime
    counters: Counters
    random_bytes: Callable[[int], bytes]
    rates: Rates
    misconduct: ClientMisconduct
    inbox_room: NameRoom = field(default_factory=NameRoom)
    blob_transfers: AddressCounts = field(
        default_factory=lambda: AddressCounts(MAX_BLOBS_OF_ADDRESS, 0)
    )
