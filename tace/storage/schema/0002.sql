-- Encrypted chunks of files, each under the SHA-256 of its data. The columns before data are read
-- without it. stamp is target u8, nonce u64.
CREATE TABLE blob (
    seq     INTEGER PRIMARY KEY,
    hash    BLOB NOT NULL UNIQUE,
    expires INTEGER NOT NULL,
    stamp   BLOB NOT NULL,
    data    BLOB NOT NULL
) STRICT;
-- Listings and reconciliation touch no row: with its data each lies on pages of its own.
CREATE INDEX blob_place ON blob (hash, expires);
CREATE INDEX blob_expires ON blob (expires);
