-- What was registered once, so that a run that waits for it can say so.

-- Functions that were registered once: the columns of `function`, and since when they are gone.
CREATE TABLE gone_function (
    slug TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    config BLOB NOT NULL,
    version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    gone_ms INTEGER NOT NULL
) WITHOUT ROWID;
