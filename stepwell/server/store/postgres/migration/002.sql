-- The arguments of a step, a JSON array; empty where there are none.
ALTER TABLE stepwell.step ADD COLUMN input bytea NOT NULL DEFAULT '';
