"""Workers of the official SDKs and of ours, and everything that goes wrong around them.

The server lives in the test, so that its connections can be cut, drained and lost; the workers are
processes of their own and are killed for real.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.events.event import Event
from stepwell.server.config import Command, ServerConfig
from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.gateway.gateway import GatewaySettings
from stepwell.server.gateway.protocol import GatewayConfig
from stepwell.server.serving import Server
from tests.interop.harness import JS, PYTHON_SDKS, ROOT, answers, free_port, missing, process
from tests.interop.harness import until as eventually

APP = ROOT / "tests/interop/apps/connect_app.py"
pytestmark = [pytest.mark.interop, pytest.mark.slow]
SDKS = ["inngest", "stepwell", "inngest3", "inngest4"]
QUICK = GatewaySettings(
    connection=GatewayConfig(heartbeat_s=1, extend_lease_s=1),
    lease_ms=2_500,
    grace_ms=500,
    orphan_ms=1_000,
    place_ms=2_000,
)


def worker_of(sdk: str, url: str, notes: Path, instance: str) -> tuple[list[str], dict[str, str]]:
    """How a worker is started: its command, and what its environment adds."""
    if reason := missing({"SDK": sdk}):
        pytest.skip(reason)
    env = {"SDK": sdk, "NOTES": str(notes), "INSTANCE": instance}
    if sdk in PYTHON_SDKS:
        return [sys.executable, str(APP)], {**env, "API": url, "PYTHONPATH": str(ROOT)}
    # Node has WebSockets of its own from 22 on; 20 wants to be asked for them.
    node = {"INNGEST_DEV": url, "NODE_OPTIONS": "--experimental-websocket"}
    return ["node", str(JS / "connect.mjs")], {**env, **node}


class Scene:
    """A server in this process, its workers, and what they noted."""

    def __init__(self, folder: Path, sdk: str) -> None:
        self.sdk = sdk
        self.notes = folder / "notes"
        self.notes.touch()
        self.config = ServerConfig(
            port=free_port(),
            connect_gateway_port=free_port(),
            persist=True,
            sqlite_dir=str(folder / "db"),
            host="127.0.0.1",
        )
        self.server: Server | None = None
        self.workers: list[asyncio.subprocess.Process] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.config.port}"

    @property
    def gateway(self) -> Any:
        assert self.server is not None
        return self.server.gateway

    async def start_server(self) -> None:
        self.server = Server(self.config, grace_s=0.2)
        self.server.gateway.settings = QUICK
        await self.server.start()

    async def stop_server(self) -> None:
        assert self.server is not None
        await self.server.stop()

    async def start_worker(self, instance: str = "one") -> asyncio.subprocess.Process:
        before = self.ready()
        command, env = worker_of(self.sdk, self.url, self.notes, instance)
        worker = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **env}, stderr=None
        )
        self.workers.append(worker)
        await until(lambda: self.ready() > before, 30)
        return worker

    def ready(self) -> int:
        return sum(session.connection.routable() for session in self.gateway.sessions)

    async def send(self, seconds: float = 0.0) -> str:
        client = Inngest(
            app_id="sender",
            is_production=False,
            api_base_url=self.url,
            event_api_base_url=self.url,
        )
        return (await client.send(Event(name="steps", data={"seconds": seconds})))[0]

    def run(self, event: str) -> Run | None:
        assert self.server is not None
        runs = self.server.node.reader.runs_of_event(event)
        return runs[0] if runs else None

    async def completed(self, event: str, within_s: float = 40) -> None:
        def ended() -> bool:
            run = self.run(event)
            return run is not None and run.ended

        await until(ended, within_s)
        run = self.run(event)
        assert run is not None
        assert (run.status, msgspec.json.decode(run.output or b"")) == (
            RunStatus.COMPLETED,
            ["one", "two"],
        )

    def noted(self) -> list[str]:
        return self.notes.read_text().split("\n")[:-1]


async def until(condition: Callable[[], object], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def scene_of(folder: Path, sdk: str) -> AsyncIterator[Scene]:
    scene = Scene(folder, sdk)
    await scene.start_server()
    try:
        yield scene
    finally:
        for worker in scene.workers:
            with suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()
        await scene.stop_server()


@pytest.mark.parametrize("sdk", SDKS)
async def test_it_survives_cuts_drains_and_a_graceful_end(tmp_path: Path, sdk: str) -> None:
    async with scene_of(tmp_path, sdk) as scene:
        worker = await scene.start_worker()
        await scene.completed(await scene.send())

        cut = await scene.send(0.5)
        await until(lambda: scene.noted()[-1:] == ["one begins"])
        for connection in list(scene.gateway.connections):
            connection.port.abort()
        await scene.completed(cut)

        drained = await scene.send(0.5)
        await until(lambda: scene.noted()[-1:] == ["one begins"])
        for connection in list(scene.gateway.connections):
            connection.drain()
        await scene.completed(drained)
        if sdk == "stepwell":
            assert scene.noted() == ["one begins", "one ends", "two begins", "two ends"] * 3
        else:  # what others had to say when they were cut off may be lost, and is done again
            assert scene.noted()[:4] == ["one begins", "one ends", "two begins", "two ends"]
            assert scene.noted().count("two ends") == 3

        last = await scene.send(0.7)
        await until(lambda: scene.noted()[-1:] == ["one begins"])
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), 15) == 0
        assert scene.noted()[-1] == "one ends"
        await scene.start_worker("two")
        await scene.completed(last)
        assert scene.noted().count("two ends") == 4
        if sdk == "stepwell":
            assert scene.noted().count("one begins") == 4


@pytest.mark.parametrize("sdk", SDKS)
async def test_a_long_step_keeps_its_lease_while_its_worker_extends_it(
    tmp_path: Path, sdk: str
) -> None:
    async with scene_of(tmp_path, sdk) as scene:
        await scene.start_worker()
        event = await scene.send(3.0)
        await scene.completed(event)
        assert scene.noted() == ["one begins", "one ends", "two begins", "two ends"]
        assert scene.gateway.counts["extended"] >= 3


@pytest.mark.parametrize("sdk", SDKS)
async def test_a_worker_killed_mid_step_is_replaced(tmp_path: Path, sdk: str) -> None:
    async with scene_of(tmp_path, sdk) as scene:
        worker = await scene.start_worker()
        event = await scene.send(0.5)
        await until(lambda: scene.noted() == ["one begins"])
        worker.kill()
        await until(lambda: scene.ready() == 0)
        await scene.start_worker("two")
        await scene.completed(event)
        assert scene.noted().count("one begins") == 2
        assert scene.noted().count("two begins") == 1


@pytest.mark.parametrize("sdk", SDKS)
async def test_a_cancelled_run_cuts_off_our_workers_alone(tmp_path: Path, sdk: str) -> None:
    async with scene_of(tmp_path, sdk) as scene:
        await scene.start_worker()
        event = await scene.send(2.5)
        await until(lambda: scene.noted() == ["one begins"])
        run = scene.run(event)
        assert run is not None
        assert scene.server is not None
        async with httpx.AsyncClient() as http:
            assert (await http.delete(f"{scene.url}/v1/runs/{run.id}")).status_code < 300
        if sdk == "stepwell":
            await until(lambda: scene.noted() == ["one begins", "one is cut off"], 2)
        else:
            await until(lambda: scene.noted() == ["one begins", "one ends"])
            await until(lambda: not scene.gateway.flights.all())
        assert "two begins" not in scene.noted()


@pytest.mark.parametrize("sdk", SDKS)
async def test_acknowledgements_that_are_lost_lose_nothing(
    tmp_path: Path, sdk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene_of(tmp_path, sdk) as scene:
        await scene.start_worker()
        from stepwell.server.gateway.socket_endpoint import GatewayConnection

        monkeypatch.setattr(GatewayConnection, "acknowledge", lambda self, request_id: None)
        await scene.completed(await scene.send())
        if sdk not in PYTHON_SDKS:
            # It flushes what it keeps when it connects anew, five seconds later at the earliest.
            await asyncio.sleep(6)
            for connection in list(scene.gateway.connections):
                connection.port.abort()
        await until(lambda: scene.gateway.counts["flushes"] >= 1)
        assert scene.noted() == ["one begins", "one ends", "two begins", "two ends"]


@pytest.mark.parametrize("sdk", SDKS)
async def test_work_waits_for_a_worker_and_none_is_tried_in_vain(tmp_path: Path, sdk: str) -> None:
    async with scene_of(tmp_path, sdk) as scene:
        worker = await scene.start_worker()
        worker.terminate()
        await asyncio.wait_for(worker.wait(), 15)
        event = await scene.send()
        await asyncio.sleep(0.5)
        run = scene.run(event)
        assert run is not None
        assert run.status is RunStatus.SCHEDULED
        await scene.start_worker("two")
        await scene.completed(event, 5)


@pytest.mark.parametrize("sdk", SDKS)
async def test_a_server_that_comes_back_finds_the_work_where_it_is(
    tmp_path: Path, sdk: str
) -> None:
    """The worker works on while there is no server, and its answer is taken when there is one."""
    async with scene_of(tmp_path, sdk) as scene:
        await scene.start_worker()
        event = await scene.send(6.0 if sdk == "stepwell" else 2.5)
        await until(lambda: scene.noted() == ["one begins"])
        await scene.stop_server()
        await scene.start_server()
        await until(scene.ready, 30)
        await scene.completed(event)
        if sdk == "stepwell":
            # Ours says at once what it is still at work on, and keeps it.
            assert scene.noted() == ["one begins", "one ends", "two begins", "two ends"]
            assert scene.gateway.counts["adopted"] == 1
        assert scene.noted().count("two begins") == 1


async def test_a_production_server_wants_the_key(tmp_path: Path) -> None:
    key = "signkey-test-" + "ab" * 32
    config = ServerConfig(
        command=Command.START,
        port=0,
        connect_gateway_port=0,
        signing_keys=(key,),
        event_keys=("k",),
        sqlite_dir=str(tmp_path),
    )
    async with Server(config) as server:
        from stepwell.connect import WorkerUnauthorizedError, connect

        def worker(signing_key: str) -> Any:
            client = Inngest(
                app_id="app",
                is_production=True,
                api_base_url=server.url,
                signing_key=signing_key,
            )
            return connect([(client, [])], shutdown_signals=[])

        async with worker(key):
            assert len(server.gateway.sessions) == 1
        with pytest.raises(WorkerUnauthorizedError):
            await worker("signkey-test-" + "cd" * 32).start()


@contextmanager
def server_process(folder: Path, port: int, gateway_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The real thing, with its database in `folder`; killed at the end, whatever it does."""
    command = [sys.executable, "-m", "stepwell", "dev", "--no-discovery", "--no-poll"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--persist"]
    command += ["--connect-gateway-port", str(gateway_port), "--sqlite-dir", str(folder / "db")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "server.log").open("ab") as log:
        child = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        eventually("the server", lambda: answers(f"{url}/health"))
        yield child
    finally:
        child.kill()
        child.wait()


# Ours at a step that is under way still when the server is back, too: it says so at once.
@pytest.mark.parametrize(("sdk", "seconds"), [*((sdk, 1.5) for sdk in SDKS), ("stepwell", 7.0)])
def test_a_server_killed_mid_run_goes_on_where_it_was(
    tmp_path: Path, sdk: str, seconds: float
) -> None:
    port, gateway_port = free_port(), free_port()
    url, notes = f"http://127.0.0.1:{port}", tmp_path / "notes"
    notes.touch()
    command, env = worker_of(sdk, url, notes, "one")

    def connected() -> bool | None:
        rows = httpx.get(f"{url}/v0/connect/envs/dev/conns").json()["data"]
        return bool(rows and rows[0].get("status")) or None

    def noted(what: str) -> bool | None:
        return what in notes.read_text() or None

    with ExitStack() as stack:
        first = stack.enter_context(server_process(tmp_path, port, gateway_port))
        stack.enter_context(process(command, env, tmp_path / "worker.log", ROOT))
        eventually("the worker", connected)
        body = {"name": "steps", "data": {"seconds": seconds}}
        event = httpx.post(f"{url}/e/k", json=body).json()["ids"][0]
        eventually("the second step", lambda: noted("two begins"))
        first.kill()
        first.wait()
        stack.enter_context(server_process(tmp_path, port, gateway_port))

        def run() -> Any:
            runs = httpx.get(f"{url}/v1/events/{event}/runs").json()["data"]
            return runs[0] if runs and runs[0]["ended_at"] else None

        ended = eventually("the run", run)
    assert ended["status"] == "Completed"
    assert ended["output"] == ["one", "two"]
    # What was acknowledged before the server died is never done again.
    assert notes.read_text().count("one begins") == 1
    if sdk == "stepwell":
        assert notes.read_text().count("two begins") == 1
