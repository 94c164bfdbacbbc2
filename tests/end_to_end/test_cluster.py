"""Three servers on one PostgreSQL database, an app they call and workers that connect to them: all
servers are stopped and started one after the other, one is killed, one stands still for longer than
it is taken for alive, workers are killed, connections end, and the database begins anew.

Law: as for one server (`test_crash.py`); no key has more calls under way than its limit; and what
is stopped in order costs no attempt, and nobody waits until it is taken for dead.

`STEPWELL_CLUSTER_RUNS=5000` makes it a long story: so many events, and trouble again and again.
With `-s` it tells how long there was from step to step while all were stopped and started.
"""

import asyncio
import json
import os
import signal
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random

import aiohttp
import psycopg
import pytest

from stepwell.server.engine.row.run import RunStatus
from stepwell.server.store.port import RunFilter
from stepwell.server.store.postgres.pool import Pool
from stepwell.server.store.postgres.presence import ALIVE_S
from stepwell.server.store.postgres.reader import PostgresReader
from stepwell.server.store.postgres.store import PostgresStore
from tests.end_to_end.test_crash import (
    KINDS,
    SETTLE_S,
    Scene,
    Victim,
    all_ended,
    judge_runs,
    send_all,
    until_it_answers,
    until_it_is_known,
)
from tests.postgres import Postgres

EVENTS = int(os.environ.get("STEPWELL_CLUSTER_RUNS", "160"))
ROUNDS = 1 + EVENTS // 1_000
ROLLED = 60
LIMIT = 2
WORKERS = "workers"
"""The app of the workers."""
STUMBLES = "-stumble"
LOGGED = (
    " cannot be reached: ",
    "^error ignored terminating <psycopg",
    "^the store could not roll back$",
    "^a server is gone without a word",
    "^this server was taken for dead",
    " took this one for dead: ",
    # An app that is asked to register, and knows one server, while that one is away.
    ": Failed to register with ",
)
"""What is said while the database, or one of them, is away."""


async def _one_after_the_other(http: aiohttp.ClientSession, servers: list[Victim]) -> None:
    """As an upgrade does it."""
    for server in servers:
        await asyncio.to_thread(server.restart)
        await until_it_answers(http, f"{server.url}/health")


async def _trouble(postgres: Postgres, url: str, servers: list[Victim], number: int) -> None:
    """One server is killed, another stands still for longer than it is taken for alive; every
    connection ends, and now and then the database begins anew."""
    killed, still = servers[(number + 1) % 3], servers[(number + 2) % 3]
    await asyncio.sleep(0.5)
    await asyncio.to_thread(killed.kill)
    still.signal(signal.SIGSTOP)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(_end_connections, url)
    if number % 2 == 0:
        await asyncio.to_thread(postgres.restart)
    killed.start()
    await asyncio.sleep(ALIVE_S + 1)
    still.signal(signal.SIGCONT)


async def _kill_workers(workers: "Workers", chance: Random) -> None:
    for _ in range(4):
        await asyncio.sleep(chance.uniform(0.5, 4))
        await asyncio.to_thread(workers.kill, chance.randrange(2))


class Workers:
    """Those of one app, each of which asks another server where to connect."""

    def __init__(self, scene: Scene, urls: list[str]) -> None:
        self._scene = scene
        self._urls = urls
        self._processes = [scene.start_worker(url, WORKERS) for url in urls]

    def kill(self, number: int) -> None:
        """One is gone without a word, and another comes in its place."""
        place = number % len(self._urls)
        self._processes[place].kill()
        self._processes[place].wait()
        self._processes[place] = self._scene.start_worker(self._urls[place], WORKERS)

    def end(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(timeout=30)


def _gaps(url: str) -> list[int]:
    """How long there was between a step and the next one of a run, in milliseconds, in order."""
    reader = PostgresReader(Pool(url))
    try:
        runs = reader.runs(RunFilter(limit=1_000))
        rows = [reader.steps(run.id) for run in runs if run.function.endswith("-row")]
    finally:
        reader.close()
    pairs = (pair for steps in rows for pair in pairwise(steps))
    return sorted(after.began_ms - before.ended_ms for before, after in pairs)


def _end_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _judge_order(url: str, servers: list[Victim]) -> None:
    """By now nothing was killed."""
    reader = PostgresReader(Pool(url))
    try:
        for run in reader.runs(RunFilter(limit=1_000)):
            assert run.status is RunStatus.COMPLETED
            attempts = {step.attempt for step in reader.steps(run.id)}
            assert attempts <= ({0, 1} if run.function.endswith(STUMBLES) else {0}), run
    finally:
        reader.close()
    for server in servers:
        assert "without a word" not in server.said()


@pytest.mark.timeout(300 + 100 * ROUNDS)
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
        for number in range(ROUNDS):
            await asyncio.gather(
                _trouble(postgres, url, servers, number), _kill_workers(workers, chance)
            )

    chance = Random(EVENTS)
    app = scene.start_app()
    workers = Workers(scene, urls[:2])
    try:
        for server in servers:
            server.start()
        async with aiohttp.ClientSession() as http:
            await until_it_answers(http, scene.app_url)
            for one in urls:
                await until_it_answers(http, f"{one}/health")
            for one in urls:
                await until_it_is_known(http, one)
                await until_it_is_known(http, one, WORKERS)
            kinds = [kind for one in (*KINDS, "narrow") for kind in (one, f"{WORKERS}/{one}")]
            send = partial(send_all, http, urls, scene.acked, kinds=kinds)
            await asyncio.gather(send(ROLLED), _one_after_the_other(http, servers))
            await all_ended(http, servers[2])
            _judge_order(url, servers)
            gaps = _gaps(url)
            last = gaps[len(gaps) * 99 // 100]
            sys.stdout.write(f"from step to step {gaps[len(gaps) // 2]} ms, p99 {last} ms\n")
            await asyncio.gather(send(EVENTS, first=ROLLED), trouble())
            await all_ended(http, servers[2], SETTLE_S * ROUNDS)
    finally:
        workers.end()
        for server in servers:
            server.end()
        app.terminate()
        app.wait(timeout=10)
    assert len(scene.acked) >= EVENTS
    judge_runs(PostgresStore(url), scene)
    lines = [json.loads(line) for line in scene.log.read_text().splitlines()]
    assert max(count for _, step, count in lines if step == "under way") <= LIMIT
    for server in servers:
        server.judge()
