"""What changes the address book, and the number of the boot."""

from __future__ import annotations

from collections.abc import Sequence

from tace.ids import NodeId
from tace.seams import KnownPeer
from tace.storage.reads.sqlite import Database
from tace.storage.rules import MAX_PEERS


def save_peers(database: Database, peers: Sequence[KnownPeer]) -> None:
    """The longest unheard go where there are too many."""
    database.executemany(
        """
        INSERT INTO peer (node, record, last_heard) VALUES (?, ?, ?)
        ON CONFLICT (node) DO UPDATE
        SET record = excluded.record, last_heard = excluded.last_heard
        """,
        [(peer.node, peer.record, peer.last_heard_seconds) for peer in peers],
    )
    database.execute(
        "DELETE FROM peer WHERE seq IN "
        "(SELECT seq FROM peer ORDER BY last_heard DESC, node LIMIT -1 OFFSET ?)",
        (MAX_PEERS,),
    )


def forget_peers(database: Database, nodes: Sequence[NodeId]) -> None:
    database.executemany("DELETE FROM peer WHERE node = ?", [(node,) for node in nodes])


def next_boot(database: Database, now: float) -> int:
    (boot,) = database.execute(
        """
        INSERT INTO meta (name, value) VALUES ('boot', ?)
        ON CONFLICT (name) DO UPDATE SET value = max(value + 1, excluded.value)
        RETURNING value
        """,
        (int(now),),
    ).fetchone()
    return int(boot)
