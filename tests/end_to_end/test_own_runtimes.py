"""Functions where they are deployed: under each kind of gunicorn's workers, and in the runtime that
AWS Lambda runs, before a pretended runtime API."""

import asyncio
import base64
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from stepwell.server.serving import Server
from tests.contract.adapters.platforms import Asked, as_http_api
from tests.end_to_end.runtimes import dev_server, process, registered, result
from tests.repo.source import ROOT

MODULE = "tests.end_to_end.runtime_app"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with dev_server() as running:
        yield running


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
async def test_gunicorn(server: Server, kind: str, tmp_path: Path) -> None:
    log = tmp_path / "gunicorn.log"
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    command = ["gunicorn", "-k", kind, "-b", f"127.0.0.1:{port}", f"{MODULE}:app"]
    with process(command, log, APP_ID=f"under-{kind}", INNGEST_DEV=server.url) as started:
        await registered(f"http://127.0.0.1:{port}/api/inngest", started, log)
        assert await result(server, "sum/wanted") == 42


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
        assert await result(server, "sum/wanted") == 42
    await runner.cleanup()


async def test_the_functions_framework_of_google_cloud(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "google.log"
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    place = ["--source", str(ROOT / "examples/google_cloud/main.py"), "--target", "main"]
    command = ["functions_framework", *place, "--host", "127.0.0.1", "--port", str(port)]
    with process(command, log, INNGEST_DEV=server.url) as started:
        await registered(f"http://127.0.0.1:{port}/api/inngest", started, log)
        assert await result(server, "visitor/arrived", {"name": "Ada"}) == "Welcome, Ada"
