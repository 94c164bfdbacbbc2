"""Celery with two prefork workers over a Redis of its own. Not durable execution: a plain queue,
and chains stand in for steps."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from celery import Celery
from celery import chain as in_a_row

from bench.collector import look_seldom
from bench.marks import FileMarks, Marks
from bench.peer import NotSupported
from bench.processes import Server, free_port

MARKS_VARIABLE = "BENCH_MARKS"
BROKER_VARIABLE = "BENCH_BROKER"
broker = os.environ.get(BROKER_VARIABLE, "redis://127.0.0.1:1/0")
app = Celery("bench", broker=broker, backend=broker)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=16)
look_seldom()
_open: FileMarks | None = None


def _marks() -> FileMarks:
    global _open  # noqa: PLW0603 - one per worker process
    if _open is None:
        _open = FileMarks(os.environ[MARKS_VARIABLE])
    return _open


@app.task
def step(key: str, is_first: bool, is_last: bool) -> dict[str, bool]:
    if is_first:
        _marks().mark_first(key)
    if is_last:
        _marks().mark_last(key)
    return {"ok": True}


@app.task
def nothing() -> None:
    """Sent by W1 to a queue nobody reads."""


class Peer:
    """Celery; Redis with its defaults (snapshots only)."""

    name = "celery"
    durability = "memory, snapshots"

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bench-celery-"))
        self.marks = Marks(self._folder / "marks")
        self._servers: dict[str, Server] = {}

    async def start(self) -> None:
        port = free_port()
        redis = ["redis-server", "--port", str(port), "--bind", "127.0.0.1"]
        command = [*redis, "--dir", str(self._folder)]
        self._servers["server"] = Server(command, self._folder / "redis.log")
        url = f"redis://127.0.0.1:{port}/0"
        app.conf.update(broker_url=url, result_backend=url)
        env = {BROKER_VARIABLE: url, MARKS_VARIABLE: str(self.marks.path)}
        worker = [sys.executable, "-m", "celery", "-A", __name__, "worker", "-c", "2"]
        quiet = ["-l", "ERROR", "--without-gossip", "--without-mingle"]
        self._servers["app"] = Server([*worker, *quiet], self._folder / "worker.log", env)
        await self.run("one", ["ready"])
        await self.marks.all_last(["ready"], 30)

    async def stop(self) -> None:
        for server in reversed(self._servers.values()):
            server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def run(self, kind: str, keys: Sequence[str]) -> None:
        lengths = {"one": 1, "five": 5, "chain": 100}
        if kind not in lengths:
            raise NotSupported(kind)
        await asyncio.to_thread(self._send, keys, lengths[kind])

    def _send(self, keys: Sequence[str], length: int) -> None:
        for key in keys:
            steps = [step.si(key, index == 0, index == length - 1) for index in range(length)]
            in_a_row(*steps).apply_async() if length > 1 else steps[0].apply_async()

    async def resume(self, key: str) -> None:
        raise NotSupported("wait")

    async def ingest(self, count: int, in_flight: int, batch: int) -> None:
        def send(times: int) -> None:
            for _ in range(times):
                nothing.apply_async(queue="unread")

        await asyncio.gather(
            *(asyncio.to_thread(send, count // in_flight) for _ in range(in_flight))
        )

    def pids(self) -> dict[str, int]:
        return {name: server.pid for name, server in self._servers.items()}

    def work(self) -> dict[str, float]:
        return {}


def make(_: str) -> Peer:
    """The peer."""
    return Peer()
