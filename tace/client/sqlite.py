"""The home's database: all tables in one file, and what the home knows of itself."""

from __future__ import annotations

from collections.abc import Sequence

from tace.client.tables.arrivals.sqlite import Arrivals
from tace.client.tables.history.sqlite import History
from tace.client.tables.people.sqlite import People
from tace.client.tables.post.sqlite import Post


class HomeDatabase(People, History, Post, Arrivals):
    """All that a home keeps. Made by ``open``."""

    def setting(self, name: str) -> bytes | None:
        row = self._one("SELECT value FROM setting WHERE name = ?", name)
        return None if row is None else row[0]

    def set_setting(self, name: str, value: bytes) -> None:
        self._run("INSERT OR REPLACE INTO setting VALUES (?, ?)", name, value)

    def secret(self, name: str) -> bytes | None:
        """A setting that is sealed."""
        sealed = self.setting(name)
        return None if sealed is None else self._unseal("setting", name.encode(), sealed)

    def set_secret(self, name: str, value: bytes) -> None:
        self.set_setting(name, self._seal("setting", name.encode(), value))

    def pin_network(self, network_id: bytes) -> bool:
        """Is that the home's network? The first one asked about becomes it."""
        with self.transaction():
            pinned = self.setting("network_id")
            if pinned is None:
                self.set_setting("network_id", network_id)
        return pinned is None or pinned == network_id

    # -- nodes -----------------------------------------------------------------------------------

    def nodes(self) -> list[tuple[str, bytes]]:
        """(origin, node id) of all that are remembered, in a fixed order."""
        return self._all("SELECT origin, node FROM node ORDER BY origin")

    def latest_origins(self, most: int) -> list[str]:
        """The nodes met last, the latest first."""
        rows = self._all("SELECT origin FROM node ORDER BY met_seconds DESC, origin LIMIT ?", most)
        return [origin for (origin,) in rows]

    def last_met_seconds(self) -> float | None:
        """When any node was met last; None before the first."""
        (found,) = self._one("SELECT max(met_seconds) FROM node")
        return None if found is None else float(found)

    def remember_nodes(self, nodes: Sequence[tuple[str, bytes]], now: float, *, keep: int) -> None:
        """(origin, node id) each; only the ``keep`` met last are remembered."""
        with self.transaction():
            for origin, node in nodes:
                self._run("INSERT OR REPLACE INTO node VALUES (?, ?, ?)", origin, node, now)
            self._run(
                "DELETE FROM node WHERE origin NOT IN"
                " (SELECT origin FROM node ORDER BY met_seconds DESC, origin LIMIT ?)",
                keep,
            )

    # -- own prekeys and records -----------------------------------------------------------------

    def prekeys(self) -> list[bytes]:
        """As stored by :meth:`set_prekeys`, the newest id first."""
        rows = self._all("SELECT id, sealed FROM prekey ORDER BY id DESC")
        return [self._unseal("prekey", b"%d" % number, sealed) for number, sealed in rows]

    def set_prekeys(self, prekeys: Sequence[tuple[int, bytes]]) -> None:
        """Exactly these (id, private halves) are kept from now on."""
        with self.transaction():
            self._run("DELETE FROM prekey")
            for number, key in prekeys:
                sealed = self._seal("prekey", b"%d" % number, key)
                self._run("INSERT INTO prekey VALUES (?, ?)", number, sealed)

    def own_record(self, key: bytes) -> tuple[bytes, float | None] | None:
        """(the record as signed last, when a majority last had it)."""
        row = self._one("SELECT encoded, published_seconds FROM own_record WHERE key = ?", key)
        return None if row is None else (row[0], row[1])

    def set_own_record(self, key: bytes, encoded: bytes) -> None:
        """A newly signed one, published nowhere yet."""
        self._run("INSERT OR REPLACE INTO own_record VALUES (?, ?, NULL)", key, encoded)

    def own_record_published(self, encoded: bytes, now: float) -> None:
        self._run("UPDATE own_record SET published_seconds = ? WHERE encoded = ?", now, encoded)
