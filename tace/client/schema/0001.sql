-- One person's home. Columns named sealed hold what the home key sealed (tace/client/vault.py).
-- A seq is never given twice (AUTOINCREMENT): programs remember one while they wait for a node.

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Nodes met: the origin that was dialled or that a verified node record names.
CREATE TABLE node (
    origin TEXT PRIMARY KEY,
    node BLOB NOT NULL,
    met_seconds REAL NOT NULL
) WITHOUT ROWID;

-- The private halves of the prekeys that were ever published and may still be used.
CREATE TABLE prekey (
    id INTEGER PRIMARY KEY,
    sealed BLOB NOT NULL
);

-- Our own records as they were last signed, and when a majority last had each.
CREATE TABLE own_record (
    key BLOB PRIMARY KEY,
    encoded BLOB NOT NULL,
    published_seconds REAL
) WITHOUT ROWID;

-- People: those written to and those who wrote.
CREATE TABLE peer (
    identity BLOB PRIMARY KEY,
    name TEXT NOT NULL DEFAULT '',
    device_list BLOB,
    looked_up_seconds REAL NOT NULL DEFAULT 0,
    next_counter INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;

CREATE TABLE device (
    identity BLOB NOT NULL,
    device BLOB NOT NULL,
    record BLOB,
    inbox_key BLOB,
    contacts_mailbox BLOB,
    introduction INTEGER NOT NULL DEFAULT 0,
    next_shown INTEGER,
    reset_seconds REAL NOT NULL DEFAULT 0,
    sealed_pair BLOB,
    PRIMARY KEY (identity, device)
) WITHOUT ROWID;

-- The history, both directions. state: queued, partial, stored, delivered, failed; received.
CREATE TABLE message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    outgoing INTEGER NOT NULL,
    state TEXT NOT NULL,
    copies INTEGER NOT NULL DEFAULT 0,
    replicas INTEGER NOT NULL DEFAULT 0,
    sender_device BLOB NOT NULL DEFAULT x'',
    counter INTEGER NOT NULL,
    sent_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    sealed_text BLOB NOT NULL,
    shown INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX message_id ON message (peer, outgoing, id);
CREATE INDEX message_unshown ON message (shown, seq) WHERE shown = 0;

-- What the recipient has not confirmed yet, before it is encrypted for a device.
CREATE TABLE outgoing (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    peer BLOB NOT NULL,
    device BLOB,
    message BLOB,
    sealed_content BLOB NOT NULL,
    expires_hours INTEGER NOT NULL,
    addressed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX outgoing_id ON outgoing (peer, id);
CREATE INDEX outgoing_message ON outgoing (peer, message);

-- One encrypted copy of an outgoing content for one device. state: waiting, stored, acked.
-- stamped: it goes to a mailbox that takes only stamped messages.
CREATE TABLE parcel (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    outgoing INTEGER NOT NULL REFERENCES outgoing (seq) ON DELETE CASCADE,
    device BLOB NOT NULL,
    envelope_id BLOB NOT NULL,
    envelope BLOB NOT NULL,
    stamped INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    copies INTEGER NOT NULL DEFAULT 0,
    replicas INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_seconds REAL NOT NULL DEFAULT 0
);
CREATE INDEX parcel_outgoing ON parcel (outgoing);
CREATE INDEX parcel_due ON parcel (state, next_seconds);
CREATE INDEX parcel_envelope ON parcel (envelope_id);

-- Envelopes that were opened and saved: what comes again is let go of without another look.
CREATE TABLE opened (
    envelope_id BLOB PRIMARY KEY,
    secret BLOB NOT NULL,
    expires_hours INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX opened_expires ON opened (expires_hours);

-- Envelopes that unsealed but could not be decrypted, kept for a day.
CREATE TABLE unreadable (
    envelope_id BLOB PRIMARY KEY,
    envelope BLOB NOT NULL,
    peer BLOB NOT NULL,
    device BLOB NOT NULL,
    kept_seconds REAL NOT NULL
) WITHOUT ROWID;

-- Parts of a long text whose others are still missing.
CREATE TABLE part (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    peer BLOB NOT NULL,
    whole BLOB NOT NULL,
    number INTEGER NOT NULL,
    sealed_body BLOB NOT NULL,
    kept_seconds REAL NOT NULL
);
CREATE UNIQUE INDEX part_number ON part (peer, whole, number);

-- Receipts that are still owed.
CREATE TABLE receipt (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (peer, id)
) WITHOUT ROWID;
