"""Repair of blobs: every replica pulls from the others those that it lacks (page 2.4).

Names are compared, bodies are fetched one at a time, so that files never crowd the links; beside
the repair of mailboxes, not before it, because a node with terabytes of files to bring over must
serve messages meanwhile. What is pulled is verified like what is put.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from random import Random

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tace.errors import ProtocolError, UnknownMessage
from tace.ids import Arc, NodeId
from tace.mailbox.blobs import BlobReplica
from tace.mailbox.reconcile import BEFORE_FIRST, before
from tace.mailbox.rounds import ComparisonRounds
from tace.mailbox.rules import AdmissionRules
from tace.mailbox.under_way import UnderWay
from tace.seams import Counters, Item, ItemState, Links, Store, View
from tace.wire.fields import MAX_LISTED, BlobName
from tace.wire.objects import Blob
from tace.wire.peer import FetchBlob, ListBlobs

FETCH_TIMEOUT_SECONDS = 15.0
"""For 63 kB, beside everything else that a slow line carries."""
MAX_REFUSED_REMEMBERED = 4096
"""Blobs that this node would not keep, remembered so as not to be fetched again."""
MAX_FRUITLESS = 64
"""Blobs that a peer may list in one pull and then not bring; more, and it invents them."""

OTHERS = "brought by another"


class BlobRepair:
    """Keeps the blobs of this node's arcs complete.

    :param interval_seconds: time between two comparisons with the same peer.
    """

    _log = Logger()

    def __init__(
        self,
        replica: BlobReplica,
        *,
        view: View,
        links: Links,
        store: Store,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
        rules: AdmissionRules,
        interval_seconds: float,
    ) -> None:
        self._replica = replica
        self._links = links
        self._store = store
        self._clock = clock
        self._counters = counters
        self._rules = rules
        self._refused: dict[BlobName, None] = {}
        self._under_way = UnderWay()
        self._rounds = ComparisonRounds(
            "blobs",
            self.pull,
            replica,
            view=view,
            clock=clock,
            random=random,
            counters=counters,
            interval_seconds=interval_seconds,
        )

    def start(self) -> None:
        self._rounds.start()

    async def stop(self) -> None:
        await self._rounds.stop()

    def soon(self) -> None:
        self._rounds.soon()

    def lost_touch(self, node: NodeId) -> None:
        """The link to it went away: either side may have missed something."""
        self._rounds.lost_touch(node)

    async def pull(
        self, peer: NodeId, arcs: Sequence[Arc], moved: Callable[[], None] = lambda: None
    ) -> int:
        """Fetch the blobs that peer holds in the arcs and this node lacks; how many.

        :param moved: called whenever one has come.
        :raises Failure: the peer went away. :raises Refusal: it does not see this node there, or
            lists what it does not have.
        """
        brought = fruitless = 0
        try:
            for arc in arcs:
                async for name in self._in_turn(self._lacking(peer, arc)):
                    code = await self._bring_once(peer, name)
                    if code == "full":
                        # More would only be fetched to be refused; the next pull tries again.
                        return brought
                    if code == "stored":
                        brought += 1
                        moved()
                    fruitless += code not in ("stored", OTHERS)
                    if fruitless > MAX_FRUITLESS:
                        raise ProtocolError("a listing of blobs that are not there")
        except UnknownMessage:
            # A node from before there were blobs has none.
            return 0
        finally:
            if brought:
                self._counters.count("repaired_blobs_total", brought)
                self._log.info(
                    "pulled {count} blobs from {peer}", count=brought, peer=peer.hex()[:8]
                )
        return brought

    async def _in_turn(self, names: AsyncIterator[BlobName]) -> AsyncIterator[BlobName]:
        """These, but last the ones that another peer is bringing just now."""
        later: list[BlobName] = []
        async for name in names:
            if self._under_way.has(_item(name)) and len(later) < MAX_LISTED:
                later.append(name)
            else:
                yield name
        for name in later:
            yield name

    async def _bring_once(self, peer: NodeId, name: BlobName) -> str:
        """Have the peer bring one, unless another one brings it just now or has brought it."""
        item = _item(name)
        while not self._under_way.claim([item], 1):
            await self._under_way.one_released()
        try:
            held = await self._held([name])
            if held.get(name.hash, 0) >= name.expires_hours:
                return OTHERS
            return await self._bring(peer, name)
        finally:
            self._under_way.release([item])

    async def _bring(self, peer: NodeId, name: BlobName) -> str:
        """Have the peer bring one; what became of it."""
        answer = await self._links.call(
            peer, FetchBlob(name.hash), timeout_seconds=FETCH_TIMEOUT_SECONDS
        )
        if not answer.blob:
            return "gone"
        blob = Blob.parse(answer.blob)
        if blob.hash != name.hash:
            raise ProtocolError("a blob that was not asked for")
        word = self._rules.blob_refusal(blob, self._clock.seconds())
        if word is not None:
            self._refuse(name)
            return word
        return (await self._replica.keep(blob)).code

    def _refuse(self, name: BlobName) -> None:
        if len(self._refused) >= MAX_REFUSED_REMEMBERED:
            del self._refused[next(iter(self._refused))]
        self._refused[name] = None

    async def _lacking(self, peer: NodeId, arc: Arc) -> AsyncIterator[BlobName]:
        """What the peer lists in the arc, and this node does not hold for as long."""
        for low, high in arc.segments():
            segment = Arc(low or BEFORE_FIRST, high)
            after = b""
            while True:
                page = await self._links.call(peer, ListBlobs(segment.start, segment.end, after))
                _check_order(after, page.blobs, segment)
                if page.blobs:
                    held = await self._held(page.blobs)
                    for name in page.blobs:
                        if held.get(name.hash, 0) < name.expires_hours and (
                            name not in self._refused
                        ):
                            yield name
                if not page.more or not page.blobs:
                    break
                after = page.blobs[-1].hash

    async def _held(self, named: Sequence[BlobName]) -> dict[bytes, int]:
        """Until when this node holds which of these.

        A peer may name two blobs with all of ours between them: only those it named are kept.
        """
        wanted = {name.hash for name in named}
        stretch = Arc(before(named[0].hash), named[-1].hash)
        held: dict[bytes, int] = {}
        after = b""
        while True:
            page = await self._store.list_blobs(
                stretch, after=after, limit=MAX_LISTED, now=self._clock.seconds()
            )
            held.update((n.hash, n.expires_hours) for n in page if n.hash in wanted)
            if len(page) < MAX_LISTED:
                return held
            after = page[-1].hash


def _item(name: BlobName) -> Item:
    return Item(name.hash, name.hash, ItemState.BLOB)


def _check_order(after: bytes, names: Sequence[BlobName], segment: Arc) -> None:
    """A listing must move on, or a lying peer could keep this node asking for ever."""
    last = after
    for name in names:
        if name.hash <= last or name.hash not in segment:
            raise ProtocolError("a listing that is out of order or outside its arc")
        last = name.hash
