"""What links are made with, and whom they tell about themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Protocol as Seam

from twisted.internet.interfaces import IReactorTime

from tace.config import LinksSettings
from tace.ids import NodeId
from tace.links.calls import Call
from tace.links.health import LocalHealth
from tace.links.introduction import Introduction
from tace.links.misconduct import Misconduct
from tace.links.rates import PeerRates
from tace.links.reading import SlowReaders
from tace.links.tls import LinkTls
from tace.seams import Counters, Procedure
from tace.wire.message import Message

if TYPE_CHECKING:
    from tace.links.connection import Link


class LinkOwner(Seam):
    """Whom a link tells about itself."""

    def link_opened(self, link: Link) -> None:
        """There is a connection; nothing is proved yet."""

    def link_proved(self, link: Link) -> None:
        """The link is up, told from the reactor; ``link.peer`` is verified."""

    def link_closing(self, link: Link) -> None:
        """The link takes no calls any more. Nobody else is to be told before it has ended."""

    def link_ended(self, link: Link) -> None:
        """The link is gone, told from the reactor; ``link.end`` says why."""

    def calls_returned(self, node: NodeId, calls: Sequence[Call]) -> None:
        """The other side closed the link without ever having begun these: ask again elsewhere."""


@dataclass(frozen=True, slots=True)
class LinkNeeds:
    """What every link of a node is made with."""

    owner: LinkOwner
    tls: LinkTls
    introduction: Introduction
    procedures: Mapping[type[Message], Procedure]
    settings: LinksSettings
    clock: IReactorTime
    counters: Counters
    misconduct: Misconduct
    rates: PeerRates
    slow_readers: SlowReaders
    health: LocalHealth


@dataclass(frozen=True, slots=True)
class Dialled:
    """For which host a link was dialled, and whom it must reach (None: whoever is there)."""

    host: str
    node: NodeId | None
