-- How many runs came to each status in a minute or an hour, for charts: no run is looked at for that.
CREATE TABLE run_count (
    span_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    app TEXT NOT NULL,
    function TEXT NOT NULL,
    queued INTEGER NOT NULL,
    started INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    PRIMARY KEY (span_ms, at_ms, app, function)
) WITHOUT ROWID;

-- What is there is counted once, by one look at each run; hours are made of minutes. Then minutes go
-- that are kept no longer: of two days, before the last.
INSERT INTO run_count
SELECT
    60000, at_ms / 60000 * 60000, app, function,
    sum(part = 1), sum(part = 2), sum(part = 300), sum(part = 400), sum(part = 500)
FROM (
    SELECT
        app, function, CASE kind.n WHEN 3 THEN status ELSE kind.n END AS part,
        CASE kind.n WHEN 1 THEN queued_ms WHEN 2 THEN started_ms ELSE ended_ms END AS at_ms
    FROM run CROSS JOIN (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) AS kind
)
WHERE at_ms > 0
GROUP BY 2, 3, 4;

INSERT INTO run_count
SELECT
    3600000, at_ms / 3600000 * 3600000, app, function,
    sum(queued), sum(started), sum(completed), sum(failed), sum(cancelled)
FROM run_count
GROUP BY 2, 3, 4;

DELETE FROM run_count
WHERE at_ms < (SELECT max(at_ms) FROM run_count WHERE span_ms = 60000)
    - CASE span_ms WHEN 60000 THEN 172800000 ELSE 7776000000 END;
