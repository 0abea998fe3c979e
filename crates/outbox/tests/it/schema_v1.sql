-- An outbox of schema version 1 as it was first shipped. Later versions must open it: never change this file.
PRAGMA application_id = 1329745752;
PRAGMA user_version = 1;
CREATE TABLE queue (
    seq INTEGER PRIMARY KEY, priority INTEGER NOT NULL, weight INTEGER NOT NULL, size INTEGER NOT NULL,
    topic TEXT NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX queue_by_priority ON queue (priority, seq);
CREATE TABLE dropped (
    seq_from INTEGER PRIMARY KEY, seq_to INTEGER NOT NULL, weight INTEGER NOT NULL, reason INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1), next_seq INTEGER NOT NULL, mark INTEGER NOT NULL,
    accepted_entries INTEGER NOT NULL, accepted_weight INTEGER NOT NULL,
    published_entries INTEGER NOT NULL, published_weight INTEGER NOT NULL,
    queued_entries INTEGER NOT NULL, queued_weight INTEGER NOT NULL,
    full_entries INTEGER NOT NULL, full_weight INTEGER NOT NULL,
    refused_entries INTEGER NOT NULL, refused_weight INTEGER NOT NULL,
    queued_bytes INTEGER NOT NULL
) STRICT;
INSERT INTO queue VALUES (5, 1, 30, 69, 'a', x'7b357d'), (6, 0, 1, 69, 'b', x'7b367d');
INSERT INTO dropped VALUES (1, 2, 7, 0, 1000), (4, 4, 2, 1, 2000);
INSERT INTO state VALUES (1, 7, 900, 6, 45, 1, 5, 2, 31, 2, 7, 1, 2, 138);
