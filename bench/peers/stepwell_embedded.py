"""Stepwell inside this process: functions and engine, with SQLite or a PostgreSQL beside it."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import stepwell
from bench.marks import Marks
from bench.peers.stepwell_functions import EVENTS_PER_SEND, declare, events_for
from bench.postgres import start_postgres
from bench.processes import Server
from stepwell.embedded import Engine


class Peer:
    """`durability` is `full` (a flush before every acknowledgement) or `relaxed` (none)."""

    def __init__(self, durability: Literal["full", "relaxed"], *, on_postgres: bool) -> None:
        self.name = f"stepwell_postgres_{durability}" if on_postgres else f"stepwell_{durability}"
        self.durability = {
            "full": "commits flushed in groups",
            "relaxed": "survives a killed process",
        }[durability]
        self.marks = Marks()
        self._folder = Path(tempfile.mkdtemp(prefix="bench-stepwell-"))
        self._client = stepwell.Inngest(app_id="bench", is_production=False)
        self._database: Server | None = None
        url: str | Path = self._folder / "bench.db"
        if on_postgres:
            self._database, url = start_postgres(self._folder)
        self._engine = Engine(
            self._client,
            declare(stepwell, self._client, self.marks),
            database=url,
            durability=durability,
        )

    async def start(self) -> None:
        await self._engine.start()

    async def stop(self) -> None:
        await self._engine.stop()
        if self._database is not None:
            self._database.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def run(self, kind: str, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), EVENTS_PER_SEND):
            await self._client.send(
                events_for(stepwell, kind, keys[start : start + EVENTS_PER_SEND])
            )

    async def resume(self, key: str) -> None:
        await self._client.send(stepwell.Event(name="bench/go", data={"key": key}))

    async def ingest(self, count: int, in_flight: int, batch: int) -> None:
        async def some(times: int) -> None:
            for _ in range(times):
                await self._client.send(
                    [stepwell.Event(name="bench/unheard", data={"n": 1}) for _ in range(batch)]
                )

        await asyncio.gather(*(some(count // batch // in_flight) for _ in range(in_flight)))

    def pids(self) -> dict[str, int]:
        return {} if self._database is None else {"server": self._database.pid}

    def work(self) -> dict[str, float]:
        ledger = self._engine.node.ledger
        return {"commits": float(ledger.commits), "rows": float(ledger.rows)}


def make(argument: str) -> Peer:
    """The peer. `argument` is how durable it is, and `postgres` after it."""
    durability, _, database = argument.partition(" ")
    return Peer("full" if durability == "full" else "relaxed", on_postgres=database == "postgres")
