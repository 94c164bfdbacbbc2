-- The tables of a fresh database. A database made by an older version reaches the same shape
-- through migration/NNN.sql; a test compares the two. Times are Unix milliseconds.

-- Tables that hold users' payloads keep a number as their key: rows of a kilobyte then stay on
-- their page, and rows are added at the end, in the order of arrival.

CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    ts INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX event_by_id ON event (id);
CREATE INDEX event_by_name ON event (name, received_ms);

-- A run, and in the same row the item that calls it next: due_ms is NULL without one, main NULL
-- for an ordinary one. What few runs have is packed (origin, main): fewer columns are faster.
CREATE TABLE run (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    function TEXT NOT NULL,
    app TEXT NOT NULL,
    event_id TEXT,
    queued_ms INTEGER NOT NULL,
    dedup TEXT NOT NULL,
    origin TEXT,
    status INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    output BLOB,
    version INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    pending TEXT,
    parts INTEGER NOT NULL,
    due_ms INTEGER,
    queue TEXT,
    main BLOB,
    code TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX run_by_id ON run (id);
CREATE INDEX run_by_event ON run (event_id);
CREATE INDEX run_by_dedup ON run (function, dedup) WHERE dedup <> '';
CREATE INDEX run_by_due ON run (queue, due_ms, id) WHERE due_ms IS NOT NULL;
CREATE INDEX run_by_end ON run (ended_ms) WHERE ended_ms > 0;
CREATE INDEX run_by_start ON run (started_ms) WHERE started_ms > 0;
CREATE INDEX run_by_status ON run (status, app, function, queued_ms, id);
CREATE INDEX run_by_deferral ON run (status, app, function, queued_ms, id) WHERE (flags & 16) <> 0;

-- The events of a run that began with several, the first one aside.
CREATE TABLE run_event (
    event_id TEXT NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (event_id, run)
) WITHOUT ROWID;
CREATE INDEX run_event_by_run ON run_event (run);

CREATE TABLE step (
    run INTEGER NOT NULL,
    id TEXT NOT NULL,
    place INTEGER NOT NULL,
    op TEXT NOT NULL,
    name TEXT NOT NULL,
    began_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    memo BLOB NOT NULL,
    input BLOB NOT NULL DEFAULT x'',
    PRIMARY KEY (run, id)
);

-- Every item but the main ones. Those of the engine itself hang on ids that name no run.
CREATE TABLE item (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    queue TEXT NOT NULL,
    kind INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    target TEXT NOT NULL,
    losses INTEGER NOT NULL,
    detail BLOB NOT NULL,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;
CREATE INDEX item_by_due ON item (queue, due_ms);

-- Kinds: 1 event, 2 signal, 3 the end of an invoked run, 4 cancellation by an event. Each is in the
-- one index it is looked up by; the third is found by run and step alone.
CREATE TABLE wait (
    run_id TEXT NOT NULL,
    step_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    value TEXT NOT NULL,
    opened_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    condition TEXT NOT NULL,
    label TEXT NOT NULL,
    PRIMARY KEY (run_id, step_id)
) WITHOUT ROWID;
CREATE INDEX wait_by_event ON wait (name, path, value) WHERE kind IN (1, 4);
CREATE INDEX wait_by_signal ON wait (name) WHERE kind = 2;

CREATE TABLE note (
    run_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    step_id TEXT NOT NULL,
    name TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX note_by_run ON note (run_id, place);

-- What is remembered of a key of flow control, until it says nothing any more.
CREATE TABLE flow_key (
    id TEXT PRIMARY KEY,
    kind INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    value INTEGER NOT NULL,
    data BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX flow_key_by_end ON flow_key (until_ms);

-- Runs that have a place under a key until they end.
CREATE TABLE slot (
    key TEXT NOT NULL,
    run_id TEXT NOT NULL,
    taken_ms INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (key, run_id)
) WITHOUT ROWID;

-- Starts that were put off (1 debounce, 2 batch), and their events where there are several.
CREATE TABLE hold (
    key TEXT PRIMARY KEY,
    function TEXT NOT NULL,
    kind INTEGER NOT NULL,
    opened_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    ts INTEGER NOT NULL,
    count INTEGER NOT NULL,
    size INTEGER NOT NULL,
    parent TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX hold_by_event ON hold (event_id);
CREATE TABLE held (
    hold TEXT NOT NULL,
    place INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    ts INTEGER NOT NULL,
    parent TEXT NOT NULL,
    PRIMARY KEY (hold, place)
) WITHOUT ROWID;
CREATE INDEX held_by_event ON held (event_id);

-- Events that started no run of a function, and why.
CREATE TABLE dropped (
    event_id TEXT NOT NULL,
    function TEXT NOT NULL,
    reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    key TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    run_id TEXT NOT NULL
);
CREATE INDEX dropped_by_event ON dropped (event_id);
CREATE INDEX dropped_by_function ON dropped (function, at_ms);

CREATE TABLE app (
    name TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    method TEXT NOT NULL,
    sdk TEXT NOT NULL,
    framework TEXT NOT NULL,
    app_version TEXT NOT NULL,
    checksum TEXT NOT NULL,
    synced_ms INTEGER NOT NULL,
    error TEXT NOT NULL,
    events TEXT NOT NULL DEFAULT '',
    former TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE function (
    slug TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    config BLOB NOT NULL,
    version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;

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

-- What functions came to be, the newest of each: the columns of `function`, and what the app called
-- its own version.
CREATE TABLE function_version (
    slug TEXT NOT NULL,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    config BLOB NOT NULL,
    version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    app_version TEXT NOT NULL,
    PRIMARY KEY (slug, created_ms, version)
) WITHOUT ROWID;

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

-- One row: the number of the last migration this database has seen.
CREATE TABLE schema_version (version INTEGER NOT NULL);

-- Keys of people and programs. What is sent is not here, only its SHA-256.
CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    role INTEGER NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    revoked_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- What was changed by hand, and by whom; status is 0 unless it was refused.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at_ms INTEGER NOT NULL,
    by TEXT NOT NULL,
    key_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    target TEXT NOT NULL,
    asked TEXT NOT NULL,
    status INTEGER NOT NULL
);

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

-- How many runs came to each status in a minute or an hour, for charts: no run is looked at for that.
CREATE TABLE run_count (
    span_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    app TEXT NOT NULL,
    function TEXT NOT NULL,
    queued INTEGER NOT NULL,
    started INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    PRIMARY KEY (span_ms, at_ms, app, function)
) WITHOUT ROWID;

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

-- What is said of runs from outside (1 metadata, 2 scores, 3 spans of user code).
CREATE TABLE annotation (
    run_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    step_id TEXT NOT NULL,
    place TEXT NOT NULL,
    name TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (run_id, kind, step_id, place, name)
) WITHOUT ROWID;
