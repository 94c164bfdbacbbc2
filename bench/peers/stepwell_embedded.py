"""Stepwell inside this process: functions, engine and SQLite together."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import stepwell
from bench.marks import Marks
from bench.peers.stepwell_functions import EVENTS_PER_SEND, declare, events_for
from stepwell.embedded import Engine


class Peer:
    """`durability` is `full` (a flush before every acknowledgement) or `relaxed` (none)."""

    def __init__(self, durability: Literal["full", "relaxed"]) -> None:
        self.name = f"stepwell_{durability}"
        self.durability = {
            "full": "commits flushed in groups",
            "relaxed": "survives a killed process",
        }[durability]
        self.marks = Marks()
        self._folder = Path(tempfile.mkdtemp(prefix="bench-stepwell-"))
        self._client = stepwell.Inngest(app_id="bench", is_production=False)
        self._engine = Engine(
            self._client,
            declare(stepwell, self._client, self.marks),
            database=self._folder / "bench.db",
            durability=durability,
        )

    async def start(self) -> None:
        await self._engine.start()

    async def stop(self) -> None:
        await self._engine.stop()
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
        return {}

    def work(self) -> dict[str, float]:
        ledger = self._engine.node.ledger
        return {"commits": float(ledger.commits), "rows": float(ledger.rows)}


def make(durability: str) -> Peer:
    """The peer."""
    return Peer("full" if durability == "full" else "relaxed")
