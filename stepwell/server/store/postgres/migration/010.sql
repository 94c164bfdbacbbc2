-- Which registrations an app had before, the oldest first: a worker with one of them is of an older
-- version.
ALTER TABLE stepwell.app ADD COLUMN former text COLLATE "C" NOT NULL DEFAULT '';
-- The registrations that workers of a process have.
ALTER TABLE stepwell.node ADD COLUMN serves text[] COLLATE "C" NOT NULL DEFAULT '{}';
