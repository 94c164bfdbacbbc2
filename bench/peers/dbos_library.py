"""DBOS as a library in this process, on SQLite or PostgreSQL, with its defaults (each commit is
flushed to disk). Items of W1 are enqueued to a queue nobody reads."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from dbos import DBOS, DBOSConfig, SetWorkflowID

from bench.marks import Marks
from bench.postgres import start_postgres
from bench.processes import Server

MARKS = Marks()
OK = {"ok": True}


@DBOS.step()
def step() -> dict[str, bool]:
    return OK


@DBOS.workflow()
def one(key: str) -> None:
    MARKS.mark_first(key)
    step()
    MARKS.mark_last(key)


@DBOS.workflow()
def five(key: str) -> None:
    MARKS.mark_first(key)
    for _ in range(5):
        step()
    MARKS.mark_last(key)


@DBOS.workflow()
def chain(key: str) -> None:
    MARKS.mark_first(key)
    for _ in range(100):
        step()
    MARKS.mark_last(key)


@DBOS.step()
async def async_step() -> dict[str, bool]:
    return OK


@DBOS.workflow()
async def fan(key: str) -> None:
    MARKS.mark_first(key)
    await asyncio.gather(*(async_step() for _ in range(100)))
    MARKS.mark_last(key)


@DBOS.workflow()
async def wait(key: str) -> None:
    MARKS.mark_first(key)
    await DBOS.recv_async("go", timeout_seconds=600)
    MARKS.mark_last(key)


@DBOS.workflow()
async def sleep(key: str) -> None:
    MARKS.mark_first(key)
    await DBOS.sleep_async(3600)


@DBOS.workflow()
def nothing() -> None:
    """Enqueued by W1, run by nobody."""


SYNC = {"one": one, "five": five, "chain": chain}
ASYNC = {"fan": fan, "wait": wait, "sleep": sleep}


class Peer:
    """DBOS; `database` is `sqlite` or `postgres`."""

    def __init__(self, database: str) -> None:
        self.name = f"dbos_{database}"
        self.durability = "every commit flushed"
        self.marks = MARKS
        self._database = database
        self._folder = Path(tempfile.mkdtemp(prefix="bench-dbos-"))
        self._server: Server | None = None

    async def start(self) -> None:
        url = await self._database_url()
        config: DBOSConfig = {
            "name": "bench",
            "system_database_url": url,
            "log_level": "ERROR",
            "run_admin_server": False,
        }
        DBOS(config=config)
        await asyncio.to_thread(DBOS.launch)
        await asyncio.to_thread(DBOS.register_queue, "unread", worker_concurrency=0)

    async def _database_url(self) -> str:
        if self._database == "sqlite":
            return f"sqlite:///{self._folder}/dbos.sqlite"
        self._server, url = await asyncio.to_thread(start_postgres, self._folder)
        return url

    async def stop(self) -> None:
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)
        if self._server is not None:
            self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def run(self, kind: str, keys: Sequence[str]) -> None:
        if kind in SYNC:
            await asyncio.to_thread(self._run_sync, kind, keys)
            return
        for key in keys:
            with SetWorkflowID(key):
                await DBOS.start_workflow_async(ASYNC[kind], key)

    def _run_sync(self, kind: str, keys: Sequence[str]) -> None:
        for key in keys:
            with SetWorkflowID(key):
                DBOS.start_workflow(SYNC[kind], key)

    async def resume(self, key: str) -> None:
        await DBOS.send_async(key, "go", "go")

    async def ingest(self, count: int, in_flight: int, batch: int) -> None:
        def enqueue(times: int) -> None:
            for _ in range(times):
                DBOS.enqueue_workflow("unread", nothing)

        if in_flight == 1:
            await asyncio.to_thread(enqueue, count)
            return
        threads = [
            threading.Thread(target=enqueue, args=(count // in_flight,)) for _ in range(in_flight)
        ]
        for thread in threads:
            thread.start()
        await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))

    def pids(self) -> dict[str, int]:
        return {} if self._server is None else {"server": self._server.pid}

    def work(self) -> dict[str, float]:
        return {}


def make(database: str) -> Peer:
    """The peer on one kind of database."""
    return Peer(database)
