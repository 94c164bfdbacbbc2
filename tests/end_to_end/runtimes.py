"""A server, and the process of a runtime beside it: started, registered, given an event, and killed
with all that it started."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from stepwell.server.config import ServerConfig
from stepwell.server.serving import Server
from tests.repo.source import ROOT

START_S = 60.0
EMPTY: Mapping[str, object] = {}


@contextlib.asynccontextmanager
async def dev_server() -> AsyncIterator[Server]:
    """A development server that asks nobody of its own accord."""
    sock = socket.create_server(("127.0.0.1", 0))
    config = ServerConfig(host="127.0.0.1", discovery=False, poll=False)
    made = Server(config, sockets=[sock])
    await made.start()
    yield made
    await made.stop()


@contextlib.contextmanager
def process(command: list[str], log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is stopped with all that it started."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    with log.open("wb") as out:
        started = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            yield started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()


async def registered(url: str, started: subprocess.Popen[bytes], log: Path) -> None:
    """Ask the app to register, until it listens."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(START_S):
        while True:
            assert started.poll() is None, log
            with contextlib.suppress(aiohttp.ClientError):
                async with http.put(url) as answer:
                    assert answer.status == 200, await answer.text()
                    return
            await asyncio.sleep(0.05)


async def result(server: Server, name: str, data: Mapping[str, object] = EMPTY) -> Any:
    """Send the event, and wait for what its one run returns."""
    async with aiohttp.ClientSession(server.url) as http, asyncio.timeout(START_S):
        async with http.post("/e/any", json={"name": name, "data": dict(data)}) as answer:
            (event_id,) = json.loads(await answer.text())["ids"]
        while True:
            async with http.get(f"/v1/events/{event_id}/runs") as answer:
                runs = (await answer.json())["data"]
            if runs and runs[0]["status"] not in ("Running", "Scheduled"):
                assert runs[0]["status"] == "Completed", runs
                return runs[0]["output"]
            await asyncio.sleep(0.02)
