"""What changes the address book, its anchors, seeds and dead, and the number of the boot."""

from __future__ import annotations

from collections.abc import Sequence

from tace.ids import NodeId
from tace.seams import (
    MAX_ANCHORS,
    MAX_KNOWN_DEAD,
    MAX_KNOWN_SEEDS,
    KnownDead,
    KnownPeer,
    KnownSeed,
)
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


def save_anchors(database: Database, anchors: Sequence[KnownPeer]) -> None:
    """These and no others, in this order."""
    database.execute("DELETE FROM anchor")
    database.executemany(
        "INSERT INTO anchor (rank, node, record, last_heard) VALUES (?, ?, ?, ?)",
        [
            (rank, anchor.node, anchor.record, anchor.last_heard_seconds)
            for rank, anchor in enumerate(anchors[:MAX_ANCHORS], 1)
        ],
    )


def save_seeds(database: Database, seeds: Sequence[KnownSeed]) -> None:
    """Those first met longest ago go where there are too many."""
    database.executemany(
        """
        INSERT INTO seed (address, node, since) VALUES (?, ?, ?)
        ON CONFLICT (address) DO UPDATE SET node = excluded.node, since = excluded.since
        """,
        [(seed.address, seed.node, seed.since_seconds) for seed in seeds],
    )
    database.execute(
        "DELETE FROM seed WHERE seq IN "
        "(SELECT seq FROM seed ORDER BY since DESC, address LIMIT -1 OFFSET ?)",
        (MAX_KNOWN_SEEDS,),
    )


def save_dead(database: Database, dead: Sequence[KnownDead]) -> None:
    """The longest dead go where there are too many."""
    database.executemany(
        """
        INSERT INTO dead (node, record, died, in_burst) VALUES (?, ?, ?, ?)
        ON CONFLICT (node) DO UPDATE
        SET record = excluded.record, died = excluded.died, in_burst = excluded.in_burst
        """,
        [(known.node, known.record, known.died_seconds, known.in_burst) for known in dead],
    )
    database.execute(
        "DELETE FROM dead WHERE seq IN "
        "(SELECT seq FROM dead ORDER BY died DESC, node LIMIT -1 OFFSET ?)",
        (MAX_KNOWN_DEAD,),
    )


def forget_dead(database: Database, nodes: Sequence[NodeId]) -> None:
    database.executemany("DELETE FROM dead WHERE node = ?", [(node,) for node in nodes])


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
