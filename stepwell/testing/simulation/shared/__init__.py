"""Several servers on one database, in memory: what PostgreSQL would do, on virtual time."""
