-- The code that a run began with; empty where nobody said.
ALTER TABLE run ADD COLUMN code TEXT NOT NULL DEFAULT '';
