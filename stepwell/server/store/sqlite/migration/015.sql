-- Which registrations an app had before, the oldest first: a worker with one of them is of an older
-- version.
ALTER TABLE app ADD COLUMN former TEXT NOT NULL DEFAULT '';
