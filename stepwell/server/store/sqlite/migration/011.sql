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
