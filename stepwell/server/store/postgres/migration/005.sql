-- The code that a run began with; empty where nobody said.
ALTER TABLE stepwell.run ADD COLUMN code text COLLATE "C" NOT NULL DEFAULT '';
