"""Everything that a node keeps, by who is to keep it without that node (page 2.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from twisted.internet.interfaces import IReactorTime

from tace.ids import Arc, NodeId
from tace.mailbox.comparison import place
from tace.mailbox.lacking import Bounds
from tace.mailbox.reconcile import BEFORE_FIRST, before
from tace.seams import Store, View
from tace.wire.fields import MAX_LISTED, BlobName
from tace.wire.ranges import END, ranges_of

FAR_HEIRS = 2
"""Nodes that are offered what lies too far from here to be compared. Its replicas have it or, where
they lacked it, spread it by themselves; so twice the bytes are moved, and not N times."""


@dataclass(slots=True)
class Stretch:
    """Neighbouring copies under one set of nodes."""

    bounds: Bounds
    heirs: tuple[NodeId, ...]
    may_ask: bool
    items: int
    blobs: list[BlobName] = field(default_factory=list)
    open: set[NodeId] = field(default_factory=set)
    """Heirs that have not confirmed it."""


class Belongings:
    """Surveys the store of a node."""

    def __init__(self, view: View, store: Store, clock: IReactorTime) -> None:
        self._view = view
        self._store = store
        self._clock = clock

    async def stretches(self) -> list[Stretch]:
        """Everything here, by who keeps it from now on; no more than a few for each arc between two
        known positions.
        """
        found: list[Stretch] = []
        now = self._clock.seconds()
        lower = b""
        while True:
            page = await self._store.list_range(lower, END, limit=MAX_LISTED, now=now)
            for heirs, few in self._by_heirs(page, lambda item: item.key):
                first, last = place(few[0]), few[-1].key
                upper = ranges_of(Arc(before(last), last))[0][1]
                may_ask = self._may_ask(Arc(before(few[0].key), last))
                asked = heirs if may_ask else heirs[:FAR_HEIRS]
                if found and (found[-1].heirs, found[-1].may_ask) == (asked, may_ask):
                    whole = Arc(before(found[-1].bounds[0][:32]), last)
                    if not may_ask or self._may_ask(whole):
                        found[-1].bounds = (found[-1].bounds[0], upper)
                        found[-1].items += len(few)
                        continue
                found.append(Stretch((first, upper), asked, may_ask, len(few)))
            if len(page) < MAX_LISTED:
                break
            lower = place(page[-1]) + b"\0"
        return found + await self._of_blobs(now)

    async def _of_blobs(self, now: float) -> list[Stretch]:
        found: list[Stretch] = []
        after = b""
        while True:
            page = await self._store.list_blobs(
                Arc(BEFORE_FIRST, BEFORE_FIRST), after=after, limit=MAX_LISTED, now=now
            )
            for heirs, few in self._by_heirs(page, lambda name: name.hash):
                first, last = few[0].hash, few[-1].hash
                may_ask = self._may_ask(Arc(before(first), last))
                asked = heirs if may_ask else heirs[:FAR_HEIRS]
                found.append(Stretch((first, last), asked, may_ask, 0, list(few)))
            if len(page) < MAX_LISTED:
                break
            after = page[-1].hash
        return found

    def _by_heirs(
        self, page: Sequence[Any], key: Callable[[Any], bytes]
    ) -> Iterator[tuple[tuple[NodeId, ...], list[Any]]]:
        for heirs, few in groupby(page, lambda one: self._heirs(key(one))):
            yield heirs, list(few)

    def _heirs(self, key: bytes) -> tuple[NodeId, ...]:
        own = self._view.own
        return tuple(node for node in self._view.replica_set(key).holders if node != own)

    def _may_ask(self, arc: Arc) -> bool:
        return self._view.may_ask_about(self._view.own, arc)
