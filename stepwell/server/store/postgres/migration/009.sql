-- Runs of one app are listed without looking at those of others.
CREATE INDEX run_by_app ON stepwell.run (app, queued_ms, id);
