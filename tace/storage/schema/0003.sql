-- For whom copies are kept here until they are back: state as in the listings of items, 4 for a
-- blob (key and name are its hash). made is unix seconds. The numbers rise with age: the table is
-- bounded, and the oldest go first.
CREATE TABLE hint (
    seq    INTEGER PRIMARY KEY,
    member BLOB NOT NULL,
    state  INTEGER NOT NULL,
    key    BLOB NOT NULL,
    name   BLOB NOT NULL,
    made   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX hint_item ON hint (member, state, key, name);
CREATE INDEX hint_age ON hint (made);
