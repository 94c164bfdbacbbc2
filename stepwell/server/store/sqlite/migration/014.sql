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
INSERT INTO function_version SELECT *, '' FROM function;
INSERT OR IGNORE INTO function_version
SELECT slug, app, name, config, version, created_ms, '' FROM gone_function;
