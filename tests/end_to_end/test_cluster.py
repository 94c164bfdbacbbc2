"""Three servers on one PostgreSQL database: one is killed, one stands still for longer than it is
taken for alive, and the database begins anew.

Law: as for one server (`test_crash.py`); and no key has more calls under way than its limit.
"""

import asyncio
import json
import signal
from pathlib import Path

import aiohttp
import pytest

from stepwell.server.store.postgres.presence import ALIVE_S
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

EVENTS = 180
LIMIT = 2
LOGGED = (
    " cannot be reached: ",
    "^error ignored terminating <psycopg",
    "^the store could not roll back$",
    "^a server is gone without a word",
    "^this server was taken for dead",
    " took this one for dead: ",
)
"""What is said while the database, or one of them, is away."""


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
            await asyncio.gather(send_all(http, urls, scene.acked, EVENTS, kinds), trouble())
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
