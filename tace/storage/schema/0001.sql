-- Tables are appended to by rowid and found through plain indexes: with random keys that takes a
-- third of the work of a table ordered by key with the body in the row.
--
-- expires counts whole hours since 1970. The index of the place holds it too, so that listings and
-- reconciliation never touch the bodies; it does not weaken UNIQUE, because an id is a hash over
-- its expiry. Of a tombstone made by a removal it is the owner's word; there the writer sees to it
-- that one id has one tombstone.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

-- seq is the order of arrival. AUTOINCREMENT: a number is never used twice, even when the newest
-- row has gone, else whoever lists "after seq" would miss its successor.
CREATE TABLE envelope (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox BLOB NOT NULL,
    id      BLOB NOT NULL,
    expires INTEGER NOT NULL,
    body    BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX envelope_place ON envelope (mailbox, id, expires);
CREATE INDEX envelope_expires ON envelope (expires);

-- Either secret and blob_hash are there (the recipient opened the message) or removal is (the owner
-- signed it away).
CREATE TABLE tombstone (
    seq       INTEGER PRIMARY KEY,
    mailbox   BLOB NOT NULL,
    id        BLOB NOT NULL,
    expires   INTEGER NOT NULL,
    secret    BLOB,
    blob_hash BLOB,
    removal   INTEGER REFERENCES removal (seq)
) STRICT;
CREATE UNIQUE INDEX tombstone_place ON tombstone (mailbox, id, expires);
CREATE INDEX tombstone_expires ON tombstone (expires);
CREATE INDEX tombstone_removal ON tombstone (removal) WHERE removal IS NOT NULL;

CREATE TABLE removal (
    seq     INTEGER PRIMARY KEY,
    hash    BLOB NOT NULL UNIQUE,
    encoded BLOB NOT NULL
) STRICT;

-- A removal goes with the last tombstone that needs it as its proof.
CREATE TRIGGER removal_unused AFTER DELETE ON tombstone
WHEN old.removal IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM tombstone WHERE removal = old.removal)
BEGIN
    DELETE FROM removal WHERE seq = old.removal;
END;

-- name is SHA-256 of encoded. Once it has expired encoded is NULL: only the sequence is remembered.
CREATE TABLE record (
    seq      INTEGER PRIMARY KEY,
    key      BLOB NOT NULL UNIQUE,
    name     BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    encoded  BLOB
) STRICT;
CREATE INDEX record_expires ON record (expires) WHERE encoded IS NOT NULL;
CREATE INDEX record_remembered ON record (expires) WHERE encoded IS NULL;

CREATE TABLE peer (
    seq        INTEGER PRIMARY KEY,
    node       BLOB NOT NULL UNIQUE,
    record     BLOB NOT NULL,
    last_heard REAL NOT NULL
) STRICT;
CREATE INDEX peer_last_heard ON peer (last_heard);
