"""Three servers on one PostgreSQL database: all are stopped and started one after the other, one is
killed, one stands still for longer than it is taken for alive, and the database begins anew.

Law: as for one server (`test_crash.py`); no key has more calls under way than its limit; and what
is stopped in order costs no attempt, and nobody waits until it is taken for dead.
"""

import asyncio
import json
import signal
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from stepwell.server.engine.row.run import RunStatus
from stepwell.server.store.port import RunFilter
from stepwell.server.store.postgres.pool import Pool
from stepwell.server.store.postgres.presence import ALIVE_S
from stepwell.server.store.postgres.reader import PostgresReader
from stepwell.server.store.postgres.store import PostgresStore
from tests.end_to_end.test_crash import (
    KINDS,
    Scene,
    Victim,
    all_ended,
    judge_runs,
    send_all,
    until_it_answers,
    until_it_is_known,
)
from tests.postgres import Postgres

EVENTS = 160
ROLLED = 60
LIMIT = 2
STUMBLES = "crash-stumble"
LOGGED = (
    " cannot be reached: ",
    "^error ignored terminating <psycopg",
    "^the store could not roll back$",
    "^a server is gone without a word",
    "^this server was taken for dead",
    " took this one for dead: ",
)
"""What is said while the database, or one of them, is away."""


async def _one_after_the_other(http: aiohttp.ClientSession, servers: list[Victim]) -> None:
    """As an upgrade does it."""
    for server in servers:
        await asyncio.to_thread(server.restart)
        await until_it_answers(http, f"{server.url}/health")


def _judge_order(url: str, servers: list[Victim]) -> None:
    """By now nothing was killed."""
    reader = PostgresReader(Pool(url))
    try:
        for run in reader.runs(RunFilter(limit=1_000)):
            assert run.status is RunStatus.COMPLETED
            attempts = {step.attempt for step in reader.steps(run.id)}
            assert attempts <= ({0, 1} if run.function == STUMBLES else {0}), run
    finally:
        reader.close()
    for server in servers:
        assert "without a word" not in server.said()


@pytest.mark.timeout(400)
async def test_three_servers_lose_nothing_when_one_is_killed_and_one_stands_still(
    tmp_path: Path, postgres: Postgres
) -> None:
    url = postgres.url(postgres.fresh())
    kept = "--postgres-uri", url
    scene = Scene(tmp_path, *kept, logged=LOGGED)
    servers = [scene.victim]
    for name in ("second", "third"):
        (tmp_path / name).mkdir()
        servers.append(Victim(tmp_path / name, scene.app_url, *kept, logged=LOGGED))
    urls = [server.url for server in servers]

    async def trouble() -> None:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(servers[1].kill)
        servers[2].signal(signal.SIGSTOP)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(postgres.restart)
        servers[1].start()
        await asyncio.sleep(ALIVE_S + 1)
        servers[2].signal(signal.SIGCONT)

    app = scene.start_app()
    try:
        for server in servers:
            server.start()
        async with aiohttp.ClientSession() as http:
            await until_it_answers(http, scene.app_url)
            for one in urls:
                await until_it_answers(http, f"{one}/health")
            for one in urls:
                await until_it_is_known(http, one)
            kinds = (*KINDS, "narrow", "narrow")
            send = partial(send_all, http, urls, scene.acked, kinds=kinds)
            await asyncio.gather(send(ROLLED), _one_after_the_other(http, servers))
            await all_ended(http, servers[2])
            _judge_order(url, servers)
            await asyncio.gather(send(EVENTS, first=ROLLED), trouble())
            await all_ended(http, servers[2])
    finally:
        for server in servers:
            server.end()
        app.terminate()
        app.wait(timeout=10)
    for server in servers:
        server.judge()
    assert len(scene.acked) >= EVENTS
    judge_runs(PostgresStore(url), scene)
    lines = [json.loads(line) for line in scene.log.read_text().splitlines()]
    assert max(count for _, step, count in lines if step == "under way") <= LIMIT
