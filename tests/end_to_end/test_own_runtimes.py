"""Functions where they are deployed: under each kind of gunicorn's workers, and in the runtime that
AWS Lambda runs, before a pretended runtime API."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from stepwell.server.config import ServerConfig
from stepwell.server.serving import Server
from tests.contract.adapters.platforms import Asked, as_http_api
from tests.repo.source import ROOT

MODULE = "tests.end_to_end.runtime_app"
START_S = 60.0


@pytest.fixture
async def server() -> AsyncIterator[Server]:
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


async def result(server: Server) -> Any:
    """Send the event, and wait for what its one run returns."""
    async with aiohttp.ClientSession(server.url) as http, asyncio.timeout(START_S):
        async with http.post("/e/any", json={"name": "sum/wanted", "data": {}}) as answer:
            (event_id,) = json.loads(await answer.text())["ids"]
        while True:
            async with http.get(f"/v1/events/{event_id}/runs") as answer:
                runs = (await answer.json())["data"]
            if runs and runs[0]["status"] not in ("Running", "Scheduled"):
                assert runs[0]["status"] == "Completed", runs
                return runs[0]["output"]
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
async def test_gunicorn(server: Server, kind: str, tmp_path: Path) -> None:
    log = tmp_path / "gunicorn.log"
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    command = ["gunicorn", "-k", kind, "-b", f"127.0.0.1:{port}", f"{MODULE}:app"]
    with process(command, log, APP_ID=f"under-{kind}", INNGEST_DEV=server.url) as started:
        await registered(f"http://127.0.0.1:{port}/api/inngest", started, log)
        assert await result(server) == 42


class RuntimeApi:
    """What the platform is to the runtime: it hands out events and takes their answers."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._ids = itertools.count()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/2018-06-01/runtime/invocation/next", self.next)
        app.router.add_post("/2018-06-01/runtime/invocation/{name}/{how}", self.ended)
        app.router.add_route("*", "/api/inngest", self.invoke)
        return app

    async def next(self, _request: web.Request) -> web.Response:
        name, event = await self._waiting.get()
        return web.Response(
            body=json.dumps(event).encode(),
            headers={
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": name,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 60) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:1:function:f",
            },
        )

    async def ended(self, request: web.Request) -> web.Response:
        assert request.match_info["how"] == "response", await request.text()
        self._answers.pop(request.match_info["name"]).set_result(await request.json())
        return web.json_response({}, status=202)

    async def invoke(self, request: web.Request) -> web.Response:
        """A request at the function's URL."""
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        asked = Asked(
            request.method, request.path, request.query_string, headers, await request.read()
        )
        name = f"request-{next(self._ids)}"
        answered = self._answers[name] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((name, as_http_api(asked)))
        told = await answered
        body = told.get("body") or ""
        content = base64.b64decode(body) if told.get("isBase64Encoded") else body.encode()
        return web.Response(status=told["statusCode"], headers=told["headers"], body=content)


async def test_the_runtime_of_aws_lambda(server: Server, tmp_path: Path) -> None:
    runner = web.AppRunner(RuntimeApi().app(), shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place = "{}:{}".format(*runner.addresses[0][:2])
    log = tmp_path / "lambda.log"
    with process(
        ["awslambdaric", f"{MODULE}.handler"],
        log,
        APP_ID="in-lambda",
        INNGEST_DEV=server.url,
        AWS_LAMBDA_RUNTIME_API=place,
        AWS_LAMBDA_FUNCTION_NAME="f",
        AWS_LAMBDA_FUNCTION_VERSION="1",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE="128",
        LAMBDA_TASK_ROOT=str(ROOT),
    ) as started:
        await registered(f"http://{place}/api/inngest", started, log)
        assert await result(server) == 42
    await runner.cleanup()
