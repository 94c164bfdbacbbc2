-- How many runs completed in an hour, by how long they took (in buckets: ended_counts.py).
CREATE TABLE stepwell.duration_count (
    at_ms bigint NOT NULL,
    app text COLLATE "C" NOT NULL,
    function text COLLATE "C" NOT NULL,
    bucket bigint NOT NULL,
    node text COLLATE "C" NOT NULL,
    runs bigint NOT NULL,
    longest_ms bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (at_ms, app, function, bucket, node)
) WITH (fillfactor = 70);

-- How many runs failed alike in a minute or an hour; the error is that of the latest, run_id.
CREATE TABLE stepwell.failure_count (
    span_ms bigint NOT NULL,
    at_ms bigint NOT NULL,
    app text COLLATE "C" NOT NULL,
    function text COLLATE "C" NOT NULL,
    kind bigint NOT NULL,
    node text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    message text COLLATE "C" NOT NULL,
    runs bigint NOT NULL,
    first_ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (span_ms, at_ms, app, function, kind, node)
) WITH (fillfactor = 70);
