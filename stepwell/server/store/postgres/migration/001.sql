-- The tables of the first version. Times are Unix milliseconds. Text compares byte by byte (C), as
-- in every other store. All of it stands in a schema of its own, beside whatever else the database
-- holds.

-- Rows that are written once and never change.

CREATE TABLE stepwell.event (
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    ts bigint NOT NULL,
    received_ms bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    body bytea NOT NULL
);
CREATE INDEX event_by_name ON stepwell.event (name, received_ms, id);
CREATE INDEX event_by_time ON stepwell.event (received_ms, id);

CREATE TABLE stepwell.step (
    run_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    place bigint NOT NULL,
    op text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    began_ms bigint NOT NULL,
    ended_ms bigint NOT NULL,
    attempt integer NOT NULL,
    memo bytea NOT NULL,
    PRIMARY KEY (run_id, id)
);
CREATE INDEX step_by_place ON stepwell.step (place);

CREATE TABLE stepwell.note (
    run_id text COLLATE "C" NOT NULL,
    place bigint NOT NULL,
    at_ms bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    step_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    attempt integer NOT NULL,
    body bytea NOT NULL
);
CREATE INDEX note_by_run ON stepwell.note (run_id, place);

-- Events that started no run of a function, and why.
CREATE TABLE stepwell.dropped (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text COLLATE "C" NOT NULL,
    function text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    until_ms bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL
);
CREATE INDEX dropped_by_event ON stepwell.dropped (event_id);
CREATE INDEX dropped_by_function ON stepwell.dropped (function, at_ms, seq);

-- A run: written when it begins, when it is first heard of, and when it ends. Whoever changes what
-- hangs on it locks this row first.
CREATE TABLE stepwell.run (
    id text COLLATE "C" PRIMARY KEY,
    function text COLLATE "C" NOT NULL,
    app text COLLATE "C" NOT NULL,
    event_id text COLLATE "C",
    queued_ms bigint NOT NULL,
    dedup text COLLATE "C" NOT NULL,
    origin text COLLATE "C",
    status integer NOT NULL,
    started_ms bigint NOT NULL,
    ended_ms bigint NOT NULL,
    output bytea,
    version integer NOT NULL,
    flags integer NOT NULL,
    pending text COLLATE "C",
    parts integer NOT NULL
);
CREATE INDEX run_by_event ON stepwell.run (event_id);
CREATE INDEX run_by_dedup ON stepwell.run (function, md5(dedup), id) WHERE dedup <> '';
CREATE INDEX run_by_queueing ON stepwell.run (queued_ms, id);
CREATE INDEX run_by_function ON stepwell.run (function, queued_ms, id);
CREATE INDEX run_by_status ON stepwell.run (status, queued_ms, id);
CREATE INDEX run_by_start ON stepwell.run (started_ms, id) WHERE started_ms > 0;
CREATE INDEX run_by_end ON stepwell.run (ended_ms, id) WHERE ended_ms > 0;
CREATE INDEX run_going ON stepwell.run (function, id) WHERE status < 300;

-- The events of a run that began with several, the first one aside.
CREATE TABLE stepwell.run_event (
    event_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (event_id, run_id)
);
CREATE INDEX run_event_by_run ON stepwell.run_event (run_id);

-- What is to be done, and when. Those of the engine itself hang on ids that name no run. `turn`
-- orders the calls of a lane that are due together (0 elsewhere).
CREATE TABLE stepwell.item (
    run_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    due_ms bigint NOT NULL,
    queue text COLLATE "C" NOT NULL,
    kind integer NOT NULL,
    attempt integer NOT NULL,
    target text COLLATE "C" NOT NULL,
    losses integer NOT NULL,
    detail bytea NOT NULL,
    turn bigint NOT NULL,
    PRIMARY KEY (run_id, key)
);
CREATE INDEX item_by_due ON stepwell.item (queue, due_ms, turn, run_id, key);

-- Who is doing an item, and until when nobody else may; `node` is the process that granted it.
CREATE TABLE stepwell.lease (
    run_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    granted_ms bigint NOT NULL,
    until_ms bigint NOT NULL,
    generation integer NOT NULL,
    steps integer NOT NULL,
    keys text[] COLLATE "C" NOT NULL,
    loads integer[] NOT NULL,
    node text COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, key)
) WITH (fillfactor = 70);
CREATE INDEX lease_by_end ON stepwell.lease (until_ms);
CREATE INDEX lease_by_node ON stepwell.lease (node);
CREATE INDEX lease_by_key ON stepwell.lease USING gin (keys) WHERE keys <> '{}';

-- Kinds: 1 event, 2 signal, 3 the end of an invoked run, 4 cancellation by an event. Each is in the
-- one index it is looked up by; the third is found by run and step alone.
CREATE TABLE stepwell.wait (
    run_id text COLLATE "C" NOT NULL,
    step_id text COLLATE "C" NOT NULL,
    kind integer NOT NULL,
    name text COLLATE "C" NOT NULL,
    path text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    opened_ms bigint NOT NULL,
    until_ms bigint NOT NULL,
    condition text COLLATE "C" NOT NULL,
    label text COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, step_id)
);
CREATE INDEX wait_by_event ON stepwell.wait (name, path, md5(value)) WHERE kind IN (1, 4);
CREATE INDEX wait_by_signal ON stepwell.wait (name) WHERE kind = 2;

-- What is remembered of a key of flow control, until it says nothing any more.
CREATE TABLE stepwell.flow_key (
    id text COLLATE "C" PRIMARY KEY,
    kind integer NOT NULL,
    until_ms bigint NOT NULL,
    value bigint NOT NULL,
    data bytea NOT NULL
);
CREATE INDEX flow_key_by_end ON stepwell.flow_key (until_ms, id);
CREATE INDEX flow_key_by_kind ON stepwell.flow_key (kind, id);

-- Runs that have a place under a key until they end.
CREATE TABLE stepwell.slot (
    key text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    taken_ms bigint NOT NULL,
    place bigint NOT NULL,
    PRIMARY KEY (key, run_id)
);

-- Starts that were put off (1 debounce, 2 batch), and their events where there are several.
CREATE TABLE stepwell.hold (
    key text COLLATE "C" PRIMARY KEY,
    function text COLLATE "C" NOT NULL,
    kind integer NOT NULL,
    opened_ms bigint NOT NULL,
    due_ms bigint NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    ts bigint NOT NULL,
    count integer NOT NULL,
    size bigint NOT NULL,
    parent text COLLATE "C" NOT NULL
);
CREATE INDEX hold_by_event ON stepwell.hold (event_id);
CREATE TABLE stepwell.held (
    hold text COLLATE "C" NOT NULL,
    place bigint NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    ts bigint NOT NULL,
    parent text COLLATE "C" NOT NULL,
    PRIMARY KEY (hold, place)
);
CREATE INDEX held_by_event ON stepwell.held (event_id);

CREATE TABLE stepwell.app (
    name text COLLATE "C" PRIMARY KEY,
    url text COLLATE "C" NOT NULL,
    method text COLLATE "C" NOT NULL,
    sdk text COLLATE "C" NOT NULL,
    framework text COLLATE "C" NOT NULL,
    app_version text COLLATE "C" NOT NULL,
    checksum text COLLATE "C" NOT NULL,
    synced_ms bigint NOT NULL,
    error text COLLATE "C" NOT NULL,
    events text COLLATE "C" NOT NULL
);

CREATE TABLE stepwell.function (
    slug text COLLATE "C" PRIMARY KEY,
    app text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    config bytea NOT NULL,
    version integer NOT NULL,
    created_ms bigint NOT NULL
);

-- Functions that were registered once, and since when they are gone.
CREATE TABLE stepwell.gone_function (
    slug text COLLATE "C" PRIMARY KEY,
    app text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    config bytea NOT NULL,
    version integer NOT NULL,
    created_ms bigint NOT NULL,
    gone_ms bigint NOT NULL
);

-- Runs of one function that were queued within a time are to end; ended_ms is 0 until they were.
CREATE TABLE stepwell.cancellation (
    id text COLLATE "C" PRIMARY KEY,
    app text COLLATE "C" NOT NULL,
    function text COLLATE "C" NOT NULL,
    after_ms bigint NOT NULL,
    before_ms bigint NOT NULL,
    condition text COLLATE "C" NOT NULL,
    asked_ms bigint NOT NULL,
    ended_ms bigint NOT NULL
);
CREATE INDEX cancellation_open ON stepwell.cancellation (id) WHERE ended_ms = 0;

-- Keys of people and programs. What is sent is not here, only its SHA-256.
CREATE TABLE stepwell.api_key (
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    role integer NOT NULL,
    hash text COLLATE "C" NOT NULL UNIQUE,
    created_ms bigint NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    revoked_ms bigint NOT NULL
);

-- What was changed by hand, and by whom; status is 0 unless it was refused.
CREATE TABLE stepwell.audit (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    at_ms bigint NOT NULL,
    by text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    operation text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    asked text COLLATE "C" NOT NULL,
    status integer NOT NULL
);

-- What is done to many runs: to which (JSON), and how far it has come; ended_ms is 0 until it ends.
CREATE TABLE stepwell.bulk (
    id text COLLATE "C" PRIMARY KEY,
    action text COLLATE "C" NOT NULL,
    wanted text COLLATE "C" NOT NULL,
    rate integer NOT NULL,
    asked_ms bigint NOT NULL,
    asked_by text COLLATE "C" NOT NULL,
    total bigint NOT NULL,
    more integer NOT NULL,
    at_ms bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    done bigint NOT NULL,
    refused bigint NOT NULL,
    ended_ms bigint NOT NULL,
    stopped integer NOT NULL
);
CREATE INDEX bulk_open ON stepwell.bulk (id) WHERE ended_ms = 0;

-- How many runs came to each status in a minute or an hour, for charts, as far as one process wrote
-- it: so no two wait for each other's rows.
CREATE TABLE stepwell.run_count (
    span_ms bigint NOT NULL,
    at_ms bigint NOT NULL,
    app text COLLATE "C" NOT NULL,
    function text COLLATE "C" NOT NULL,
    node text COLLATE "C" NOT NULL,
    queued bigint NOT NULL,
    started bigint NOT NULL,
    completed bigint NOT NULL,
    failed bigint NOT NULL,
    cancelled bigint NOT NULL,
    PRIMARY KEY (span_ms, at_ms, app, function, node)
) WITH (fillfactor = 70);

-- The processes that have the database, and until when each is taken for alive.
CREATE TABLE stepwell.node (
    id text COLLATE "C" PRIMARY KEY,
    label text NOT NULL,
    began timestamptz NOT NULL,
    alive_until timestamptz NOT NULL
);
