-- Nodes that were found dead and are asked whether they are back: the last record of each, when it
-- died (unix seconds), and whether many others died about then.
CREATE TABLE dead (
    seq      INTEGER PRIMARY KEY,
    node     BLOB NOT NULL UNIQUE,
    record   BLOB NOT NULL,
    died     REAL NOT NULL,
    in_burst INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_died ON dead (died);
