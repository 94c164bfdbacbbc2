-- What functions came to be, the newest of each: the columns of `function`, and what the app called
-- its own version.
CREATE TABLE stepwell.function_version (
    slug text COLLATE "C" NOT NULL,
    app text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    config bytea NOT NULL,
    version integer NOT NULL,
    created_ms bigint NOT NULL,
    app_version text COLLATE "C" NOT NULL,
    PRIMARY KEY (slug, created_ms, version)
);
INSERT INTO stepwell.function_version SELECT *, '' FROM stepwell.function;
INSERT INTO stepwell.function_version
SELECT slug, app, name, config, version, created_ms, '' FROM stepwell.gone_function
ON CONFLICT DO NOTHING;
