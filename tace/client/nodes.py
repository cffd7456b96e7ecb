"""Which nodes a user talks to: the named ones first, then those met before."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from tace.client.address import NodeAddress
from tace.client.backoff import SLOWEST_SECONDS
from tace.client.connection import Connection
from tace.client.errors import NoNode, OtherNetwork
from tace.client.race import first_of
from tace.client.sqlite import HomeDatabase
from tace.errors import BadRecord, TaceError
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.wire.client import GetNetwork

Dial = Callable[[NodeAddress], Deferred[Connection]]
"""Opens a connection on which the node has not spoken yet."""

STAGGER_SECONDS = 0.25
"""How long one node may stay silent before the next is tried beside it."""
RECENT_FAILURE_SECONDS = 10.0
MAX_TRIED = 16
MAX_REMEMBERED = 256
LEARN_EVERY_SECONDS = 10 * 60.0
_LEARNED = "learned_nodes_seconds"


class Nodes:
    """Connects to one node of the home's network.

    :param given: what the user named; always tried first, in that order.
    :param random_source: the order of the others, so that users spread over the nodes.
    :param returned: told when a node is met by a home that had met none for ``absent_seconds``.
    """

    def __init__(
        self,
        dial: Dial,
        clock: IReactorTime,
        random_source: random.Random,
        database: HomeDatabase,
        given: Sequence[NodeAddress] = (),
        *,
        absent_seconds: float = math.inf,
        returned: Callable[[], None] = lambda: None,
    ) -> None:
        self._dial = dial
        self._clock = clock
        self._random = random_source
        self._database = database
        self._given = tuple(dict.fromkeys(given))
        self._absent_seconds = absent_seconds
        self._returned = returned
        self._failed_until: dict[NodeAddress, float] = {}

    async def connect(
        self, avoid: NodeId | None = None, *, without: NodeId | None = None
    ) -> Connection:
        """A connection on which the node has spoken.

        :param avoid: a node that is used already; taken only where there is no other.
        :param without: a node that is not taken at all; of the others any, named or not.
        :raises NoNode: none is known, or none answered.
        :raises OtherNetwork: those that answered belong to another network.
        """
        order = self._order(avoid, without)
        if not order:
            raise NoNode("no node is known yet: name one with --node URL")
        try:
            return await first_of(
                self._clock,
                [partial(self._attempt, address) for address in order],
                STAGGER_SECONDS,
            )
        except OtherNetwork:
            raise
        except TaceError as error:
            raise NoNode(f"no node could be reached ({error})") from None

    def others(self, node: NodeId) -> bool:
        """Is any other node known?"""
        return any(known != node for known in self._known().values())

    async def learn(self, connection: Connection) -> None:
        """Remember the nodes that this one knows, once in ten minutes.

        :raises TaceError: the node did not say.
        """
        now = self._clock.seconds()
        learned = self._database.setting(_LEARNED)
        if learned is not None and 0 <= now - float(learned) < LEARN_EVERY_SECONDS:
            return
        self._database.set_setting(_LEARNED, b"%d" % now)
        answer = await connection.request(GetNetwork())
        addresses: list[tuple[NodeAddress, bytes]] = []
        for encoded in answer.records:
            try:
                record = NodeRecord.parse(encoded, connection.challenge.network_id)
                addresses += [(NodeAddress.parse(u), record.node_id) for u in record.client_urls]
            except (BadRecord, ValueError):
                # One bad record must not hide the others.
                continue
        self._database.remember_nodes(
            [(address.origin, node) for address, node in addresses], now, keep=MAX_REMEMBERED
        )

    def _known(self) -> dict[NodeAddress, NodeId]:
        return {NodeAddress.parse(origin): node for origin, node in self._database.nodes()}

    def _order(self, avoid: NodeId | None, without: NodeId | None) -> list[NodeAddress]:
        known = self._known()
        remembered = list(known)
        self._random.shuffle(remembered)
        now = self._clock.seconds()
        seen: set[NodeId] = set()

        def last_resort(address: NodeAddress) -> tuple[bool, bool, bool]:
            node = known.get(address)
            # Many nodes go by several names; a second name is not a second node.
            again = node in seen
            if node is not None:
                seen.add(node)
            failed = self._failed_until.get(address, now) > now
            return (node is not None and node == avoid, failed, again)

        # Stable: among equals the named ones stay in front.
        wanted = list(dict.fromkeys((*self._given, *remembered)))
        if without is not None:
            wanted = [address for address in wanted if known.get(address) != without]
            self._random.shuffle(wanted)
        return sorted(wanted, key=last_resort)[:MAX_TRIED]

    def _attempt(self, address: NodeAddress) -> Deferred[Connection]:
        return Deferred.fromCoroutine(self._open(address))

    async def _open(self, address: NodeAddress) -> Connection:
        connection: Connection | None = None
        try:
            connection = await self._dial(address)
            challenge = await connection.opened()
        except CancelledError:
            # Another node was faster.
            if connection is not None:
                connection.close()
            raise
        except TaceError:
            self.failed(address)
            raise
        if not self._database.pin_network(challenge.network_id):
            connection.close()
            raise OtherNetwork(f"{address} belongs to another network than this home")
        self._failed_until.pop(address, None)
        now = self._clock.seconds()
        last = self._database.last_met_seconds()
        self._database.remember_nodes(
            [(address.origin, challenge.node_id)], now, keep=MAX_REMEMBERED
        )
        if last is not None and now - last >= self._absent_seconds:
            self._returned()
        return connection

    def failed(self, address: NodeAddress, pause_seconds: float = 0.0) -> None:
        """This one broke just now: others go first for a while.

        :param pause_seconds: how long it wants to be left alone; granted up to a minute.
        """
        pause = max(RECENT_FAILURE_SECONDS, min(SLOWEST_SECONDS, pause_seconds))
        self._failed_until[address] = self._clock.seconds() + pause
