"""What becomes of what was offered: nodes' answers noted in the outbox and the history."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime

from tace.client.addressing import latest_expiry
from tace.client.backoff import Repeats
from tace.client.connection import Connection
from tace.client.nodes import Nodes
from tace.client.progress import offered, progress
from tace.client.rows import MessageState, Outgoing, Parcel, ParcelState
from tace.client.sqlite import HomeDatabase
from tace.client.stamping import Stamps
from tace.ids import NodeId
from tace.wire.client import SendResult
from tace.wire.objects import SECONDS_PER_HOUR, Envelope

MAX_REMOVED_SAID = 1024
"""How many nodes' words that something was removed are remembered."""


class Results:
    """:param changed: told (person, message id) when a message's state may have changed."""

    def __init__(
        self,
        database: HomeDatabase,
        nodes: Nodes,
        stamps: Stamps,
        clock: IReactorTime,
        random_source: random.Random,
        repeats: Repeats,
        changed: Callable[[bytes, bytes], None],
    ) -> None:
        self._database = database
        self._nodes = nodes
        self._stamps = stamps
        self._clock = clock
        self._random = random_source
        self._repeats = repeats
        self._changed = changed
        self._removed_said: set[tuple[NodeId, int]] = set()

    def apply(
        self,
        connection: Connection,
        batch: Sequence[tuple[Parcel, Envelope]],
        results: Sequence[SendResult],
    ) -> bool:
        """Note what became of them; False when one was not stored."""
        now = self._clock.seconds()
        node = connection.challenge.node_id
        elsewhere = self._nodes.others(node)
        messages: dict[tuple[bytes, bytes], None] = {}
        stored = True
        with self._database.transaction():
            for (sent, envelope), result in zip(batch, results, strict=True):
                parcel = self._database.parcel(sent.seq)
                outgoing = self._database.outgoing(sent.outgoing)
                if parcel is None or outgoing is None:
                    # Confirmed, or encrypted anew, while it was on its way.
                    continue
                if outgoing.message is not None:
                    messages[outgoing.peer, outgoing.message] = None
                if result.state == "stamp-required" and self._stamps.refused(
                    node, envelope, result
                ):
                    # Stamped anew with what the mailbox wants, it goes out again at once.
                    continue
                if self._must_be_sealed_anew(connection, outgoing, envelope, result):
                    self._database.set_addressed(outgoing.seq, False)
                after = offered(
                    parcel,
                    envelope,
                    result,
                    now,
                    self._random,
                    self._repeats,
                    node=node,
                    elsewhere=elsewhere,
                )
                self._database.set_parcel(after)
                stored = stored and after.state is not ParcelState.WAITING
                self._let_go_of_request(outgoing)
            for peer, message in messages:
                contents = self._database.parcels_of_message(peer, message)
                if contents:
                    self._database.set_message_state(peer, message, *progress(contents.values()))
        for peer, message in messages:
            self._changed(peer, message)
        return stored

    def _must_be_sealed_anew(
        self, connection: Connection, outgoing: Outgoing, envelope: Envelope, result: SendResult
    ) -> bool:
        match result.state:
            case "removed":
                # Their device could not unseal it: it has other keys than we thought. Nothing
                # proves that, so it is taken from each node once for each content.
                said = (connection.challenge.node_id, outgoing.seq)
                if said in self._removed_said:
                    return False
                if len(self._removed_said) >= MAX_REMOVED_SAID:
                    self._removed_said.clear()
                self._removed_said.add(said)
                return True
            case "too-far-ahead":
                return envelope.expires_hours > latest_hours(connection)
            case _:
                return False

    def _let_go_of_request(self, outgoing: Outgoing) -> None:
        """A session request has done its work once every device has opened it: unlike what was
        said, it is never asked for again."""
        if outgoing.message is not None:
            return
        parcels = self._database.parcels_of(outgoing.seq)
        if parcels and all(parcel.state is ParcelState.ACKED for parcel in parcels):
            self._database.remove_outgoing(outgoing.seq)

    def drop_expired(self) -> None:
        """What nobody confirmed in time has failed."""
        hours = int(self._clock.seconds()) // SECONDS_PER_HOUR
        for outgoing in self._database.overdue_outgoing(hours):
            self._fail(outgoing)
            if outgoing.message is not None:
                self._changed(outgoing.peer, outgoing.message)

    def _fail(self, outgoing: Outgoing) -> None:
        """Give it up. What a node proved to be opened stays delivered."""
        with self._database.transaction():
            self._database.remove_outgoing(outgoing.seq)
            if outgoing.message is not None:
                for part in self._database.parcels_of_message(outgoing.peer, outgoing.message):
                    self._database.remove_outgoing(part)
                self._database.set_message_state(
                    outgoing.peer, outgoing.message, MessageState.FAILED
                )


def latest_hours(connection: Connection) -> int:
    """The latest expiry that the node takes."""
    return latest_expiry(connection.node_seconds, connection.challenge.max_lifetime_hours)
