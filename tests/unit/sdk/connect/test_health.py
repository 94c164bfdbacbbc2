"""What a worker answers to orchestrators and Prometheus, and when it has done enough."""

import asyncio
import ctypes
import os
import platform
from http import HTTPStatus
from typing import Any

import aiohttp
import psutil
import pytest

from stepwell.connect import ConnectionState, WorkerStats, connect
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.connect.health import answer, metrics, serve_health
from stepwell.sdk.connect.recycle import resident_bytes, watch
from stepwell.sdk.errors import ConfigurationError
from tests.fake_server import FakeServer
from tests.unit.sdk.connect.stage import answer as answered
from tests.unit.sdk.connect.stage import client_of, function

S = ConnectionState
ONCE = {"connects": 1}


@pytest.mark.parametrize(
    ("stats", "healthy", "ready"),
    [
        (WorkerStats(S.CONNECTING), False, False),
        (WorkerStats(S.ACTIVE), True, True),
        (WorkerStats(S.PAUSED, counts=ONCE), True, False),
        (WorkerStats(S.PAUSED, counts=ONCE, down_s=60), False, False),
        (WorkerStats(S.PAUSED), False, False),
        (WorkerStats(S.CLOSING), True, False),
        (WorkerStats(S.RECONNECTING, counts=ONCE, down_s=59), True, False),
        (WorkerStats(S.RECONNECTING, counts=ONCE, down_s=60), False, False),
        (WorkerStats(S.CONNECTING, counts=ONCE, down_s=1), True, False),
        (WorkerStats(S.RECONNECTING, down_s=1), False, False),
        (WorkerStats(S.CLOSED, counts=ONCE), False, False),
    ],
)
def test_verdicts(stats: WorkerStats, healthy: bool, ready: bool) -> None:
    codes = {True: HTTPStatus.OK, False: HTTPStatus.SERVICE_UNAVAILABLE}
    assert answer(b"GET /healthz HTTP/1.1\r\n", stats)[0] is codes[healthy]
    assert answer(b"GET /readyz?x HTTP/1.1\r\n", stats)[0] is codes[ready]
    assert answer(b"GET /readyz HTTP/1.1\r\n", stats)[2] == f"{stats.state.value}\n"


def test_other_questions() -> None:
    stats = WorkerStats(S.ACTIVE)
    assert answer(b"GET / HTTP/1.1\r\n", stats)[0] is HTTPStatus.NOT_FOUND
    assert answer(b"POST /healthz HTTP/1.1\r\n", stats)[0] is HTTPStatus.METHOD_NOT_ALLOWED
    assert answer(b"\xff\xfe", stats)[0] is HTTPStatus.METHOD_NOT_ALLOWED


def test_metrics() -> None:
    stats = WorkerStats(
        S.ACTIVE, "c", ("a", "b"), unacknowledged=3, finished=9, counts={"connects": 2}
    )
    lines = metrics(stats).splitlines()
    assert 'stepwell_worker_state{state="ACTIVE"} 1' in lines
    assert 'stepwell_worker_state{state="CLOSED"} 0' in lines
    assert "stepwell_worker_requests_in_flight 2" in lines
    assert "stepwell_worker_replies_unacknowledged 3" in lines
    assert "stepwell_worker_calls_finished_total 9" in lines
    assert "stepwell_worker_connects_total 2" in lines
    assert "stepwell_worker_leases_refused_total 0" in lines
    named = {line.split()[2] for line in lines if line.startswith("#")}
    assert named == {line.split()[0].split("{")[0] for line in lines if line[0] != "#"}


async def test_a_client_that_says_nothing_or_nonsense_harms_nobody() -> None:
    server = await serve_health("127.0.0.1", 0, lambda: WorkerStats(S.ACTIVE))
    port = server.sockets[0].getsockname()[1]
    for said in (b"", b"x" * 20_000, b"GET /healthz HTTP/1.1\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        writer.write_eof()
        heard = await reader.read()
        writer.close()
    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    server.close()


async def test_a_worker_tells_how_it_is(server: FakeServer) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    worker = connect([(client, [function(client, handler)])], health_port=0, shutdown_signals=[])
    assert worker.stats() == WorkerStats(S.CONNECTING)
    async with worker, aiohttp.ClientSession() as http:

        async def ask(path: str) -> tuple[int, str]:
            async with http.get(f"http://127.0.0.1:{worker.health_port}{path}") as reply:
                return reply.status, await reply.text()

        assert await ask("/readyz") == (200, "ACTIVE\n")
        await answered(server.call("app-fn"))
        assert "stepwell_worker_replies_total 1" in (await ask("/metrics"))[1]
        await worker.pause()
        assert await ask("/readyz") == (503, "PAUSED\n")
        assert (await ask("/healthz"))[0] == 200


async def test_a_port_that_cannot_be_had(server: FakeServer) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    worker = connect(
        [(client, [function(client, handler)])],
        health_port=server.api_port,
        shutdown_signals=[],
    )
    with pytest.raises(ConfigurationError, match=f"health_port = {server.api_port}"):
        await worker.start()


async def test_a_worker_that_did_enough_closes(server: FakeServer) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    worker = connect([(client, [function(client, handler)])], max_requests=2, shutdown_signals=[])
    task = asyncio.create_task(worker.start())
    await worker.wait_for_state(S.ACTIVE)
    for _ in range(2):
        await answered(server.call("app-fn"))
    await asyncio.wait_for(task, 5)
    assert worker.recycled == "2 requests are done, at most 2 were asked for"


async def test_memory_is_a_limit_too() -> None:
    assert abs(resident_bytes() - psutil.Process(os.getpid()).memory_info().rss) < 50_000_000
    why: list[str] = []
    await asyncio.wait_for(
        watch(requests_max=None, bytes_max=1, finished=lambda: 0, enough=why.append), 5
    )
    assert "at most 1 were asked for" in why[0]


def test_memory_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        knows = 1

        @classmethod
        def K32GetProcessMemoryInfo(cls, process: Any, counters: Any, size: int) -> int:
            assert process.value == ctypes.c_void_p(-1).value
            assert size == counters._obj.length == ctypes.sizeof(counters._obj)
            counters._obj.resident = 77_000_000
            return cls.knows

    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: {"kernel32": Kernel}[name])
    assert resident_bytes() == 77_000_000
    Kernel.knows = 0
    assert resident_bytes() == 0
    client = Inngest(app_id="app", is_production=False)
    with pytest.raises(ConfigurationError, match="does not tell how much memory"):
        connect([(client, [])], max_rss_bytes=1000)


def test_limits_are_positive() -> None:
    client = Inngest(app_id="app", is_production=False)
    for name in ("max_requests", "max_rss_bytes"):
        with pytest.raises(ConfigurationError, match=f"{name} = 0"):
            connect([(client, [])], **{name: 0})
    with pytest.raises(ConfigurationError, match=r"max_rss_bytes = 1000: the process holds \d+"):
        connect([(client, [])], max_rss_bytes=1000)
