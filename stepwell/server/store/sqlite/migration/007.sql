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
