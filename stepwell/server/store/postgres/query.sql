-- Every statement the PostgreSQL store uses, by name. Columns come in the order of the tables.
-- Rows are written and looked for many at a time: each parameter of such a statement is a column.

-- load: what may not be there yet

-- lock --
SELECT id FROM stepwell.lock WHERE id = ANY(%b) ORDER BY id FOR NO KEY UPDATE;

-- lock_together --
-- The same with whoever also asks for it together; not with whoever asks for it alone.
SELECT id FROM stepwell.lock WHERE id = ANY(%b) ORDER BY id FOR SHARE;

-- lock_free --
SELECT id FROM stepwell.lock WHERE id = ANY(%b) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED;

-- load: runs and what hangs on them. What hangs on a run changes only while its row is locked.

-- runs_locked --
SELECT * FROM stepwell.run WHERE id = ANY(%b) ORDER BY id FOR NO KEY UPDATE;

-- runs_free --
SELECT id FROM stepwell.run WHERE id = ANY(%b) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED;

-- runs_there --
SELECT id FROM stepwell.run WHERE id = ANY(%b);

-- items_of_runs --
SELECT * FROM stepwell.item WHERE run_id = ANY(%b);

-- waits_of_runs --
SELECT * FROM stepwell.wait WHERE run_id = ANY(%b);

-- leases_of_runs --
SELECT * FROM stepwell.lease WHERE run_id = ANY(%b);

-- steps_saved --
SELECT run_id, id FROM stepwell.step
WHERE (run_id, id) IN (SELECT * FROM unnest(%b::text[], %b::text[]));

-- step_sizes --
SELECT run_id, count(*), sum(length(memo)), max(place) FROM stepwell.step
WHERE run_id = ANY(%b) GROUP BY run_id;

-- memos_of_op --
SELECT memo FROM stepwell.step WHERE run_id = %b AND op = %b;

-- newest_place --
SELECT max(place) FROM stepwell.step;

-- load: events

-- events_known --
SELECT id FROM stepwell.event WHERE id = ANY(%b);

-- events_whole --
SELECT * FROM stepwell.event WHERE id = ANY(%b);

-- event_names --
SELECT id, name FROM stepwell.event WHERE id = ANY(%b);

-- look_back --
SELECT * FROM stepwell.event
WHERE name = %b AND received_ms >= %b ORDER BY received_ms, id LIMIT %b OFFSET %b;

-- load: look-ups

-- newest_dedup --
SELECT max(id) FROM stepwell.run
WHERE function = %b AND md5(dedup) = md5(%b) AND dedup = %b AND dedup <> '';

-- names_waited --
SELECT name FROM unnest(%b::text[]) AS asked (name) WHERE EXISTS (
    SELECT 1 FROM stepwell.wait WHERE wait.name = asked.name AND kind IN (1, 4)
);

-- nobody_waits --
-- Divides by zero where somebody does.
SELECT 1 / (NOT EXISTS (
    SELECT 1 FROM stepwell.wait WHERE wait.name = ANY(%b) AND kind IN (1, 4)
))::int4;

-- paths_waited --
-- It goes from one path to the next in the index: many may wait at each.
WITH RECURSIVE known AS (
    SELECT asked.name, (
        SELECT path FROM stepwell.wait
        WHERE wait.name = asked.name AND kind IN (1, 4) ORDER BY path LIMIT 1
    ) AS path FROM unnest(%b::text[]) AS asked (name)
    UNION ALL
    SELECT known.name, (
        SELECT path FROM stepwell.wait
        WHERE wait.name = known.name AND kind IN (1, 4) AND wait.path > known.path
        ORDER BY path LIMIT 1
    ) FROM known WHERE known.path IS NOT NULL
)
SELECT name, path FROM known WHERE path IS NOT NULL;

-- meeting --
SELECT * FROM stepwell.wait
WHERE name = %(name)s AND kind IN (1, 4) AND (run_id, step_id) > (%(run_id)s, %(step_id)s)
AND (path, md5(value), value) IN (
    SELECT path, md5(value), value FROM unnest(%(paths)s::text[], %(values)s::text[])
    AS wanted (path, value)
)
ORDER BY run_id, step_id LIMIT %(limit)s;

-- signals --
SELECT DISTINCT ON (name) * FROM stepwell.wait
WHERE name = ANY(%b) AND kind = 2 ORDER BY name, run_id, step_id;

-- load: flow control

-- keys_locked --
SELECT * FROM stepwell.flow_key WHERE id = ANY(%b) ORDER BY id FOR NO KEY UPDATE;

-- slots_taken --
SELECT key, count(*) FROM stepwell.slot WHERE key = ANY(%b) GROUP BY key;

-- leased --
SELECT under.key, sum(coalesce(lease.loads[under.place], 1))
FROM stepwell.lease, unnest(lease.keys) WITH ORDINALITY AS under (key, place)
WHERE lease.keys && %(keys)s AND lease.keys <> '{}' AND under.key = ANY(%(keys)s)
GROUP BY under.key;

-- holders --
SELECT held.* FROM unnest(%b::text[]) AS wanted (key),
LATERAL (
    SELECT * FROM stepwell.slot WHERE slot.key = wanted.key ORDER BY place, run_id LIMIT 1000
) AS held;

-- holds_of_keys --
SELECT * FROM stepwell.hold WHERE key = ANY(%b) ORDER BY key FOR NO KEY UPDATE;

-- held_of_holds --
SELECT * FROM stepwell.held WHERE hold = ANY(%b) ORDER BY hold, place;

-- live_runs --
SELECT id FROM stepwell.run
WHERE status < 300 AND function = %b AND id > %b ORDER BY id LIMIT %b;

-- skipped --
SELECT event_id, function, reason, at_ms, key, until_ms, run_id FROM stepwell.dropped
WHERE function = %b AND at_ms >= %b AND at_ms < %b AND reason = ANY(%b)
ORDER BY at_ms, seq LIMIT %b;

-- lanes --
-- Every lane, and when its first item is due. It goes from one queue to the next in the index: what
-- is in the others, and there may be very many who sleep, is not read.
WITH RECURSIVE known AS (
    (SELECT queue FROM stepwell.item WHERE queue > '' ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (
        SELECT item.queue FROM stepwell.item
        WHERE item.queue > known.queue ORDER BY item.queue LIMIT 1
    ) FROM known WHERE known.queue IS NOT NULL
)
SELECT queue, (
    SELECT due_ms FROM stepwell.item WHERE item.queue = known.queue ORDER BY due_ms LIMIT 1
) FROM known WHERE position(chr(31) IN queue) > 0;

-- lane_due --
-- The first items of a lane that nobody has, due or not, in order, with their runs locked, as
-- `calls_due` does.
SELECT item.* FROM stepwell.item AS item JOIN stepwell.run ON run.id = item.run_id
WHERE item.queue = %b AND NOT EXISTS (
    SELECT 1 FROM stepwell.lease WHERE lease.run_id = item.run_id AND lease.key = item.key
) ORDER BY item.due_ms, item.turn, item.run_id, item.key LIMIT %b
FOR NO KEY UPDATE OF run SKIP LOCKED;

-- first_of_lane --
SELECT due_ms FROM stepwell.item WHERE queue = %b AND NOT EXISTS (
    SELECT 1 FROM stepwell.lease WHERE lease.run_id = item.run_id AND lease.key = item.key
) ORDER BY due_ms LIMIT 1;

-- load: what is due, what is old

-- calls_due --
-- The first calls of each queue that are due and nobody has, in order, with their runs locked: what
-- others are busy with is passed over. What they changed meanwhile is to be looked at again.
SELECT item.* FROM unnest(%b::text[], %b::int8[], %b::int8[]) AS wanted (queue, room, since),
LATERAL (
    SELECT item.* FROM stepwell.item AS item JOIN stepwell.run ON run.id = item.run_id
    WHERE item.queue = wanted.queue AND item.due_ms >= wanted.since AND item.due_ms <= %b
    AND NOT EXISTS (
        SELECT 1 FROM stepwell.lease WHERE lease.run_id = item.run_id AND lease.key = item.key
    ) ORDER BY item.due_ms, item.turn, item.run_id, item.key LIMIT wanted.room
    FOR NO KEY UPDATE OF run SKIP LOCKED
) AS item
ORDER BY due_ms, turn, run_id, key;

-- own_due --
-- What is due of the engine's own work, nothing locked yet: not all of it hangs on a run.
SELECT * FROM stepwell.item WHERE queue = '' AND due_ms >= %b AND due_ms <= %b AND NOT EXISTS (
    SELECT 1 FROM stepwell.lease WHERE lease.run_id = item.run_id AND lease.key = item.key
) ORDER BY due_ms, turn, run_id, key LIMIT %b;

-- next_due --
-- When the first item of any of these queues that is not due yet is.
SELECT min(item.due_ms) FROM unnest(%b::text[]) AS wanted (queue),
LATERAL (
    SELECT due_ms FROM stepwell.item WHERE item.queue = wanted.queue AND item.due_ms > %b
    AND NOT EXISTS (
        SELECT 1 FROM stepwell.lease WHERE lease.run_id = item.run_id AND lease.key = item.key
    ) ORDER BY due_ms LIMIT 1
) AS item;

-- leases_ending --
-- Those that are lost (0), those that have ended by now, from a time on, and the first that ends after.
-- `OFFSET 0` has the lost ones looked for by their end, and not among all there are or were, in order.
SELECT * FROM (
    (
        SELECT * FROM (SELECT * FROM stepwell.lease WHERE until_ms = 0 OFFSET 0) AS lost
        ORDER BY run_id, key LIMIT %(limit)s
    )
    UNION ALL
    (
        SELECT * FROM stepwell.lease
        WHERE until_ms > 0 AND until_ms >= %(since)s AND until_ms <= %(now)s
        ORDER BY until_ms, run_id, key LIMIT %(limit)s
    )
    UNION ALL
    (
        SELECT * FROM stepwell.lease WHERE until_ms >= %(since)s AND until_ms > %(now)s
        ORDER BY until_ms LIMIT 1
    )
) AS found ORDER BY until_ms, run_id, key LIMIT %(limit)s;

-- old_runs --
SELECT id, event_id, (SELECT count(*) FROM stepwell.step WHERE step.run_id = run.id)
FROM stepwell.run
WHERE ended_ms > 0 AND ended_ms < %b AND (dedup = '' OR queued_ms < %b)
ORDER BY ended_ms, id LIMIT %b;

-- more_events_of_runs --
SELECT event_id FROM stepwell.run_event WHERE run_id = ANY(%b) ORDER BY run_id, event_id;

-- free_events --
-- Of these events those that are old, in no hold, and used by no run but these.
SELECT id FROM stepwell.event
WHERE id = ANY(%(events)s) AND received_ms < %(before)s
AND NOT EXISTS (SELECT 1 FROM stepwell.hold WHERE hold.event_id = event.id)
AND NOT EXISTS (SELECT 1 FROM stepwell.held WHERE held.event_id = event.id)
AND NOT EXISTS (
    SELECT 1 FROM stepwell.run WHERE run.event_id = event.id AND run.id <> ALL(%(runs)s)
)
AND NOT EXISTS (
    SELECT 1 FROM stepwell.run_event
    WHERE run_event.event_id = event.id AND run_event.run_id <> ALL(%(runs)s)
)
ORDER BY received_ms, id;

-- events_after --
SELECT
    received_ms,
    id,
    EXISTS (SELECT 1 FROM stepwell.run WHERE run.event_id = event.id)
    OR EXISTS (SELECT 1 FROM stepwell.run_event WHERE run_event.event_id = event.id),
    EXISTS (SELECT 1 FROM stepwell.hold WHERE hold.event_id = event.id)
    OR EXISTS (SELECT 1 FROM stepwell.held WHERE held.event_id = event.id)
FROM stepwell.event
WHERE (received_ms, id) > (%b, %b) AND received_ms < %b ORDER BY received_ms, id LIMIT %b;

-- old_functions --
SELECT slug FROM stepwell.gone_function AS gone WHERE gone_ms < %b::int8 AND NOT EXISTS (
    SELECT 1 FROM stepwell.run WHERE function = gone.slug
) ORDER BY gone_ms, slug LIMIT %b::int4;

-- spent_keys --
SELECT id FROM stepwell.flow_key WHERE until_ms < %b ORDER BY until_ms, id LIMIT %b;

-- write

-- insert_event --
INSERT INTO stepwell.event SELECT * FROM unnest(
    %b::text[], %b::text[], %b::int8[], %b::int8[], %b::text[], %b::bytea[]
);

-- insert_run --
INSERT INTO stepwell.run SELECT * FROM unnest(
    %b::text[], %b::text[], %b::text[], %s::text[], %b::int8[], %b::text[], %s::text[],
    %b::int4[], %b::int8[], %b::int8[], %s::bytea[], %b::int4[], %b::int4[], %s::text[], %b::int4[],
    %b::text[]
);

-- insert_run_event --
INSERT INTO stepwell.run_event SELECT * FROM unnest(%b::text[], %b::text[])
ON CONFLICT DO NOTHING;

-- change_run --
UPDATE stepwell.run SET
    status = new.status, started_ms = new.started_ms, version = new.version, flags = new.flags,
    pending = new.pending, parts = new.parts, code = new.code
FROM unnest(
    %b::int4[], %b::int8[], %b::int4[], %b::int4[], %s::text[], %b::int4[], %b::text[],
    %b::text[]
) AS new (status, started_ms, version, flags, pending, parts, code, id)
WHERE run.id = new.id;

-- end_run --
UPDATE stepwell.run SET
    status = new.status, started_ms = new.started_ms, version = new.version, flags = new.flags,
    pending = new.pending, parts = new.parts, code = new.code, ended_ms = new.ended_ms,
    output = new.output
FROM unnest(
    %b::int4[], %b::int8[], %b::int4[], %b::int4[], %s::text[], %b::int4[], %b::text[],
    %b::int8[], %s::bytea[], %b::text[]
) AS new (status, started_ms, version, flags, pending, parts, code, ended_ms, output, id)
WHERE run.id = new.id;

-- add_counts --
INSERT INTO stepwell.run_count AS kept SELECT * FROM unnest(
    %b::int8[], %b::int8[], %b::text[], %b::text[], %b::text[],
    %b::int8[], %b::int8[], %b::int8[], %b::int8[], %b::int8[]
)
ON CONFLICT (span_ms, at_ms, app, function, node) DO UPDATE SET
    queued = kept.queued + excluded.queued, started = kept.started + excluded.started,
    completed = kept.completed + excluded.completed, failed = kept.failed + excluded.failed,
    cancelled = kept.cancelled + excluded.cancelled;

-- forget_counts --
DELETE FROM stepwell.run_count WHERE (span_ms, at_ms, app, function) IN (
    SELECT span_ms, at_ms, app, function FROM stepwell.run_count
    WHERE span_ms = %b AND at_ms < %b ORDER BY at_ms, app, function LIMIT %b
);

-- add_durations --
INSERT INTO stepwell.duration_count AS kept SELECT * FROM unnest(
    %b::int8[], %b::text[], %b::text[], %b::int8[], %b::text[],
    %b::int8[], %b::int8[], %b::text[]
)
ON CONFLICT (at_ms, app, function, bucket, node) DO UPDATE SET
    runs = kept.runs + excluded.runs,
    run_id = CASE WHEN excluded.longest_ms > kept.longest_ms
        THEN excluded.run_id ELSE kept.run_id END,
    longest_ms = greatest(kept.longest_ms, excluded.longest_ms);

-- forget_durations --
DELETE FROM stepwell.duration_count WHERE (at_ms, app, function, bucket) IN (
    SELECT at_ms, app, function, bucket FROM stepwell.duration_count
    WHERE at_ms < %b ORDER BY at_ms, app, function, bucket LIMIT %b
);

-- add_failures --
INSERT INTO stepwell.failure_count AS kept
SELECT
    span_ms, at_ms, app, function, told_apart, node,
    (array_agg(name ORDER BY last_ms DESC))[1], (array_agg(message ORDER BY last_ms DESC))[1],
    sum(runs)::int8, min(first_ms), max(last_ms), (array_agg(run_id ORDER BY last_ms DESC))[1]
FROM (
    SELECT new.*, CASE WHEN place.is_known OR place.kinds + row_number() OVER (
        PARTITION BY span_ms, at_ms, app, function, node, place.is_known ORDER BY nth
    ) <= %b::int8 THEN kind ELSE 0 END AS told_apart
    FROM ROWS FROM (unnest(
        %b::int8[], %b::int8[], %b::text[], %b::text[], %b::int8[], %b::text[],
        %b::text[], %b::text[], %b::int8[], %b::int8[], %b::int8[], %b::text[]
    )) WITH ORDINALITY AS new (
        span_ms, at_ms, app, function, kind, node,
        name, message, runs, first_ms, last_ms, run_id, nth
    ),
    LATERAL (
        SELECT
            count(*) AS kinds, coalesce(bool_or(known.kind = new.kind), FALSE) AS is_known
        FROM stepwell.failure_count AS known
        WHERE known.span_ms = new.span_ms AND known.at_ms = new.at_ms AND known.app = new.app
        AND known.function = new.function AND known.kind <> 0 AND known.node = new.node
    ) AS place
) AS added
GROUP BY span_ms, at_ms, app, function, told_apart, node
ON CONFLICT (span_ms, at_ms, app, function, kind, node) DO UPDATE SET
    name = CASE WHEN excluded.last_ms >= kept.last_ms THEN excluded.name ELSE kept.name END,
    message = CASE WHEN excluded.last_ms >= kept.last_ms
        THEN excluded.message ELSE kept.message END,
    run_id = CASE WHEN excluded.last_ms >= kept.last_ms
        THEN excluded.run_id ELSE kept.run_id END,
    runs = kept.runs + excluded.runs,
    first_ms = least(kept.first_ms, excluded.first_ms),
    last_ms = greatest(kept.last_ms, excluded.last_ms);

-- forget_failures --
DELETE FROM stepwell.failure_count WHERE (span_ms, at_ms, app, function, kind) IN (
    SELECT span_ms, at_ms, app, function, kind FROM stepwell.failure_count
    WHERE span_ms = %b AND at_ms < %b ORDER BY at_ms, app, function, kind LIMIT %b
);

-- insert_step --
INSERT INTO stepwell.step SELECT * FROM unnest(
    %b::text[], %b::text[], %b::int8[], %b::text[], %b::text[], %b::int8[], %b::int8[],
    %b::int4[], %b::bytea[], %b::bytea[]
);

-- put_annotation --
INSERT INTO stepwell.annotation SELECT * FROM unnest(
    %b::text[], %b::int4[], %b::text[], %b::text[], %b::text[], %b::int8[], %b::bytea[]
)
ON CONFLICT (run_id, kind, step_id, place, name) DO UPDATE SET
    at_ms = excluded.at_ms, body = excluded.body;

-- put_item --
INSERT INTO stepwell.item SELECT * FROM unnest(
    %b::text[], %b::text[], %b::int8[], %b::text[], %b::int4[], %b::int4[], %b::text[],
    %b::int4[], %b::bytea[], %b::int8[]
)
ON CONFLICT (run_id, key) DO UPDATE SET
    due_ms = excluded.due_ms, queue = excluded.queue, kind = excluded.kind,
    attempt = excluded.attempt, target = excluded.target, losses = excluded.losses,
    detail = excluded.detail, turn = excluded.turn;

-- move_item --
-- Items as they were when the batch looked at them; one that is another now is not found.
UPDATE stepwell.item SET
    due_ms = new.due_ms, queue = new.queue, kind = new.kind, attempt = new.attempt,
    target = new.target, losses = new.losses, detail = new.detail, turn = new.turn
FROM unnest(
    %b::text[], %b::text[], %b::int8[], %b::text[], %b::int4[], %b::int4[], %b::text[],
    %b::int4[], %b::bytea[], %b::int8[], %b::int8[], %b::int4[]
) AS new (
    run_id, key, due_ms, queue, kind, attempt, target, losses, detail, turn, was_due_ms, was_attempt
)
WHERE item.run_id = new.run_id AND item.key = new.key
AND item.due_ms = new.was_due_ms AND item.attempt = new.was_attempt;

-- drop_item --
DELETE FROM stepwell.item USING unnest(%b::text[], %b::text[]) AS old (run_id, key)
WHERE item.run_id = old.run_id AND item.key = old.key;

-- end_item --
DELETE FROM stepwell.item
USING unnest(%b::text[], %b::text[], %b::int8[], %b::int4[]) AS old (run_id, key, due_ms, attempt)
WHERE item.run_id = old.run_id AND item.key = old.key
AND item.due_ms = old.due_ms AND item.attempt = old.attempt;

-- drop_items_of_runs --
DELETE FROM stepwell.item WHERE run_id = ANY(%b);

-- insert_lease --
INSERT INTO stepwell.lease
SELECT
    new.run_id, new.key, new.id, new.granted_ms, new.until_ms, new.generation, new.steps,
    string_to_array(new.keys, chr(30)), string_to_array(new.loads, ',')::int4[], new.node
FROM unnest(
    %b::text[], %b::text[], %b::text[], %b::int8[], %b::int8[], %b::int4[], %b::int4[],
    %b::text[], %b::text[], %b::text[]
) AS new (run_id, key, id, granted_ms, until_ms, generation, steps, keys, loads, node);

-- change_lease --
UPDATE stepwell.lease SET
    until_ms = new.until_ms, generation = new.generation, steps = new.steps,
    node = CASE WHEN new.node = '' THEN lease.node ELSE new.node END
FROM unnest(
    %b::int8[], %b::int4[], %b::int4[], %b::text[], %b::text[], %b::text[], %b::text[]
) AS new (until_ms, generation, steps, node, run_id, key, id)
WHERE lease.run_id = new.run_id AND lease.key = new.key AND lease.id = new.id;

-- end_lease --
DELETE FROM stepwell.lease
USING unnest(%b::text[], %b::text[], %b::text[]) AS old (run_id, key, id)
WHERE lease.run_id = old.run_id AND lease.key = old.key AND lease.id = old.id;

-- drop_lease --
DELETE FROM stepwell.lease USING unnest(%b::text[], %b::text[]) AS old (run_id, key)
WHERE lease.run_id = old.run_id AND lease.key = old.key;

-- drop_leases_of_runs --
DELETE FROM stepwell.lease WHERE run_id = ANY(%b);

-- move_leases --
UPDATE stepwell.lease SET until_ms = until_ms + %b WHERE node = %b;

-- put_wait --
INSERT INTO stepwell.wait SELECT * FROM unnest(
    %b::text[], %b::text[], %b::int4[], %b::text[], %b::text[], %b::text[], %b::int8[],
    %b::int8[], %b::text[], %b::text[]
)
ON CONFLICT (run_id, step_id) DO UPDATE SET
    kind = excluded.kind, name = excluded.name, path = excluded.path, value = excluded.value,
    opened_ms = excluded.opened_ms, until_ms = excluded.until_ms, condition = excluded.condition,
    label = excluded.label;

-- drop_wait --
DELETE FROM stepwell.wait USING unnest(%b::text[], %b::text[]) AS old (run_id, step_id)
WHERE wait.run_id = old.run_id AND wait.step_id = old.step_id;

-- drop_waits_of_runs --
DELETE FROM stepwell.wait WHERE run_id = ANY(%b);

-- insert_note --
INSERT INTO stepwell.note SELECT * FROM unnest(
    %b::text[], %b::int8[], %b::int8[], %b::text[], %b::text[], %b::text[], %b::int4[], %b::bytea[]
);

-- insert_flow_key --
INSERT INTO stepwell.flow_key SELECT * FROM unnest(
    %b::text[], %b::int4[], %b::int8[], %b::int8[], %b::bytea[]
);

-- put_flow_key --
INSERT INTO stepwell.flow_key SELECT * FROM unnest(
    %b::text[], %b::int4[], %b::int8[], %b::int8[], %b::bytea[]
)
ON CONFLICT (id) DO UPDATE SET
    kind = excluded.kind, until_ms = excluded.until_ms, value = excluded.value,
    data = excluded.data;

-- drop_flow_key --
DELETE FROM stepwell.flow_key WHERE id = ANY(%b);

-- put_slot --
INSERT INTO stepwell.slot SELECT * FROM unnest(%b::text[], %b::text[], %b::int8[], %b::int8[])
ON CONFLICT (key, run_id) DO UPDATE SET taken_ms = excluded.taken_ms, place = excluded.place;

-- drop_slot --
DELETE FROM stepwell.slot USING unnest(%b::text[], %b::text[]) AS old (key, run_id)
WHERE slot.key = old.key AND slot.run_id = old.run_id;

-- insert_hold --
INSERT INTO stepwell.hold SELECT * FROM unnest(
    %b::text[], %b::text[], %b::int4[], %b::int8[], %b::int8[], %b::text[], %b::int8[],
    %b::int4[], %b::int8[], %b::text[]
);

-- put_hold --
INSERT INTO stepwell.hold SELECT * FROM unnest(
    %b::text[], %b::text[], %b::int4[], %b::int8[], %b::int8[], %b::text[], %b::int8[],
    %b::int4[], %b::int8[], %b::text[]
)
ON CONFLICT (key) DO UPDATE SET
    function = excluded.function, kind = excluded.kind, opened_ms = excluded.opened_ms,
    due_ms = excluded.due_ms, event_id = excluded.event_id, ts = excluded.ts,
    count = excluded.count, size = excluded.size, parent = excluded.parent;

-- drop_hold --
DELETE FROM stepwell.hold WHERE key = ANY(%b);

-- drop_held --
DELETE FROM stepwell.held WHERE hold = ANY(%b);

-- insert_held --
INSERT INTO stepwell.held SELECT * FROM unnest(
    %b::text[], %b::int8[], %b::text[], %b::int8[], %b::text[]
);

-- forget_drop --
DELETE FROM stepwell.dropped USING unnest(%b::text[], %b::text[]) AS old (event_id, function)
WHERE dropped.event_id = old.event_id AND dropped.function = old.function;

-- insert_dropped --
INSERT INTO stepwell.dropped (event_id, function, reason, at_ms, key, until_ms, run_id)
SELECT event_id, function, reason, at_ms, key, until_ms, run_id FROM unnest(
    %b::text[], %b::text[], %b::text[], %b::int8[], %b::text[], %b::int8[], %b::text[]
) WITH ORDINALITY AS new (event_id, function, reason, at_ms, key, until_ms, run_id, place)
ORDER BY place;

-- put_app --
INSERT INTO stepwell.app SELECT * FROM unnest(
    %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
    %b::int8[], %b::text[], %b::text[], %b::text[]
)
ON CONFLICT (name) DO UPDATE SET
    url = excluded.url, method = excluded.method, sdk = excluded.sdk,
    framework = excluded.framework, app_version = excluded.app_version,
    checksum = excluded.checksum, synced_ms = excluded.synced_ms, error = excluded.error,
    events = excluded.events, former = excluded.former;

-- drop_app --
DELETE FROM stepwell.app WHERE name = ANY(%b);

-- drop_functions_of_app --
DELETE FROM stepwell.function WHERE app = ANY(%b);

-- put_function --
INSERT INTO stepwell.function SELECT * FROM unnest(
    %b::text[], %b::text[], %b::text[], %b::bytea[], %b::int4[], %b::int8[]
)
ON CONFLICT (slug) DO UPDATE SET
    app = excluded.app, name = excluded.name, config = excluded.config,
    version = excluded.version, created_ms = excluded.created_ms;

-- keep_gone --
INSERT INTO stepwell.gone_function
SELECT function.*, gone.gone_ms
FROM unnest(%b::int8[], %b::text[]) AS gone (gone_ms, slug) JOIN stepwell.function USING (slug)
ON CONFLICT (slug) DO UPDATE SET
    app = excluded.app, name = excluded.name, config = excluded.config,
    version = excluded.version, created_ms = excluded.created_ms, gone_ms = excluded.gone_ms;

-- put_version --
INSERT INTO stepwell.function_version SELECT * FROM unnest(
    %b::text[], %b::text[], %b::text[], %b::bytea[], %b::int4[], %b::int8[], %b::text[]
)
ON CONFLICT (slug, created_ms, version) DO UPDATE SET
    app = excluded.app, name = excluded.name, config = excluded.config,
    app_version = excluded.app_version;

-- drop_versions --
DELETE FROM stepwell.function_version AS old USING (
    SELECT slug, created_ms, version, row_number() OVER (
        PARTITION BY slug ORDER BY created_ms DESC, version DESC
    ) AS place
    FROM stepwell.function_version WHERE slug = ANY(%b::text[])
) AS known
WHERE known.place > %b::int4 AND old.slug = known.slug
    AND old.created_ms = known.created_ms AND old.version = known.version;

-- drop_gone --
DELETE FROM stepwell.gone_function WHERE slug = ANY(%b);

-- drop_function --
DELETE FROM stepwell.function WHERE slug = ANY(%b);

-- insert_bulk --
INSERT INTO stepwell.bulk SELECT * FROM unnest(
    %b::text[], %b::text[], %b::text[], %b::int4[], %b::int8[], %b::text[], %b::int8[],
    %b::int4[], %b::int8[], %b::text[], %b::int8[], %b::int8[], %b::int8[], %b::int4[]
);

-- forget_bulks --
DELETE FROM stepwell.bulk
WHERE ended_ms > 0 AND id NOT IN (SELECT id FROM stepwell.bulk ORDER BY id DESC LIMIT %b);

-- move_bulk --
UPDATE stepwell.bulk
SET at_ms = new.at_ms, run_id = new.run_id, done = new.done, refused = new.refused
FROM unnest(%b::int8[], %b::text[], %b::int8[], %b::int8[], %b::text[])
AS new (at_ms, run_id, done, refused, id)
WHERE bulk.id = new.id;

-- end_bulk --
UPDATE stepwell.bulk SET ended_ms = new.ended_ms, stopped = new.stopped
FROM unnest(%b::int8[], %b::int4[], %b::text[]) AS new (ended_ms, stopped, id)
WHERE bulk.id = new.id AND bulk.ended_ms = 0;

-- insert_api_key --
INSERT INTO stepwell.api_key SELECT * FROM unnest(
    %b::text[], %b::text[], %b::int4[], %b::text[], %b::int8[], %b::text[], %b::int8[]
);

-- end_api_key --
UPDATE stepwell.api_key SET revoked_ms = new.revoked_ms
FROM unnest(%b::int8[], %b::text[]) AS new (revoked_ms, id)
WHERE api_key.id = new.id AND api_key.revoked_ms = 0;

-- insert_audit --
INSERT INTO stepwell.audit (id, at_ms, by, key_id, operation, target, asked, status)
SELECT id, at_ms, by, key_id, operation, target, asked, status FROM unnest(
    %b::text[], %b::int8[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::int4[]
) WITH ORDINALITY AS new (id, at_ms, by, key_id, operation, target, asked, status, place)
ORDER BY place;

-- forget_audit --
DELETE FROM stepwell.audit WHERE seq <= (SELECT max(seq) FROM stepwell.audit) - %b;

-- mark_audit --
UPDATE stepwell.audit SET status = new.status
FROM unnest(%b::int4[], %b::text[]) AS new (status, id) WHERE audit.id = new.id;

-- insert_cancellation --
INSERT INTO stepwell.cancellation SELECT * FROM unnest(
    %b::text[], %b::text[], %b::text[], %b::int8[], %b::int8[], %b::text[], %b::int8[], %b::int8[]
);

-- drop_cancellation --
DELETE FROM stepwell.cancellation WHERE id = ANY(%b);

-- end_cancellation --
UPDATE stepwell.cancellation SET ended_ms = new.ended_ms
FROM unnest(%b::int8[], %b::text[]) AS new (ended_ms, id) WHERE cancellation.id = new.id;

-- forget_runs --
WITH
    steps AS (DELETE FROM stepwell.step WHERE run_id = ANY(%(runs)s)),
    events AS (DELETE FROM stepwell.run_event WHERE run_id = ANY(%(runs)s)),
    notes AS (DELETE FROM stepwell.note WHERE run_id = ANY(%(runs)s)),
    items AS (DELETE FROM stepwell.item WHERE run_id = ANY(%(runs)s)),
    waits AS (DELETE FROM stepwell.wait WHERE run_id = ANY(%(runs)s)),
    leases AS (DELETE FROM stepwell.lease WHERE run_id = ANY(%(runs)s)),
    annotations AS (DELETE FROM stepwell.annotation WHERE run_id = ANY(%(runs)s))
DELETE FROM stepwell.run WHERE id = ANY(%(runs)s);

-- forget_functions --
WITH versions AS (
    DELETE FROM stepwell.function_version WHERE slug = ANY(%(slugs)s)
    AND slug NOT IN (SELECT slug FROM stepwell.function)
)
DELETE FROM stepwell.gone_function WHERE slug = ANY(%(slugs)s);

-- forget_events --
WITH drops AS (DELETE FROM stepwell.dropped WHERE event_id = ANY(%(events)s))
DELETE FROM stepwell.event WHERE id = ANY(%(events)s);

-- read: runs. `seen` is the run as readers see it: running, since its first call began.

-- runs --
WITH seen AS NOT MATERIALIZED (
    SELECT
        run.id, run.function, run.app, run.event_id, run.queued_ms, run.dedup, run.origin,
        CASE WHEN run.status = 100 AND lease.id IS NOT NULL THEN 200 ELSE run.status END AS status,
        CASE
            WHEN run.status = 100 AND lease.id IS NOT NULL THEN lease.granted_ms
            ELSE run.started_ms
        END AS started_ms,
        run.ended_ms, run.output, run.version, run.flags, run.pending, run.parts, run.code,
        run.status AS stored_status, run.started_ms AS stored_started_ms, lease.id AS lease_id
    FROM stepwell.run
    LEFT JOIN stepwell.lease ON lease.run_id = run.id AND lease.key = '' AND run.status = 100
)
SELECT * FROM;

-- durations --
SELECT
    0::int8, app, function, bucket, sum(runs)::int8, max(longest_ms),
    (array_agg(run_id ORDER BY longest_ms DESC))[1]
FROM stepwell.duration_count
WHERE at_ms BETWEEN %(since_ms)s AND %(last_ms)s
AND (%(apps)s::text[] = '{}' OR app = ANY(%(apps)s))
AND (%(functions)s::text[] = '{}' OR function = ANY(%(functions)s))
GROUP BY app, function, bucket;

-- failures --
SELECT
    span_ms, at_ms, app, function, kind, name, message, runs, first_ms, last_ms, run_id
FROM stepwell.failure_count
WHERE span_ms = %(span_ms)s AND at_ms BETWEEN %(since_ms)s AND %(last_ms)s
AND (%(apps)s::text[] = '{}' OR app = ANY(%(apps)s))
AND (%(functions)s::text[] = '{}' OR function = ANY(%(functions)s));

-- counts_by_time --
SELECT
    at_ms, '', '', sum(queued)::int8, sum(started)::int8, sum(completed)::int8,
    sum(failed)::int8, sum(cancelled)::int8
FROM stepwell.run_count
WHERE span_ms = %(span_ms)s AND at_ms BETWEEN %(since_ms)s AND %(last_ms)s
AND at_ms > %(at_ms)s
AND (%(apps)s::text[] = '{}' OR app = ANY(%(apps)s))
AND (%(functions)s::text[] = '{}' OR function = ANY(%(functions)s))
GROUP BY at_ms ORDER BY at_ms LIMIT %(limit)s;

-- counts_by_app --
SELECT
    at_ms, app, '', sum(queued)::int8, sum(started)::int8, sum(completed)::int8,
    sum(failed)::int8, sum(cancelled)::int8
FROM stepwell.run_count
WHERE span_ms = %(span_ms)s AND at_ms BETWEEN %(since_ms)s AND %(last_ms)s
AND (at_ms, app) > (%(at_ms)s, %(app)s)
AND (%(apps)s::text[] = '{}' OR app = ANY(%(apps)s))
AND (%(functions)s::text[] = '{}' OR function = ANY(%(functions)s))
GROUP BY at_ms, app ORDER BY at_ms, app LIMIT %(limit)s;

-- counts_by_function --
SELECT
    at_ms, app, function, sum(queued)::int8, sum(started)::int8, sum(completed)::int8,
    sum(failed)::int8, sum(cancelled)::int8
FROM stepwell.run_count
WHERE span_ms = %(span_ms)s AND at_ms BETWEEN %(since_ms)s AND %(last_ms)s
AND (at_ms, app, function) > (%(at_ms)s, %(app)s, %(function)s)
AND (%(apps)s::text[] = '{}' OR app = ANY(%(apps)s))
AND (%(functions)s::text[] = '{}' OR function = ANY(%(functions)s))
GROUP BY at_ms, app, function ORDER BY at_ms, app, function LIMIT %(limit)s;

-- bodies --
SELECT id, body FROM stepwell.event WHERE id = ANY(%b);

-- memos --
SELECT run_id, id, memo FROM stepwell.step WHERE run_id = ANY(%b) ORDER BY run_id, place;

-- bodies_within --
-- The same, but nothing in place of what is more than so many bytes together.
SELECT id, CASE WHEN sum(octet_length(body)) OVER (ORDER BY id) <= %b::int8 THEN body END
FROM stepwell.event WHERE id = ANY(%b);

-- memos_within --
SELECT run_id, id, CASE WHEN sum(octet_length(memo)) OVER (
    ORDER BY run_id, place ROWS UNBOUNDED PRECEDING
) <= %b::int8 THEN memo END
FROM stepwell.step WHERE run_id = ANY(%b) ORDER BY run_id, place;

-- runs_going --
-- `+ 0`: found by id. An index of what goes on holds all that went on as long as anybody could see it.
SELECT id FROM stepwell.run WHERE id = ANY(%b) AND status + 0 < 300;

-- live --
SELECT function, status, count(*) FROM stepwell.run WHERE status < 300 GROUP BY function, status;

-- steps --
SELECT id, place, op, name, began_ms, ended_ms, attempt, memo, input FROM stepwell.step
WHERE run_id = %b ORDER BY place;

-- annotations --
SELECT * FROM stepwell.annotation WHERE run_id = %b ORDER BY at_ms, kind, step_id, place, name;

-- notes --
SELECT * FROM stepwell.note WHERE run_id = %b ORDER BY place;

-- retries --
SELECT run_id, count(*) FROM stepwell.note
WHERE run_id = ANY(%b) AND kind = 'retry' GROUP BY run_id;

-- items_of_run --
SELECT * FROM stepwell.item WHERE run_id = %b ORDER BY due_ms, turn, key;

-- open_items --
SELECT * FROM stepwell.item WHERE run_id = ANY(%b) AND NOT EXISTS (
    SELECT 1 FROM stepwell.lease WHERE lease.run_id = item.run_id AND lease.key = item.key
) ORDER BY due_ms, turn, key;

-- leases_of_run --
SELECT * FROM stepwell.lease WHERE run_id = %b ORDER BY key;

-- waits_of_run --
SELECT * FROM stepwell.wait WHERE run_id = %b ORDER BY step_id;

-- events --
SELECT * FROM stepwell.event WHERE;

-- dropped --
SELECT event_id, function, reason, at_ms, key, until_ms, run_id FROM stepwell.dropped
WHERE event_id = %b ORDER BY seq;

-- dropped_of --
SELECT event_id, function, reason, at_ms, key, until_ms, run_id FROM stepwell.dropped
WHERE function = %b AND at_ms >= %b ORDER BY at_ms, seq LIMIT %b;

-- holds --
SELECT * FROM stepwell.hold WHERE %(function)s IN ('', function) ORDER BY opened_ms, key;

-- holds_of_event --
SELECT * FROM stepwell.hold WHERE key IN (
    SELECT key FROM stepwell.hold WHERE event_id = %(event_id)s
    UNION SELECT hold FROM stepwell.held WHERE event_id = %(event_id)s
) ORDER BY opened_ms, key;

-- held --
SELECT * FROM stepwell.held WHERE hold = %b ORDER BY place;

-- flow_key --
SELECT * FROM stepwell.flow_key WHERE id = %b;

-- flow_keys --
SELECT * FROM stepwell.flow_key WHERE kind = %b ORDER BY id;

-- slots --
SELECT * FROM stepwell.slot WHERE key = %b ORDER BY place, run_id;

-- lost_slots --
SELECT slot.* FROM stepwell.slot LEFT JOIN stepwell.run ON run.id = slot.run_id
WHERE run.id IS NULL OR run.status >= 300
ORDER BY slot.key, slot.run_id LIMIT %b;

-- leases_under --
SELECT * FROM stepwell.lease WHERE keys && ARRAY[%b::text] AND keys <> '{}' ORDER BY granted_ms;

-- leases_with_keys --
SELECT * FROM stepwell.lease WHERE keys <> '{}' ORDER BY granted_ms;

-- queues --
SELECT DISTINCT queue FROM stepwell.item WHERE position(chr(31) IN queue) > 0;

-- apps --
SELECT name, url, method, sdk, framework, app_version, checksum, synced_ms, error, events, former
FROM stepwell.app ORDER BY name;

-- functions --
SELECT * FROM stepwell.function ORDER BY slug;

-- gone_functions --
SELECT * FROM stepwell.gone_function ORDER BY slug;

-- function_versions --
SELECT * FROM stepwell.function_version WHERE slug = %b ORDER BY created_ms DESC, version DESC;

-- cancellation --
SELECT * FROM stepwell.cancellation WHERE id = %b;

-- cancellations --
SELECT * FROM stepwell.cancellation WHERE id < %b ORDER BY id DESC LIMIT %b;

-- open_cancellations --
SELECT * FROM stepwell.cancellation WHERE ended_ms = 0 ORDER BY id;

-- bulk --
SELECT * FROM stepwell.bulk WHERE id = %b;

-- bulks --
SELECT * FROM stepwell.bulk WHERE id < %b ORDER BY id DESC LIMIT %b;

-- open_bulks --
SELECT * FROM stepwell.bulk WHERE ended_ms = 0 ORDER BY id;

-- api_key --
SELECT * FROM stepwell.api_key WHERE id = %b;

-- api_key_of --
SELECT * FROM stepwell.api_key WHERE hash = %b;

-- api_keys --
SELECT * FROM stepwell.api_key WHERE id < %b ORDER BY id DESC LIMIT %b;

-- audit --
SELECT id, at_ms, by, key_id, operation, target, asked, status FROM stepwell.audit
WHERE id < %b ORDER BY id DESC LIMIT %b;

-- due_runs --
SELECT run.* FROM (
    SELECT run_id, min(due_ms) AS due_ms FROM stepwell.item
    WHERE queue = %(queue)s AND due_ms < %(before_ms)s AND NOT EXISTS (
        SELECT 1 FROM stepwell.lease WHERE lease.run_id = item.run_id AND lease.key = item.key
    ) GROUP BY run_id
) AS due JOIN stepwell.run ON run.id = due.run_id ORDER BY due.due_ms, run.id LIMIT %(limit)s;

-- stranded --
SELECT * FROM stepwell.run
WHERE status < 300
AND NOT EXISTS (SELECT 1 FROM stepwell.item WHERE item.run_id = run.id)
AND NOT EXISTS (SELECT 1 FROM stepwell.lease WHERE lease.run_id = run.id)
AND NOT EXISTS (SELECT 1 FROM stepwell.wait WHERE wait.run_id = run.id AND wait.kind IN (1, 2, 3))
ORDER BY id LIMIT %b;

-- who has the database

-- nodes --
-- None of them changes meanwhile, but batches of theirs go on: whoever has one after the other would
-- be waited for without end.
SELECT id, label, alive_until, alive_until > clock_timestamp(), shares
FROM stepwell.node ORDER BY id FOR NO KEY UPDATE;

-- add_node --
INSERT INTO stepwell.node VALUES (
    %s, %s, clock_timestamp(), clock_timestamp() + make_interval(secs => %s), true
) ON CONFLICT DO NOTHING;

-- renew_node --
UPDATE stepwell.node
SET alive_until = clock_timestamp() + make_interval(secs => %s), serves = %s::text[]
WHERE id = %s;

-- drop_nodes --
DELETE FROM stepwell.node WHERE id = ANY(%s::text[]);

-- drop_dead_nodes --
DELETE FROM stepwell.node WHERE alive_until < clock_timestamp() RETURNING label;

-- lose_leases --
-- What was leased by processes that are gone is over; whoever claims next takes it back.
UPDATE stepwell.lease SET until_ms = 0 WHERE (run_id, key) IN (
    SELECT run_id, key FROM stepwell.lease
    WHERE until_ms > 0 AND node NOT IN (SELECT id FROM stepwell.node)
    FOR UPDATE SKIP LOCKED
);

-- lose_doubted --
UPDATE stepwell.lease SET until_ms = 0
FROM unnest(%s::text[], %s::text[], %s::text[]) AS doubted (run_id, key, id)
WHERE lease.run_id = doubted.run_id AND lease.key = doubted.key AND lease.id = doubted.id;

-- free_leases --
DELETE FROM stepwell.lease WHERE node NOT IN (SELECT id FROM stepwell.node);

-- free_leases_of --
DELETE FROM stepwell.lease WHERE node = %s;

-- others --
SELECT serves FROM stepwell.node WHERE id <> %s;

-- lead --
INSERT INTO stepwell.leader AS kept VALUES (1, %(node)s, 1)
ON CONFLICT (one) DO UPDATE SET
    node = excluded.node, term = kept.term + (kept.node <> excluded.node)::int4
WHERE kept.node = excluded.node OR kept.node NOT IN (SELECT id FROM stepwell.node)
RETURNING term;

-- begin_common --
INSERT INTO stepwell.common VALUES (1, 0, %s) ON CONFLICT DO NOTHING;

-- secret --
SELECT secret FROM stepwell.common WHERE one = 1;

-- now_ms --
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8;

-- notify --
SELECT pg_notify('stepwell', message) FROM unnest(%s::text[]) AS told (message);

-- node_held --
-- The process as it is alive, and how often apps and functions changed.
SELECT (SELECT catalog FROM stepwell.common WHERE one = 1)
FROM stepwell.node WHERE id = %s FOR KEY SHARE;

-- node_as_known --
-- Divides by zero where the process is taken for dead, or apps and functions are others.
SELECT 1 / count(*)::int4 FROM stepwell.common, stepwell.node
WHERE one = 1 AND catalog = %s::int8 AND node.id = %s;

-- catalog_is --
SELECT catalog FROM stepwell.common WHERE one = 1;

-- catalog_changed --
UPDATE stepwell.common SET catalog = catalog + 1 WHERE one = 1 AND catalog = %s;

-- schema

-- schema_made --
SELECT 1 FROM pg_namespace WHERE nspname = 'stepwell';

-- make_schema --
CREATE SCHEMA IF NOT EXISTS stepwell;

-- schema_parts --
-- Every column, index and function of a schema, as text.
SELECT format(
    'column %%I.%%I %%s%%s %%s', class.relname, att.attname, format_type(att.atttypid, att.atttypmod),
    CASE WHEN att.attnotnull THEN ' not null' ELSE '' END,
    coalesce(pg_get_expr(def.adbin, def.adrelid), '')
) AS part
FROM pg_attribute AS att
JOIN pg_class AS class ON class.oid = att.attrelid
JOIN pg_namespace AS space ON space.oid = class.relnamespace
LEFT JOIN pg_attrdef AS def ON def.adrelid = class.oid AND def.adnum = att.attnum
WHERE space.nspname = %(schema)s AND class.relkind = 'r' AND att.attnum > 0
AND NOT att.attisdropped
UNION ALL
SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = %(schema)s
UNION ALL
SELECT format(
    'function %%I(%%s) %%s', proc.proname, pg_get_function_identity_arguments(proc.oid),
    md5(replace(proc.prosrc, %(schema)s || '.', ''))
)
FROM pg_proc AS proc JOIN pg_namespace AS space ON space.oid = proc.pronamespace
WHERE space.nspname = %(schema)s
ORDER BY part;

-- make_version --
CREATE TABLE IF NOT EXISTS stepwell.schema_version (
    one integer PRIMARY KEY, version integer NOT NULL
);

-- begin_version --
INSERT INTO stepwell.schema_version VALUES (1, 0) ON CONFLICT DO NOTHING;

-- version_locked --
SELECT version FROM stepwell.schema_version WHERE one = 1 FOR UPDATE;

-- set_version --
UPDATE stepwell.schema_version SET version = %b WHERE one = 1;

-- version --
SELECT version FROM stepwell.schema_version WHERE one = 1;
