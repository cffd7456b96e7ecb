"""Handing on one stretch of copies to those who keep it from now on (page 2.4).

They are asked what of it they lack, and that is brought to them. Of what they say nothing here is
let go: it only decides what need not be sent.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twisted.internet.defer import DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tace.background import background
from tace.errors import Failure, ForgedRecord, Full, NotStored, ProtocolError, Refusal, StoreError
from tace.ids import NodeId
from tace.mailbox.bringing import BATCH_ITEMS, Bringing
from tace.mailbox.handed_on import HandedOn
from tace.mailbox.pace import Pace
from tace.seams import Counters, Item, ItemState, Links, ReplicaSet, Store, View
from tace.wire.fields import BlobName
from tace.wire.peer import ItemField, Offer, OfferAnswer


@dataclass(frozen=True, slots=True)
class Held:
    """A copy that is here.

    :ivar place: where it stands among all of its kind.
    :ivar expires_hours: of a blob.
    """

    place: bytes
    item: Item
    expires_hours: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring copies under one replica set: all that is here in ``[lower, upper)``."""

    lower: bytes
    upper: bytes
    replica_set: ReplicaSet
    held: Sequence[Held]


@dataclass(slots=True)
class Look:
    """What comes of one look at everything.

    :ivar silent: nodes that did not answer or would not, left alone until the next look.
    :ivar left: stretches that are not handed on yet.
    :ivar done: nodes that have all of a stretch and had not before, each stretch counted.
    """

    silent: set[NodeId] = field(default_factory=set)
    left: int = 0
    done: int = 0


class HandingOn:
    """Offers, and brings what is lacking.

    :param random: whom to bring something first: several nodes may hold the same.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        view: View,
        links: Links,
        store: Store,
        clock: IReactorTime,
        random: Random,
        pace: Pace,
        counters: Counters,
    ) -> None:
        self._view = view
        self._links = links
        self._bringing = Bringing(links, store, clock)
        self._random = random
        self._pace = pace
        self._counters = counters

    async def hand_on(self, stretch: Stretch, handed: HandedOn, copies: int, look: Look) -> None:
        """Have the holders of the stretch know of it all, and as many as make ``copies`` have it.

        A stretch that W of them have already is left alone: they see to the others by themselves.
        """
        # Of what is held, not of the bounds: another time a walk begins elsewhere.
        have = handed.nodes(stretch.held[0].place, stretch.held[-1].place + b"\0")
        holders = stretch.replica_set.holders
        if sum(node in have for node in holders) >= stretch.replica_set.write_quorum:
            return
        asked = [node for node in holders if node not in have and not self._is_idle(node, look)]
        self._random.shuffle(asked)
        lacking: dict[NodeId, set[int]] = {}
        await _all([self._offer(node, stretch.held, lacking, look) for node in asked])
        there = sum(node in have for node in holders)
        wanted: dict[NodeId, list[Item]] = {}
        for at in _fewest_first(lacking):
            lackers = [node for node in asked if at in lacking.get(node, ())]
            known = there + len(lacking) - len(lackers)
            for node in lackers[: max(0, copies - known)]:
                wanted.setdefault(node, []).append(stretch.held[at].item)
        brought: set[NodeId] = set()
        await _all([self._bring(node, items, brought, look) for node, items in wanted.items()])
        done = {
            node
            for node, places in lacking.items()
            if not places or (node in brought and len(wanted[node]) == len(places))
        }
        look.done += len(done)
        look.left += any(node not in done and node not in have for node in holders)
        handed.note(stretch.lower, stretch.upper, have | done)

    def _is_idle(self, node: NodeId, look: Look) -> bool:
        return node in look.silent or self._view.is_dead(node) or self._view.is_full(node)

    async def _offer(
        self, node: NodeId, held: Sequence[Held], lacking: dict[NodeId, set[int]], look: Look
    ) -> None:
        request = _offer_of(held)
        try:
            answer = await self._links.call(node, request)
            await self._pace.spend_messages(request, answer)
            _check(answer, len(held))
        except (Failure, Refusal) as error:
            self._failed(node, error.code, look)
            return
        self._counters.count("displaced_offers_total")
        if not answer.misplaced:
            lacking[node] = set(answer.lacking)
            return
        # It knows others that are nearer; what they change is seen at the next look.
        self._counters.count("displaced_failures_total", reason="redirect")
        try:
            self._view.learn(answer.records)
        except ForgedRecord as error:
            self._failed(node, error.code, look)

    async def _bring(
        self, node: NodeId, items: Sequence[Item], brought: set[NodeId], look: Look
    ) -> None:
        handed = 0
        try:
            for start in range(0, len(items), BATCH_ITEMS):
                few = items[start : start + BATCH_ITEMS]
                result = await self._bringing.bring(node, few)
                if Full.code in result.refused:
                    raise Full("it is full")
                if result.refused:
                    raise NotStored(", ".join(sorted(result.refused)))
                handed += len(few)
                self._counters.count("displaced_bytes_total", result.bytes)
                await self._pace.spend(result.bytes)
            brought.add(node)
        except (Failure, Refusal, StoreError) as error:
            self._failed(node, error.code, look)
        finally:
            if handed:
                self._counters.count("displaced_brought_total", handed)
                self._log.info(
                    "handed {count} copies on to {node}", count=handed, node=node.hex()[:8]
                )

    def _failed(self, node: NodeId, code: str, look: Look) -> None:
        look.silent.add(node)
        self._counters.count("displaced_failures_total", reason=code)


def _offer_of(held: Sequence[Held]) -> Offer:
    """Of copies that are all blobs, or none of them."""
    blobs = [one for one in held if one.item.state is ItemState.BLOB]
    items = [one.item for one in held if one.item.state is not ItemState.BLOB]
    return Offer(
        tuple(ItemField(item.key, item.name, int(item.state)) for item in items),
        tuple(BlobName(blob.item.key, blob.expires_hours) for blob in blobs),
    )


def _fewest_first(lacking: dict[NodeId, set[int]]) -> list[int]:
    """The places that lack somewhere, first those that lack at the most nodes."""
    times: dict[int, int] = {}
    for places in lacking.values():
        for at in places:
            times[at] = times.get(at, 0) + 1
    return sorted(times, key=lambda at: (-times[at], at))


def _check(answer: OfferAnswer, offered: int) -> None:
    """:raises ProtocolError: it is about something that was not offered."""
    for places in (answer.lacking, answer.misplaced):
        if list(places) != sorted({*places}) or any(at >= offered for at in places):
            raise ProtocolError("an answer about what was not offered")


async def _all(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """At the same time; cancelled together."""
    await DeferredList([background("hand on copies", one) for one in work])
