-- Programs whose own tables are in this database send events in their own transactions.

-- Stores events, and leaves to a server what they are to meet; one whose id is known is left out. It
-- takes a JSON list of {id, name, ts, key, body}: `id` is a ULID, `key` the id that the sender gave,
-- `body` the event as functions are told of it. Gives how many were stored.
-- Whoever may use the schema may call it, and needs no right on the tables.
CREATE FUNCTION stepwell.send(events text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
    refused text;
    stored integer;
BEGIN
    SELECT CASE
        WHEN one.place > 5000 THEN 'more than 5000 events at once'
        WHEN one.id IS NULL OR one.id !~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$' THEN 'id: no ULID'
        WHEN coalesce(one.name, '') = '' THEN 'name: empty'
        WHEN lower(left(one.name, 8)) = 'inngest/' THEN 'name: reserved for internal use'
        WHEN one.ts IS NULL OR one.ts NOT BETWEEN 315532800000 AND 4102444800000
            THEN 'ts: not between 1980 and 2100 in milliseconds since 1970'
        WHEN one.body IS NULL OR json_typeof(one.body::json) <> 'object'
            THEN 'body: no JSON object'
        -- The id, and an empty user, do not count.
        WHEN octet_length(one.body) > 3145728 + 64 THEN 'body: over 3145728 bytes'
    END || format(' (event %s)', one.place) INTO refused
    FROM ROWS FROM (
        json_to_recordset(events::json) AS (id text, name text, ts bigint, key text, body text)
    ) WITH ORDINALITY AS one (id, name, ts, key, body, place)
    ORDER BY 1 NULLS LAST LIMIT 1;
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = refused;
    END IF;
    WITH fresh AS (
        INSERT INTO stepwell.event
        SELECT
            one.id, one.name, one.ts, now_ms, coalesce(nullif(one.key, one.id), ''),
            convert_to(one.body, 'UTF8')
        FROM json_to_recordset(events::json)
        AS one (id text, name text, ts bigint, key text, body text)
        ON CONFLICT (id) DO NOTHING RETURNING id
    )
    INSERT INTO stepwell.item
    SELECT 'fanout:' || id, 'fanout', now_ms, '', 4, 0, id, 0, '', 0 FROM fresh;
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END $$;
