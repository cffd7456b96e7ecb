"""Asks a node for its status, over one connection that is dialled when it is needed."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from tace.client.address import NodeAddress
from tace.client.connection import Connection
from tace.wire.client import GetStatus, StatusInfo


class Inquiry:
    """
    :param dial: opens a connection (:class:`~tace.client.websocket.WebSocketDialer`).
    """

    def __init__(
        self, address: NodeAddress, dial: Callable[[NodeAddress], Deferred[Connection]]
    ) -> None:
        self._address = address
        self._dial = dial
        self._connection: Connection | None = None

    async def status(self) -> StatusInfo:
        """
        :raises Failure: the node is not reached, or does not answer.
        :raises Refusal: it does not want to.
        """
        if self._connection is None or self._connection.lost:
            connection = await self._dial(self._address)
            self._connection = connection
            await connection.opened()
        return await self._connection.request(GetStatus())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
