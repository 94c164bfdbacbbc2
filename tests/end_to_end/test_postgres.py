"""A server that keeps everything in PostgreSQL is killed, and so is the database's service; nothing
is lost.

Law: as for the server on SQLite (`test_crash.py`).
"""

import asyncio
from pathlib import Path

import pytest

from stepwell.server.store.postgres.store import PostgresStore
from tests.end_to_end.test_crash import Scene, Victim, judge_runs
from tests.postgres import Postgres

EVENTS = 160
LOGGED = (
    " cannot be reached: ",
    "^error ignored terminating <psycopg",
    "^the store could not roll back$",
)
"""What is said while the database is away."""


@pytest.mark.timeout(400)
async def test_a_server_over_postgresql_loses_nothing(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.url(postgres.fresh())
    scene = Scene(tmp_path, "--postgres-uri", url, logged=LOGGED)

    async def trouble(victim: Victim) -> None:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(postgres.restart)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(victim.kill)
        # It waits until the one that was killed is taken for dead.
        victim.start()

    await scene.play(EVENTS, trouble)
    assert len(scene.acked) == EVENTS
    judge_runs(PostgresStore(url), scene)
