"""What a client session may use of its node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from tace.core import Core
from tace.seams import Counters


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
