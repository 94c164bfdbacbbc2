-- The arguments of a step, a JSON array; empty where there are none.
ALTER TABLE step ADD COLUMN input BLOB NOT NULL DEFAULT x'';
