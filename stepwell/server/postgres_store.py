"""Opens the store of a PostgreSQL database. Only who wants one needs its driver."""

from typing import Literal

from stepwell.server.config import Postgres
from stepwell.server.store.port import Store, Unavailable


def postgres_store(wanted: Postgres, durability: Literal["full", "relaxed"]) -> Store:
    """The store of a database, not migrated yet.

    Raises `Unavailable` where it cannot be reached, and where the driver is not installed.
    """
    try:
        from stepwell.server.store.postgres import pool, store  # noqa: PLC0415 - psycopg
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"PostgreSQL needs an extra: pip install 'stepwell[postgres]' ({error})"
        ) from error
    limits = pool.PoolLimits(wanted.idle_max, wanted.open_max, wanted.idle_s, wanted.life_s)
    return store.PostgresStore(wanted.uri, durability=durability, limits=limits)
