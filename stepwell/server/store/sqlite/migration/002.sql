-- What an app says of its events, as it registers: JSON Schemas by name, or nothing.

ALTER TABLE app ADD COLUMN events TEXT NOT NULL DEFAULT '';
