"""Procrastinate with a worker in this process, on a PostgreSQL of its own with its defaults (each
commit is flushed to disk). Not durable execution: a plain queue, and a job that sends the next one
stands in for steps."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from procrastinate import App, PsycopgConnector

from bench.marks import Marks
from bench.peer import NotSupported
from bench.postgres import start_postgres
from bench.processes import Server

LENGTHS = {"one": 1, "five": 5, "chain": 100}
CONCURRENCY = 50
MARKS = Marks()


class Peer:
    """Procrastinate; its worker is told of new jobs by the database."""

    name = "procrastinate"
    durability = "every commit flushed"

    def __init__(self) -> None:
        self.marks = MARKS
        self._folder = Path(tempfile.mkdtemp(prefix="bench-procrastinate-"))
        self._server: Server | None = None
        self._worker: asyncio.Task[None] | None = None
        self._app: App | None = None

    async def start(self) -> None:
        self._server, url = await asyncio.to_thread(start_postgres, self._folder)
        app = self._app = App(connector=PsycopgConnector(conninfo=url, max_size=10))
        await app.open_async()
        await app.schema_manager.apply_schema_async()

        @app.task(name="step")
        async def step(key: str, left: int, length: int) -> None:
            if left == length:
                MARKS.mark_first(key)
            if left == 1:
                MARKS.mark_last(key)
            else:
                await step.defer_async(key=key, left=left - 1, length=length)

        @app.task(name="nothing", queue="unread")
        async def nothing() -> None:
            """Sent by W1 to a queue nobody reads."""

        self._step, self._nothing = step, nothing
        working = app.run_worker_async(
            queues=["default"], concurrency=CONCURRENCY, install_signal_handlers=False
        )
        self._worker = asyncio.create_task(working)

    async def stop(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        if self._app is not None:
            await self._app.close_async()
        if self._server is not None:
            self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def run(self, kind: str, keys: Sequence[str]) -> None:
        if kind not in LENGTHS:
            raise NotSupported(kind)
        length = LENGTHS[kind]
        jobs = [{"key": key, "left": length, "length": length} for key in keys]
        await self._step.batch_defer_async(*jobs)

    async def resume(self, key: str) -> None:
        raise NotSupported("wait")

    async def ingest(self, count: int, in_flight: int, batch: int) -> None:
        async def send(times: int) -> None:
            for _ in range(times):
                await self._nothing.defer_async()

        await asyncio.gather(*(send(count // in_flight) for _ in range(in_flight)))

    def pids(self) -> dict[str, int]:
        return {} if self._server is None else {"server": self._server.pid}

    def work(self) -> dict[str, float]:
        return {}


def make(_: str) -> Peer:
    """The peer."""
    return Peer()
