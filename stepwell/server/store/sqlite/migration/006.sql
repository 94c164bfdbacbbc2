-- Runs of one function that were queued within a time are to end; ended_ms is 0 until they were.
CREATE TABLE cancellation (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    function TEXT NOT NULL,
    after_ms INTEGER NOT NULL,
    before_ms INTEGER NOT NULL,
    condition TEXT NOT NULL,
    asked_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX cancellation_open ON cancellation (ended_ms) WHERE ended_ms = 0;
