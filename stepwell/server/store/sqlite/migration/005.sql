-- Flow control: what is remembered of keys, places of runs under them, starts that were put off, and
-- events that started no run.

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
