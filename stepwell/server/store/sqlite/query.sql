-- Every statement the SQLite store uses, by name. Columns come in the order of schema.sql.

-- load: one run and what hangs on it

-- run --
SELECT * FROM run WHERE id = ?;

-- items_of_run --
SELECT * FROM item WHERE run_id = ?;

-- items_of_runs --
SELECT * FROM item WHERE run_id IN (SELECT value FROM json_each(?));

-- waits_of_run --
SELECT * FROM wait WHERE run_id = ?;

-- step_sizes --
SELECT id, length(memo) FROM step WHERE run = ?;

-- memos_of_op --
SELECT memo FROM step WHERE run = ? AND op = ?;

-- newest_place --
SELECT place FROM step WHERE rowid = (SELECT max(rowid) FROM step);

-- load: events

-- event_known --
SELECT 1 FROM event WHERE id = ?;

-- event --
SELECT id, name, ts, received_ms, key, body FROM event WHERE id = ?;

-- event_names --
SELECT id, name FROM event WHERE id IN (SELECT value FROM json_each(?));

-- event_bodies --
SELECT id, body FROM event WHERE id IN (SELECT value FROM json_each(?));

-- look_back --
SELECT id, name, ts, received_ms, key, body FROM event
WHERE name = ? AND received_ms >= ? ORDER BY received_ms, seq LIMIT ? OFFSET ?;

-- load: look-ups

-- newest_dedup --
SELECT max(id) FROM run WHERE function = ? AND dedup = ? AND dedup <> '';

-- meeting --
SELECT * FROM wait
WHERE name = ? AND path = ? AND value = ? AND kind IN (1, 4)
AND (run_id, step_id) > (?, ?)
ORDER BY run_id, step_id LIMIT ?;

-- meeting_by_name --
SELECT * FROM wait
WHERE name = ? AND kind IN (1, 4)
AND (run_id, step_id) > (?, ?)
ORDER BY run_id, step_id LIMIT ?;

-- signal --
SELECT * FROM wait WHERE name = ? AND kind = 2 ORDER BY run_id, step_id LIMIT 1;

-- waited --
SELECT name, path, count(*) FROM wait WHERE kind IN (1, 4) GROUP BY name, path;

-- load: flow control

-- flow_key --
SELECT * FROM flow_key WHERE id = ?;

-- slots_taken --
SELECT count(*) FROM slot WHERE key = ?;

-- holders --
SELECT * FROM slot WHERE key = ? ORDER BY place, run_id LIMIT 1000;

-- hold --
SELECT * FROM hold WHERE key = ?;

-- held --
SELECT * FROM held WHERE hold = ? ORDER BY place;

-- live_runs --
SELECT id FROM run
WHERE status IN (100, 200) AND app IN (
    SELECT app FROM function WHERE slug = :function
    UNION SELECT app FROM gone_function WHERE slug = :function
) AND function = :function AND id > :after ORDER BY id LIMIT :limit;

-- lanes --
SELECT queue, min(due_ms) FROM run
WHERE due_ms IS NOT NULL AND instr(queue, char(31)) > 0 GROUP BY queue
UNION ALL SELECT queue, min(due_ms) FROM item WHERE instr(queue, char(31)) > 0 GROUP BY queue;

-- live --
SELECT function, status, count(*) FROM run WHERE status IN (100, 200)
GROUP BY status, app, function;

-- spent_keys --
SELECT id FROM flow_key WHERE until_ms < ? ORDER BY until_ms, id LIMIT ?;

-- old_functions --
SELECT slug FROM gone_function AS gone WHERE gone_ms < ? AND NOT EXISTS (
    SELECT 1 FROM run
    WHERE status IN (100, 200, 300, 400, 500) AND run.app = gone.app AND function = gone.slug
) ORDER BY gone_ms, slug LIMIT ?;

-- load: what is due, what is old

-- due_main --
SELECT id, due_ms, queue, main FROM run
WHERE due_ms IS NOT NULL AND queue = ? AND (due_ms, id) > (?, ?)
ORDER BY due_ms, id LIMIT ?;

-- due_item --
SELECT * FROM item WHERE queue = ? AND (due_ms, run_id, key) > (?, ?, ?)
ORDER BY due_ms, run_id, key LIMIT ?;

-- old_runs --
SELECT seq, id, event_id, (SELECT count(*) FROM step WHERE step.run = run.seq) FROM run
WHERE ended_ms > 0 AND ended_ms < ? AND (dedup = '' OR queued_ms < ?)
ORDER BY ended_ms, seq LIMIT ?;

-- more_events_of_run --
SELECT event_id FROM run_event WHERE run = ?;

-- old_event --
SELECT 1 FROM event WHERE id = ? AND received_ms < ?
AND NOT EXISTS (SELECT 1 FROM hold WHERE hold.event_id = event.id)
AND NOT EXISTS (SELECT 1 FROM held WHERE held.event_id = event.id);

-- runs_using_event --
SELECT seq FROM run WHERE event_id = :event_id
UNION SELECT run FROM run_event WHERE event_id = :event_id;

-- events_after --
SELECT
    seq,
    id,
    received_ms,
    EXISTS (SELECT 1 FROM run WHERE run.event_id = event.id)
    OR EXISTS (SELECT 1 FROM run_event WHERE run_event.event_id = event.id),
    EXISTS (SELECT 1 FROM hold WHERE hold.event_id = event.id)
    OR EXISTS (SELECT 1 FROM held WHERE held.event_id = event.id)
FROM event WHERE seq > ? ORDER BY seq LIMIT ?;

-- last_numbers --
SELECT (SELECT max(seq) FROM event), (SELECT max(seq) FROM run);

-- write

-- insert_event --
INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?);

-- insert_run --
INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- insert_run_event --
INSERT OR IGNORE INTO run_event VALUES (?, ?);

-- change_run --
UPDATE run SET
    status = ?, started_ms = ?, version = ?, flags = ?, pending = ?, parts = ?, code = ?
WHERE seq = ?;

-- move_run --
UPDATE run SET
    status = ?, started_ms = ?, version = ?, flags = ?, pending = ?, parts = ?, code = ?,
    due_ms = ?, queue = ?, main = ?
WHERE seq = ?;

-- move_main --
UPDATE run SET due_ms = ?, queue = ?, main = ? WHERE seq = ?;

-- end_run --
UPDATE run SET
    status = ?, started_ms = ?, version = ?, flags = ?, pending = ?, parts = ?, code = ?,
    ended_ms = ?, output = ?, due_ms = NULL, queue = NULL, main = NULL
WHERE seq = ?;

-- insert_step --
INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- put_item --
INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- drop_item --
DELETE FROM item WHERE run_id = ? AND key = ?;

-- drop_items_of_run --
DELETE FROM item WHERE run_id = ?;

-- put_wait --
INSERT OR REPLACE INTO wait VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- drop_wait --
DELETE FROM wait WHERE run_id = ? AND step_id = ?;

-- drop_waits_of_run --
DELETE FROM wait WHERE run_id = ?;

-- insert_note --
INSERT INTO note VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- put_flow_key --
INSERT OR REPLACE INTO flow_key VALUES (?, ?, ?, ?, ?);

-- drop_flow_key --
DELETE FROM flow_key WHERE id = ?;

-- put_slot --
INSERT OR REPLACE INTO slot VALUES (?, ?, ?, ?);

-- drop_slot --
DELETE FROM slot WHERE key = ? AND run_id = ?;

-- put_hold --
INSERT OR REPLACE INTO hold VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- drop_hold --
DELETE FROM hold WHERE key = ?;

-- drop_held --
DELETE FROM held WHERE hold = ?;

-- insert_held --
INSERT INTO held VALUES (?, ?, ?, ?, ?);

-- insert_dropped --
INSERT INTO dropped VALUES (?, ?, ?, ?, ?, ?, ?);

-- put_app --
INSERT OR REPLACE INTO app VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- drop_app --
DELETE FROM app WHERE name = ?;

-- drop_functions_of_app --
DELETE FROM function WHERE app = ?;

-- put_function --
INSERT OR REPLACE INTO function VALUES (?, ?, ?, ?, ?, ?);

-- keep_gone --
INSERT OR REPLACE INTO gone_function SELECT *, ? FROM function WHERE slug = ?;

-- put_version --
INSERT OR REPLACE INTO function_version VALUES (?, ?, ?, ?, ?, ?, ?);

-- drop_versions --
DELETE FROM function_version WHERE slug = ? AND (created_ms, version) < (
    SELECT kept.created_ms, kept.version FROM function_version AS kept
    WHERE kept.slug = function_version.slug
    ORDER BY kept.created_ms DESC, kept.version DESC LIMIT 1 OFFSET ?
);

-- drop_gone --
DELETE FROM gone_function WHERE slug = ?;

-- drop_function --
DELETE FROM function WHERE slug = ?;

-- insert_bulk --
INSERT INTO bulk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- forget_bulks --
DELETE FROM bulk WHERE ended_ms > 0 AND id NOT IN (SELECT id FROM bulk ORDER BY id DESC LIMIT ?);

-- move_bulk --
UPDATE bulk SET at_ms = ?, run_id = ?, done = ?, refused = ? WHERE id = ?;

-- end_bulk --
UPDATE bulk SET ended_ms = ?, stopped = ? WHERE id = ? AND ended_ms = 0;

-- insert_api_key --
INSERT INTO api_key VALUES (?, ?, ?, ?, ?, ?, ?);

-- end_api_key --
UPDATE api_key SET revoked_ms = ? WHERE id = ? AND revoked_ms = 0;

-- add_counts --
INSERT INTO run_count VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    queued = queued + excluded.queued, started = started + excluded.started,
    completed = completed + excluded.completed, failed = failed + excluded.failed,
    cancelled = cancelled + excluded.cancelled;

-- forget_counts --
DELETE FROM run_count WHERE (span_ms, at_ms, app, function) IN (
    SELECT span_ms, at_ms, app, function FROM run_count
    WHERE span_ms = ? AND at_ms < ? ORDER BY at_ms, app, function LIMIT ?
);

-- add_durations --
INSERT INTO duration_count VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    runs = runs + excluded.runs,
    run_id = iif(excluded.longest_ms > longest_ms, excluded.run_id, run_id),
    longest_ms = max(longest_ms, excluded.longest_ms);

-- forget_durations --
DELETE FROM duration_count WHERE (at_ms, app, function, bucket) IN (
    SELECT at_ms, app, function, bucket FROM duration_count
    WHERE at_ms < ? ORDER BY at_ms, app, function, bucket LIMIT ?
);

-- add_failures --
INSERT INTO failure_count SELECT ?1, ?2, ?3, ?4, iif(
    (
        SELECT count(*) FROM failure_count
        WHERE span_ms = ?1 AND at_ms = ?2 AND app = ?3 AND function = ?4 AND kind NOT IN (0, ?5)
    ) < ?12, ?5, 0
), ?6, ?7, ?8, ?9, ?10, ?11 WHERE TRUE
ON CONFLICT DO UPDATE SET
    name = iif(excluded.last_ms >= last_ms, excluded.name, name),
    message = iif(excluded.last_ms >= last_ms, excluded.message, message),
    run_id = iif(excluded.last_ms >= last_ms, excluded.run_id, run_id),
    runs = runs + excluded.runs,
    first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms);

-- forget_failures --
DELETE FROM failure_count WHERE (span_ms, at_ms, app, function, kind) IN (
    SELECT span_ms, at_ms, app, function, kind FROM failure_count
    WHERE span_ms = ? AND at_ms < ? ORDER BY at_ms, app, function, kind LIMIT ?
);

-- insert_audit --
INSERT INTO audit (id, at_ms, by, key_id, operation, target, asked, status)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- forget_audit --
DELETE FROM audit WHERE seq <= (SELECT MAX(seq) FROM audit) - ?;

-- mark_audit --
UPDATE audit SET status = ? WHERE id = ?;

-- insert_cancellation --
INSERT INTO cancellation VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- end_cancellation --
UPDATE cancellation SET ended_ms = ? WHERE id = ?;

-- drop_cancellation --
DELETE FROM cancellation WHERE id = ?;

-- forget_steps --
DELETE FROM step WHERE run = (SELECT seq FROM run WHERE id = ?);

-- forget_run_events --
DELETE FROM run_event WHERE run = (SELECT seq FROM run WHERE id = ?);

-- forget_notes --
DELETE FROM note WHERE run_id = ?;

-- forget_annotations --
DELETE FROM annotation WHERE run_id = ?;

-- put_annotation --
INSERT OR REPLACE INTO annotation VALUES (?, ?, ?, ?, ?, ?, ?);

-- forget_run --
DELETE FROM run WHERE id = ?;

-- forget_gone --
DELETE FROM gone_function WHERE slug = ?;

-- forget_versions --
DELETE FROM function_version WHERE slug = ? AND slug NOT IN (SELECT slug FROM function);

-- forget_event --
DELETE FROM event WHERE id = ?;

-- forget_drop --
DELETE FROM dropped WHERE event_id = ? AND function = ?;

-- forget_dropped --
DELETE FROM dropped WHERE event_id = ?;

-- read

-- memos --
SELECT id, memo FROM step WHERE run = (SELECT seq FROM run WHERE id = ?) ORDER BY place, rowid;

-- steps --
SELECT id, place, op, name, began_ms, ended_ms, attempt, memo, input FROM step
WHERE run = (SELECT seq FROM run WHERE id = ?) ORDER BY place, rowid;

-- annotations --
SELECT * FROM annotation WHERE run_id = ? ORDER BY at_ms, kind, step_id, place, name;

-- notes --
SELECT * FROM note WHERE run_id = ? ORDER BY place, rowid;

-- retries --
SELECT run_id, count(*) FROM note
WHERE run_id IN (SELECT value FROM json_each(?)) AND kind = 'retry' GROUP BY run_id;

-- functions_of_runs --
WITH RECURSIVE known (app, function) AS (
    SELECT * FROM (
        SELECT app, function FROM run WHERE status = :status ORDER BY app, function LIMIT 1
    )
    UNION ALL
    SELECT next.app, next.function FROM known JOIN run AS next ON next.seq = coalesce(
        (
            SELECT seq FROM run
            WHERE status = :status AND app = known.app AND function > known.function
            ORDER BY function LIMIT 1
        ),
        (
            SELECT seq FROM run
            WHERE status = :status AND app > known.app ORDER BY app, function LIMIT 1
        )
    )
)
SELECT app, function FROM known;

-- runs_down --
SELECT queued_ms, id, seq FROM run
WHERE status = :status AND app = :app AND function = :function
AND queued_ms BETWEEN :from_ms AND :to_ms AND (queued_ms <> :at_ms OR id < :id)
ORDER BY queued_ms DESC, id DESC LIMIT :limit;

-- runs_up --
SELECT queued_ms, id, seq FROM run
WHERE status = :status AND app = :app AND function = :function
AND queued_ms BETWEEN :from_ms AND :to_ms AND (queued_ms <> :at_ms OR id > :id)
ORDER BY queued_ms ASC, id ASC LIMIT :limit;

-- deferred_down --
SELECT queued_ms, id, seq FROM run
WHERE status = :status AND app = :app AND function = :function AND (flags & 16) <> 0
AND queued_ms BETWEEN :from_ms AND :to_ms AND (queued_ms <> :at_ms OR id < :id)
ORDER BY queued_ms DESC, id DESC LIMIT :limit;

-- deferred_up --
SELECT queued_ms, id, seq FROM run
WHERE status = :status AND app = :app AND function = :function AND (flags & 16) <> 0
AND queued_ms BETWEEN :from_ms AND :to_ms AND (queued_ms <> :at_ms OR id > :id)
ORDER BY queued_ms ASC, id ASC LIMIT :limit;

-- nth_end_down --
SELECT ended_ms FROM run INDEXED BY run_by_end
WHERE ended_ms > 0 AND ended_ms BETWEEN :from_ms AND :to_ms
ORDER BY ended_ms DESC LIMIT 1 OFFSET :passed;

-- nth_end_up --
SELECT ended_ms FROM run INDEXED BY run_by_end
WHERE ended_ms > 0 AND ended_ms BETWEEN :from_ms AND :to_ms
ORDER BY ended_ms ASC LIMIT 1 OFFSET :passed;

-- nth_start_down --
SELECT started_ms FROM run INDEXED BY run_by_start
WHERE started_ms > 0 AND started_ms BETWEEN :from_ms AND :to_ms
ORDER BY started_ms DESC LIMIT 1 OFFSET :passed;

-- nth_start_up --
SELECT started_ms FROM run INDEXED BY run_by_start
WHERE started_ms > 0 AND started_ms BETWEEN :from_ms AND :to_ms
ORDER BY started_ms ASC LIMIT 1 OFFSET :passed;

-- some_by_end_down --
SELECT ended_ms, id, seq FROM run INDEXED BY run_by_status
WHERE status = :status AND app = :app AND function = :function
AND ended_ms BETWEEN :from_ms AND :to_ms AND (ended_ms <> :at_ms OR id < :id)
AND (:deferred < 0 OR ((flags & 16) <> 0) = :deferred)
ORDER BY ended_ms DESC, id DESC LIMIT :limit;

-- some_by_end_up --
SELECT ended_ms, id, seq FROM run INDEXED BY run_by_status
WHERE status = :status AND app = :app AND function = :function
AND ended_ms BETWEEN :from_ms AND :to_ms AND (ended_ms <> :at_ms OR id > :id)
AND (:deferred < 0 OR ((flags & 16) <> 0) = :deferred)
ORDER BY ended_ms ASC, id ASC LIMIT :limit;

-- some_by_start_down --
SELECT started_ms, id, seq FROM run INDEXED BY run_by_status
WHERE status = :status AND app = :app AND function = :function
AND started_ms BETWEEN :from_ms AND :to_ms AND (started_ms <> :at_ms OR id < :id)
AND (:deferred < 0 OR ((flags & 16) <> 0) = :deferred)
ORDER BY started_ms DESC, id DESC LIMIT :limit;

-- some_by_start_up --
SELECT started_ms, id, seq FROM run INDEXED BY run_by_status
WHERE status = :status AND app = :app AND function = :function
AND started_ms BETWEEN :from_ms AND :to_ms AND (started_ms <> :at_ms OR id > :id)
AND (:deferred < 0 OR ((flags & 16) <> 0) = :deferred)
ORDER BY started_ms ASC, id ASC LIMIT :limit;

-- count_of_stream --
SELECT COUNT(*) FROM (
    SELECT 1 FROM run WHERE status = :status AND app = :app AND function = :function LIMIT :limit
);

-- runs_by_end_down --
SELECT * FROM run INDEXED BY run_by_end
WHERE ended_ms > 0 AND ended_ms BETWEEN :from_ms AND :to_ms AND (ended_ms <> :at_ms OR id < :id)
AND status IN (SELECT value FROM json_each(:statuses))
AND (:apps = '[]' OR app IN (SELECT value FROM json_each(:apps)))
AND (:functions = '[]' OR function IN (SELECT value FROM json_each(:functions)))
AND (:deferred < 0 OR ((flags & 16) <> 0) = :deferred)
ORDER BY ended_ms DESC, id DESC LIMIT :limit;

-- runs_by_end_up --
SELECT * FROM run INDEXED BY run_by_end
WHERE ended_ms > 0 AND ended_ms BETWEEN :from_ms AND :to_ms AND (ended_ms <> :at_ms OR id > :id)
AND status IN (SELECT value FROM json_each(:statuses))
AND (:apps = '[]' OR app IN (SELECT value FROM json_each(:apps)))
AND (:functions = '[]' OR function IN (SELECT value FROM json_each(:functions)))
AND (:deferred < 0 OR ((flags & 16) <> 0) = :deferred)
ORDER BY ended_ms ASC, id ASC LIMIT :limit;

-- runs_by_start_down --
SELECT * FROM run INDEXED BY run_by_start
WHERE started_ms > 0 AND started_ms BETWEEN :from_ms AND :to_ms AND (started_ms <> :at_ms OR id < :id)
AND status IN (SELECT value FROM json_each(:statuses))
AND (:apps = '[]' OR app IN (SELECT value FROM json_each(:apps)))
AND (:functions = '[]' OR function IN (SELECT value FROM json_each(:functions)))
AND (:deferred < 0 OR ((flags & 16) <> 0) = :deferred)
ORDER BY started_ms DESC, id DESC LIMIT :limit;

-- runs_by_start_up --
SELECT * FROM run INDEXED BY run_by_start
WHERE started_ms > 0 AND started_ms BETWEEN :from_ms AND :to_ms AND (started_ms <> :at_ms OR id > :id)
AND status IN (SELECT value FROM json_each(:statuses))
AND (:apps = '[]' OR app IN (SELECT value FROM json_each(:apps)))
AND (:functions = '[]' OR function IN (SELECT value FROM json_each(:functions)))
AND (:deferred < 0 OR ((flags & 16) <> 0) = :deferred)
ORDER BY started_ms ASC, id ASC LIMIT :limit;

-- runs_of_seqs --
SELECT * FROM run WHERE seq IN (SELECT value FROM json_each(?));

-- runs_of_ids --
SELECT * FROM run WHERE id IN (SELECT value FROM json_each(?));

-- runs_of_event --
SELECT * FROM run WHERE seq IN (
    SELECT seq FROM run WHERE event_id = :event_id
    UNION SELECT run FROM run_event WHERE event_id = :event_id
) ORDER BY id;

-- names_of_events --
WITH RECURSIVE known (name) AS (
    SELECT min(name) FROM event
    UNION ALL
    SELECT (SELECT min(name) FROM event WHERE name > known.name)
    FROM known WHERE known.name IS NOT NULL
)
SELECT name FROM known WHERE name IS NOT NULL;

-- events_of_name --
SELECT received_ms, id, seq FROM event
WHERE name = :name AND received_ms BETWEEN :from_ms AND :to_ms
AND (received_ms <> :at_ms OR id < :id)
ORDER BY received_ms DESC, id DESC LIMIT :limit;

-- events_of_seqs --
SELECT id, name, ts, received_ms, key, body FROM event
WHERE seq IN (SELECT value FROM json_each(?));

-- counts_by_time --
SELECT at_ms, '', '', sum(queued), sum(started), sum(completed), sum(failed), sum(cancelled)
FROM run_count
WHERE span_ms = :span_ms AND at_ms BETWEEN :since_ms AND :last_ms AND at_ms > :at_ms
AND (:apps = '[]' OR app IN (SELECT value FROM json_each(:apps)))
AND (:functions = '[]' OR function IN (SELECT value FROM json_each(:functions)))
GROUP BY at_ms ORDER BY at_ms LIMIT :limit;

-- counts_by_app --
SELECT at_ms, app, '', sum(queued), sum(started), sum(completed), sum(failed), sum(cancelled)
FROM run_count
WHERE span_ms = :span_ms AND at_ms BETWEEN :since_ms AND :last_ms AND (at_ms, app) > (:at_ms, :app)
AND (:apps = '[]' OR app IN (SELECT value FROM json_each(:apps)))
AND (:functions = '[]' OR function IN (SELECT value FROM json_each(:functions)))
GROUP BY at_ms, app ORDER BY at_ms, app LIMIT :limit;

-- counts_by_function --
SELECT at_ms, app, function, sum(queued), sum(started), sum(completed), sum(failed), sum(cancelled)
FROM run_count
WHERE span_ms = :span_ms AND at_ms BETWEEN :since_ms AND :last_ms AND (at_ms, app, function) > (:at_ms, :app, :function)
AND (:apps = '[]' OR app IN (SELECT value FROM json_each(:apps)))
AND (:functions = '[]' OR function IN (SELECT value FROM json_each(:functions)))
GROUP BY at_ms, app, function ORDER BY at_ms, app, function LIMIT :limit;

-- durations --
SELECT 0, app, function, bucket, sum(runs), max(longest_ms), run_id FROM duration_count
WHERE at_ms BETWEEN :since_ms AND :last_ms
AND (:apps = '[]' OR app IN (SELECT value FROM json_each(:apps)))
AND (:functions = '[]' OR function IN (SELECT value FROM json_each(:functions)))
GROUP BY app, function, bucket;

-- failures --
SELECT * FROM failure_count
WHERE span_ms = :span_ms AND at_ms BETWEEN :since_ms AND :last_ms
AND (:apps = '[]' OR app IN (SELECT value FROM json_each(:apps)))
AND (:functions = '[]' OR function IN (SELECT value FROM json_each(:functions)));

-- dropped --
SELECT * FROM dropped WHERE event_id = ? ORDER BY rowid;

-- skipped --
SELECT * FROM dropped
WHERE function = :function AND at_ms >= :since AND at_ms < :until
    AND reason IN (SELECT value FROM json_each(:reasons))
ORDER BY at_ms, rowid LIMIT :limit;

-- dropped_of --
SELECT * FROM dropped WHERE function = ? AND at_ms >= ? ORDER BY at_ms, rowid LIMIT ?;

-- holds --
SELECT * FROM hold WHERE :function IN ('', function) ORDER BY opened_ms, key;

-- holds_of_event --
SELECT * FROM hold WHERE key IN (
    SELECT key FROM hold WHERE event_id = :event_id
    UNION SELECT hold FROM held WHERE event_id = :event_id
) ORDER BY opened_ms, key;

-- flow_keys --
SELECT * FROM flow_key WHERE kind = ? ORDER BY id;

-- slots --
SELECT * FROM slot WHERE key = ? ORDER BY place, run_id;

-- apps --
SELECT * FROM app ORDER BY name;

-- functions --
SELECT * FROM function ORDER BY slug;

-- due_mains_of --
SELECT due_ms, id, '' FROM run
WHERE due_ms IS NOT NULL AND queue = ? AND due_ms < ? ORDER BY due_ms, id LIMIT ?;

-- due_items_of --
SELECT due_ms, run_id, key FROM item WHERE queue = ? AND due_ms < ? ORDER BY due_ms LIMIT ?;

-- bulk --
SELECT * FROM bulk WHERE id = ?;

-- bulks --
SELECT * FROM bulk WHERE id < ? ORDER BY id DESC LIMIT ?;

-- open_bulks --
SELECT * FROM bulk WHERE ended_ms = 0 ORDER BY id;

-- api_key --
SELECT * FROM api_key WHERE id = ?;

-- api_key_of --
SELECT * FROM api_key WHERE hash = ?;

-- api_keys --
SELECT * FROM api_key WHERE id < ? ORDER BY id DESC LIMIT ?;

-- audit --
SELECT id, at_ms, by, key_id, operation, target, asked, status FROM audit
WHERE id < ? ORDER BY id DESC LIMIT ?;

-- cancellation --
SELECT * FROM cancellation WHERE id = ?;

-- cancellations --
SELECT * FROM cancellation WHERE id < ? ORDER BY id DESC LIMIT ?;

-- open_cancellations --
SELECT * FROM cancellation WHERE ended_ms = 0 ORDER BY id;

-- gone_functions --
SELECT * FROM gone_function ORDER BY slug;

-- function_versions --
SELECT * FROM function_version WHERE slug = ? ORDER BY created_ms DESC, version DESC;

-- stranded --
SELECT * FROM run
WHERE status IN (100, 200) AND due_ms IS NULL
AND NOT EXISTS (SELECT 1 FROM item WHERE item.run_id = run.id)
AND NOT EXISTS (SELECT 1 FROM wait WHERE wait.run_id = run.id AND wait.kind IN (1, 2, 3))
ORDER BY id;

-- lost_slots --
SELECT slot.* FROM slot LEFT JOIN run ON run.id = slot.run_id
WHERE run.id IS NULL OR run.status NOT IN (100, 200)
ORDER BY slot.key, slot.run_id LIMIT ?;

-- queues --
-- Each queue once, from one to the next in the index: their items are not gone through.
WITH RECURSIVE
  of_runs(name) AS (
    SELECT (SELECT MIN(queue) FROM run WHERE due_ms IS NOT NULL)
    UNION ALL
    SELECT (SELECT MIN(queue) FROM run WHERE due_ms IS NOT NULL AND queue > of_runs.name)
    FROM of_runs WHERE of_runs.name IS NOT NULL
  ),
  of_items(name) AS (
    SELECT (SELECT MIN(queue) FROM item)
    UNION ALL
    SELECT (SELECT MIN(queue) FROM item WHERE queue > of_items.name)
    FROM of_items WHERE of_items.name IS NOT NULL
  )
SELECT name FROM of_runs WHERE name IS NOT NULL
UNION
SELECT name FROM of_items WHERE name IS NOT NULL;
