-- What is said of runs from outside (1 metadata, 2 scores, 3 spans of user code).
CREATE TABLE stepwell.annotation (
    run_id text COLLATE "C" NOT NULL,
    kind integer NOT NULL,
    step_id text COLLATE "C" NOT NULL,
    place text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (run_id, kind, step_id, place, name)
);
