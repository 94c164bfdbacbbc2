"""Our worker and our server, and a proxy between them that crumbles and cuts what passes."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest

from stepwell.connect import ConnectionState, connect
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.events.event import Event
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.server.config import ServerConfig
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.gateway.gateway import GatewaySettings
from stepwell.server.gateway.protocol import GatewayConfig
from stepwell.server.serving import Server

RUNS = 40


class CuttingProxy:
    """Passes bytes on in crumbs; after some of them a connection is cut, one way or another."""

    def __init__(self, target: int, seed: int) -> None:
        self.chance = Random(seed)
        self.cuts: Counter[str] = Counter()
        self.merciful = False
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CuttingProxy"]:
        self._server = await asyncio.start_server(self._took, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _took(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(OSError, asyncio.CancelledError):
            theirs, there = await asyncio.open_connection("127.0.0.1", self._target)
            left = [self.chance.randrange(300, 30_000)]
            halves = [
                asyncio.create_task(self._pass(reader, there, left)),
                asyncio.create_task(self._pass(theirs, writer, left)),
            ]
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
            for half in halves:
                half.cancel()
            self._end(writer, there)
        self._tasks.discard(task)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[int]
    ) -> None:
        while data := await reader.read(4096):
            while data:
                size = min(len(data), self.chance.randrange(1, 900))
                crumb, data = data[:size], data[size:]
                if not self.merciful:
                    left[0] -= size
                if left[0] <= 0:
                    # In the middle of a frame, more often than not.
                    writer.write(crumb[: self.chance.randrange(size + 1)])
                    return
                writer.write(crumb)
                await writer.drain()

    def _end(self, *writers: asyncio.StreamWriter) -> None:
        how = self.chance.choice(("fin", "reset", "one side"))
        self.cuts[how] += 1
        for writer in writers[:1] if how == "one side" else writers:
            if how == "reset":
                raw = writer.get_extra_info("socket")
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            else:
                writer.close()
        if how == "one side":
            writers[1].transport.abort()


async def until(condition: Any, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_w19_through_a_proxy_that_cuts_no_run_is_lost_and_no_step_is_stored_twice(
    seed: int,
) -> None:
    config = ServerConfig(port=0, connect_gateway_port=0)
    done: Counter[tuple[int, str]] = Counter()
    async with Server(config, grace_s=0.2) as server:
        server.gateway.settings = GatewaySettings(
            connection=GatewayConfig(heartbeat_s=1, extend_lease_s=1),
            orphan_ms=3_000,
            return_ms=3_000,
        )
        client = Inngest(app_id="app", is_production=False, base_url=server.url)

        @client.create_function(fn_id="fn", trigger=TriggerEvent(event="go"), retries=0)
        async def fn(ctx: Any) -> list[object]:
            number = int(ctx.event.data["n"])

            async def step(name: str) -> str:
                done[number, name] += 1
                await asyncio.sleep(0.01)
                return name * 500

            return [(await ctx.step.run(name, lambda name=name: step(name)))[0] for name in "abcde"]

        async with CuttingProxy(server.gateway_port, seed).running() as proxy:
            there = f"ws://127.0.0.1:{proxy.port}"
            worker = connect(
                [client],
                rewrite_gateway_endpoint=lambda url: f"{there}{urlsplit(url).path}",
                shutdown_signals=[],
                shutdown_timeout=20,
            )
            async with worker:
                events = [Event(name="go", data={"n": number}) for number in range(RUNS)]
                ids = await client.send(events)

                def runs() -> list[Any]:
                    return [run for event in ids for run in server.node.reader.runs_of_event(event)]

                await until(lambda: len(runs()) == RUNS, 10)
                await until(lambda: proxy.cuts.total() >= 5 or all(r.ended for r in runs()), 60)
                proxy.merciful = True
                await until(lambda: all(run.ended for run in runs()), 60)
                assert {run.status for run in runs()} == {RunStatus.COMPLETED}
                assert {run.output for run in runs()} == {b'["a","b","c","d","e"]'}
                for run in runs():
                    assert len(server.node.reader.steps(run.id)) == 5
                await until(lambda: worker.get_state() is ConnectionState.ACTIVE, 20)
                await until(lambda: not worker.stats().unacknowledged, 20)
                assert worker.stats().in_flight == ()
            assert proxy.cuts.total() >= 5
    assert len(done) == RUNS * 5
    again = sum(count - 1 for count in done.values())
    assert again <= RUNS, "what was cut is done again at most, not everything"
