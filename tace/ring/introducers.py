"""Who is behind each seed: what the log is told of it, and what the disk keeps."""

from __future__ import annotations

from twisted.logger import Logger

from tace.errors import StoreError
from tace.ids import NodeId
from tace.ring.contacts import Contact, Source
from tace.ring.seed_trust import SeedTrust, Verdict
from tace.seams import Counters, Store


class Introducers:
    """The nodes that were met at the addresses of seeds.

    :param store: keeps who was met first.
    """

    _log = Logger()

    def __init__(self, store: Store, counters: Counters) -> None:
        self._store = store
        self._counters = counters
        self._trust = SeedTrust()

    async def load(self) -> None:
        """:raises StoreError: what was remembered cannot be read."""
        self._trust.load(await self._store.load_seeds())

    def node_of(self, seed: Contact) -> NodeId | None:
        """Who should be there: by its id, or as it is remembered."""
        return seed.node or self._trust.node_of(seed.known_as)

    def met(self, seed: Contact, node: NodeId, now: float) -> None:
        """This node has proved itself there."""
        before = self._trust.node_of(seed.known_as)
        # An id that only a name service tells does not settle who is right.
        pinned = seed.source is Source.SEED and seed.node is not None
        match self._trust.judge(seed.known_as, node, now, pinned=pinned):
            case Verdict.FIRST:
                self._log.info(
                    "{seed} is node {node}: trusted on first use and remembered",
                    seed=seed.shown,
                    node=node.hex(),
                )
            case Verdict.OTHER if self._trust.is_worth_a_line(seed.known_as, now):
                assert before is not None
                self._counters.count("bootstrap_seed_changed_total")
                self._log.warn(
                    "{seed} is node {node} now, and was {before} before: it is heard, but find out"
                    ' why. [links] seeds = ["{advice}"] says that this one is right',
                    seed=seed.shown,
                    node=node.hex(),
                    before=before.hex(),
                    advice=f"{seed.known_as}#{node.hex()}",
                )

    def met_another(self, seed: Contact, now: float) -> None:
        """There is a node, and not the one whose id was given; no link was made."""
        assert seed.node is not None
        self._counters.count("bootstrap_seed_refused_total")
        if self._trust.is_worth_a_line(seed.known_as, now):
            where = "[links] seeds" if seed.source is Source.SEED else "its TXT record"
            self._log.warn(
                "{seed} is not node {pinned}, which {where} says it is: not linked",
                seed=seed.shown,
                pinned=seed.node.hex(),
                where=where,
            )

    async def save(self) -> None:
        """Write down who is new."""
        seeds = self._trust.take_unsaved()
        if seeds:
            try:
                await self._store.save_seeds(seeds)
            except StoreError:
                # The store has told the log itself; the next time tries again.
                self._trust.not_saved(seeds)
