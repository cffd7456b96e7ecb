-- The nodes that are dialled first at the next start, the first rank first; as in peer.
CREATE TABLE anchor (
    rank       INTEGER PRIMARY KEY,
    node       BLOB NOT NULL,
    record     BLOB NOT NULL,
    last_heard REAL NOT NULL
) STRICT;

-- Which node answered the first time at a seed's address (host:port), and when (unix seconds).
CREATE TABLE seed (
    seq     INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE,
    node    BLOB NOT NULL,
    since   REAL NOT NULL
) STRICT;
CREATE INDEX seed_since ON seed (since);
