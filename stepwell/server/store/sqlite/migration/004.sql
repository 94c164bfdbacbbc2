-- Lists are read through an index, however many runs there are.
CREATE INDEX run_by_start ON run (started_ms) WHERE started_ms > 0;
CREATE INDEX run_by_status ON run (status, app, function, queued_ms, id);
CREATE INDEX run_by_deferral ON run (status, app, function, queued_ms, id) WHERE (flags & 16) <> 0;

-- A run that another one left to be started at its end is marked, so that lists can ask for it.
UPDATE run SET flags = flags | 16
WHERE event_id IN (SELECT id FROM event WHERE name = 'inngest/deferred.schedule');
