"""Restate: its server from npm, its Python SDK served by granian in a process of its own.

Items of W1 are sends with a delay of two hours.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import aiohttp
import restate

from bench.collector import look_seldom
from bench.marks import FileMarks, Marks
from bench.posting import Poster
from bench.processes import Server, answers, free_port, listens

MARKS_VARIABLE = "BENCH_MARKS"
OK = {"ok": True}
bench = restate.Service("bench")
waiter = restate.Workflow("waiter")


def _marks() -> FileMarks:
    global _open  # noqa: PLW0603 - one per worker process
    if _open is None:
        _open = FileMarks(os.environ[MARKS_VARIABLE])
    return _open


_open: FileMarks | None = None


async def _step() -> dict[str, bool]:
    return OK


async def _steps(ctx: restate.Context, key: str, count: int) -> None:
    _marks().mark_first(key)
    for index in range(count):
        await ctx.run_typed(f"s{index}", _step)
    _marks().mark_last(key)


@bench.handler()
async def one(ctx: restate.Context, key: str) -> None:
    await _steps(ctx, key, 1)


@bench.handler()
async def five(ctx: restate.Context, key: str) -> None:
    await _steps(ctx, key, 5)


@bench.handler()
async def chain(ctx: restate.Context, key: str) -> None:
    await _steps(ctx, key, 100)


@bench.handler()
async def fan(ctx: restate.Context, key: str) -> None:
    _marks().mark_first(key)
    await restate.gather(*(ctx.run_typed(f"s{index}", _step) for index in range(100)))
    _marks().mark_last(key)


@bench.handler()
async def sleep(ctx: restate.Context, key: str) -> None:
    _marks().mark_first(key)
    await ctx.sleep(timedelta(hours=1))


@waiter.main()
async def wait(ctx: restate.WorkflowContext) -> None:
    _marks().mark_first(ctx.key())
    await ctx.promise("go").value()
    _marks().mark_last(ctx.key())


@waiter.handler()
async def go(ctx: restate.WorkflowSharedContext) -> None:
    await ctx.promise("go").resolve("go")


app = restate.app(services=[bench, waiter])
if MARKS_VARIABLE in os.environ:  # granian's process, not the driver's
    look_seldom()


class Peer:
    """Restate with its defaults: a write-ahead log, flushed in groups."""

    name = "restate"
    durability = "log flushed in groups"

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bench-restate-"))
        self.marks = Marks(self._folder / "marks")
        self._servers: dict[str, Server] = {}
        self._http: Poster | None = None

    async def start(self) -> None:
        ingress, admin, node, served = free_port(), free_port(), free_port(), free_port()
        binary = os.environ.get("RESTATE_SERVER", "restate-server")
        server_env = {
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
            "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
            "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
            "RESTATE_LOG_FILTER": "error",
            "DO_NOT_TRACK": "1",
        }
        base = ["--base-dir", str(self._folder / "data"), "--node-name", "bench"]
        server = Server([binary, *base], self._folder / "restate.log", server_env)
        self._servers["server"] = server
        granian = [sys.executable, "-m", "granian", "--interface", "asgi", "--http", "2"]
        where = ["--host", "127.0.0.1", "--port", str(served), f"{__name__}:app"]
        marks = {MARKS_VARIABLE: str(self.marks.path)}
        self._servers["app"] = Server([*granian, *where], self._folder / "app.log", marks)
        await answers(f"http://127.0.0.1:{admin}/health")
        await listens(served)
        await answers(f"http://127.0.0.1:{ingress}/restate/health")
        self._http = Poster(f"http://127.0.0.1:{ingress}")
        await self._register(f"http://127.0.0.1:{admin}", f"http://127.0.0.1:{served}")

    async def _register(self, admin: str, served: str) -> None:
        deadline = time.time() + 30
        async with aiohttp.ClientSession() as http:
            while True:
                async with http.post(f"{admin}/deployments", json={"uri": served}) as reply:
                    if reply.status < 300:
                        return
                    text = await reply.text()
                if time.time() > deadline:
                    raise RuntimeError(f"registration failed: {text}")
                await asyncio.sleep(0.2)

    async def stop(self) -> None:
        if self._http is not None:
            self._http.close()
        for server in reversed(self._servers.values()):
            server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def run(self, kind: str, keys: Sequence[str]) -> None:
        gate = asyncio.Semaphore(64)

        async def start_one(key: str) -> None:
            async with gate:
                if kind == "wait":
                    await self._post(f"/waiter/{key}/wait/send", None)
                else:
                    await self._post(f"/bench/{kind}/send", key)

        await asyncio.gather(*(start_one(key) for key in keys))

    async def resume(self, key: str) -> None:
        await self._post(f"/waiter/{key}/go", None)

    async def ingest(self, count: int, in_flight: int, batch: int) -> None:
        async def some(times: int) -> None:
            for _ in range(times):
                await self._post("/bench/one/send?delay=2h", "x")

        await asyncio.gather(*(some(count // in_flight) for _ in range(in_flight)))

    async def _post(self, path: str, body: str | None) -> None:
        assert self._http is not None
        data = b"" if body is None else json.dumps(body).encode()
        await self._http.post(path, data, typed=body is not None)

    def pids(self) -> dict[str, int]:
        return {name: server.pid for name, server in self._servers.items()}

    def work(self) -> dict[str, float]:
        return {}


def make(_: str) -> Peer:
    """The peer."""
    return Peer()
