-- Many processes at once.

-- What may not be there yet cannot be locked: whoever decides about it locks the row that its name
-- falls to. There are always as many of these rows, and nothing is ever written to them.
CREATE TABLE stepwell.lock (id integer PRIMARY KEY);
INSERT INTO stepwell.lock SELECT generate_series(0, 4095);

-- What all processes have in common: how often apps and functions changed, and what is signed with.
CREATE TABLE stepwell.common (
    one integer PRIMARY KEY,
    catalog bigint NOT NULL,
    secret bytea NOT NULL
);

-- The process that does what one is enough for; a new term each time it is another.
CREATE TABLE stepwell.leader (
    one integer PRIMARY KEY,
    node text COLLATE "C" NOT NULL,
    term bigint NOT NULL
);

-- Whether a process leaves the database to others, too: those of the first version did not.
ALTER TABLE stepwell.node ADD COLUMN shares boolean NOT NULL DEFAULT false;
