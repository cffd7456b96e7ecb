-- What the user says of people. standing: contact, request, blocked; people from before are contacts.
-- alias: what the user calls them. verified: their safety number was compared.
ALTER TABLE peer ADD COLUMN alias TEXT NOT NULL DEFAULT '';
ALTER TABLE peer ADD COLUMN standing TEXT NOT NULL DEFAULT 'contact';
ALTER TABLE peer ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;
CREATE INDEX peer_standing ON peer (standing);
CREATE INDEX peer_alias ON peer (alias);
CREATE INDEX peer_name ON peer (name);

-- Is the device on its owner's list? listing: known, unchecked (nothing of it is shown), unlisted.
ALTER TABLE device ADD COLUMN listing TEXT NOT NULL DEFAULT 'known';

-- Did our name and our contacts mailbox ride with it?
ALTER TABLE parcel ADD COLUMN introduces INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_peer ON message (peer, seq);
