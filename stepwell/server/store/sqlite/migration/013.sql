-- How many runs completed in an hour, by how long they took (in buckets: ended_counts.py).
CREATE TABLE duration_count (
    at_ms INTEGER NOT NULL,
    app TEXT NOT NULL,
    function TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    longest_ms INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (at_ms, app, function, bucket)
) WITHOUT ROWID;

-- How many runs failed alike in a minute or an hour; the error is that of the latest, run_id.
CREATE TABLE failure_count (
    span_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    app TEXT NOT NULL,
    function TEXT NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    message TEXT NOT NULL,
    runs INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (span_ms, at_ms, app, function, kind)
) WITHOUT ROWID;
