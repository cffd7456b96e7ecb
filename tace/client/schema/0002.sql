-- What people say about what was said. kind: as in tace/e2ee/content.py. target: the id of what a
-- reaction, an edit or a delete is about. sealed_body: of a file, where its chunks are.
ALTER TABLE message ADD COLUMN kind INTEGER NOT NULL DEFAULT 1;
ALTER TABLE message ADD COLUMN target BLOB;
ALTER TABLE message ADD COLUMN sealed_body BLOB;
CREATE INDEX message_target ON message (peer, target) WHERE target IS NOT NULL;
