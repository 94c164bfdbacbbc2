-- What is done to many runs: to which (JSON), and how far it has come; ended_ms is 0 until it ends.
CREATE TABLE bulk (
    id TEXT PRIMARY KEY,
    action TEXT NOT NULL,
    wanted TEXT NOT NULL,
    rate INTEGER NOT NULL,
    asked_ms INTEGER NOT NULL,
    asked_by TEXT NOT NULL,
    total INTEGER NOT NULL,
    more INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    done INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    stopped INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX bulk_open ON bulk (ended_ms) WHERE ended_ms = 0;
