"""The connection that a program sends on: opened when needed, to another node when one will not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.client.connection import Connection
from tace.client.errors import NoNode, TooMuchWork
from tace.client.nodes import Nodes
from tace.errors import Failure, ProtocolError, Refusal, TaceError
from tace.ids import NodeId
from tace.wire.client import Send, SendResult
from tace.wire.objects import Envelope

T = TypeVar("T")
NODES_TRIED = 3
"""How many nodes may break under one piece of work before it is left for later."""
IDLE_SECONDS = 60.0
"""A connection that sent nothing for so long is closed: who only receives needs just one."""


class OutboxConnection:
    """Opens it, does work on it, moves to another node, closes it when it is not used."""

    def __init__(self, nodes: Nodes, clock: IReactorTime) -> None:
        self._nodes = nodes
        self._clock = clock
        self._dialling = DeferredLock()
        self._connection: Connection | None = None
        self._avoided: NodeId | None = None
        self._lent: Connection | None = None
        self._used_at = 0.0
        self._idle_timer: IDelayedCall | None = None

    async def connected(self) -> Connection:
        """The connection, opened when there is none.

        :raises NoNode: none could be reached.
        """
        return await self._dialling.run(lambda: Deferred.fromCoroutine(self._connected()))

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.lost:
            self._connection = await self._nodes.connect(self._avoided)
        self._used_at = self._clock.seconds()
        if self._idle_timer is None:
            self._idle_timer = self._clock.callLater(IDLE_SECONDS, self._close_if_idle)
        return self._connection

    def _close_if_idle(self) -> None:
        self._idle_timer = None
        left = self._used_at + IDLE_SECONDS - self._clock.seconds()
        if left > 0:
            self._idle_timer = self._clock.callLater(left, self._close_if_idle)
        elif self._connection is not None:
            self._connection.close()
            self._connection = None

    async def ask(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do it at a node; at another one when that breaks or refuses.

        :raises NoNode: none could be reached, or would; or the only one said when it will.
        """
        last: TaceError | None = None
        for _ in range(NODES_TRIED):
            connection = await self.connected()
            try:
                result = await work(connection)
            except Refusal as error:
                last = error
                pause = error.retry_after_ms / 1000
                self.leave(connection, pause)
                if pause and not self._nodes.others(connection.challenge.node_id):
                    # There is nobody else to ask meanwhile.
                    raise NoNode(f"the node said no ({error})", pause_seconds=pause) from None
            except (Failure, TooMuchWork) as error:
                last = error
                self.leave(connection)
            else:
                self._used_at = self._clock.seconds()
                return result
        raise NoNode(f"no node could do it ({last})")

    async def send(
        self, connection: Connection, envelopes: Sequence[Envelope]
    ) -> tuple[SendResult, ...]:
        """One result for each envelope, in order.

        :raises TaceError: the node did not take them.
        """
        answer = await connection.request(Send(tuple(e.encoded for e in envelopes)))
        self._used_at = self._clock.seconds()
        if len(answer.results) != len(envelopes):
            raise ProtocolError("the node answered for another number of messages")
        return answer.results

    def leave(self, connection: Connection, pause_seconds: float = 0.0) -> None:
        """The next work is done elsewhere, if there is another node.

        :param pause_seconds: how long this one wants to be left alone.
        """
        self._nodes.failed(connection.address, pause_seconds)
        connection.close()
        if self._connection is connection:
            self._connection = None

    async def elsewhere(self, connection: Connection) -> Connection:
        """A connection to another node, which is used from now on; the same one where none can be
        had. That may be the one that holds our leases: see :meth:`keep_apart`.
        """
        return await self._dialling.run(
            lambda: Deferred.fromCoroutine(self._moved_from(connection))
        )

    async def _moved_from(self, connection: Connection) -> Connection:
        node = connection.challenge.node_id
        current = self._connection
        if current is not None and not current.lost and current.challenge.node_id != node:
            # Somebody else has moved already.
            return current
        if not self._nodes.others(node):
            return connection
        try:
            other = await self._nodes.connect(self._avoided, without=node)
        except NoNode:
            return connection
        if other.challenge.node_id == node:
            # Reached by a name that nobody knew to be its own.
            other.close()
            return connection
        connection.close()
        self._connection = self._lent = other
        return other

    def keep_apart(self) -> None:
        """Leave the node that :meth:`elsewhere` went to, if it holds our leases: it was lent for
        one piece of work."""
        lent, self._lent = self._lent, None
        if lent is not None and lent is self._connection and self._avoided is not None:
            self.avoid(self._avoided)

    def avoid(self, node: NodeId) -> None:
        """That node holds our leases: it should not see whom we write to, if there is another."""
        self._avoided = node
        connection = self._connection
        same = connection is not None and connection.challenge.node_id == node
        if connection is not None and same and self._nodes.others(node):
            connection.close()
            self._connection = None

    def close(self) -> None:
        """Let go of it; the next work opens another one."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
