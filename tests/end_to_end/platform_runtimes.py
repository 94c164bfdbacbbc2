"""The examples of Vercel and Azure in the runtimes of these platforms.

Both need a newer Python than the oldest of ours, so that `scripts/matrix` runs this file, and the
whole suite does not gather it.
"""

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from stepwell.server.serving import Server
from tests.end_to_end.runtimes import START_S, dev_server, process, registered, result
from tests.repo.source import ROOT

EVENT = "visitor/arrived"
ADA = {"name": "Ada"}
VERCEL = ROOT / "examples/vercel/api/inngest.py"
AZURE = ROOT / "examples/azure"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with dev_server() as running:
        yield running


@pytest.mark.parametrize("variable", ["app", "handler"])
async def test_the_runtime_of_vercel(server: Server, variable: str, tmp_path: Path) -> None:
    """Under either name: the first is served as ASGI, the second as a handler of requests."""
    pytest.importorskip("vercel_runtime", reason="vercel-runtime needs Python 3.12")
    code = tmp_path / "inngest.py"
    code.write_text(VERCEL.read_text().replace("\napp = ", f"\n{variable} = "))
    started_at: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def platform(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readuntil(b"\0"):
            told = json.loads(line[:-1])
            if told["type"] == "server-started":
                started_at.set_result(told["payload"]["httpPort"])

    address = str(tmp_path / "ipc.sock")
    log = tmp_path / "vercel.log"
    listening = await asyncio.start_unix_server(platform, address)
    names = {
        "__VC_HANDLER_ENTRYPOINT": "api/inngest.py",
        "__VC_HANDLER_ENTRYPOINT_ABS": str(code),
        "__VC_HANDLER_MODULE_NAME": "api.inngest",
        "__VC_HANDLER_VARIABLE_NAME": variable,
        "VERCEL_IPC_PATH": address,
    }
    command = ["vercel_runtime.vc_init"]
    with process(command, log, INNGEST_DEV=server.url, **names) as started:
        async with asyncio.timeout(START_S):
            port = await started_at
        await registered(f"http://127.0.0.1:{port}/api/inngest", started, log)
        assert await result(server, EVENT, ADA) == "Welcome, Ada"
    listening.close()


class Messages:
    """The messages between Azure's host and its worker: each a bag of what it was made with."""

    BindingInfo = type(
        "BindingInfo", (SimpleNamespace,), {"undefined": 0, "in": 0, "out": 1, "inout": 2}
    )
    StatusResult = type("StatusResult", (SimpleNamespace,), {"Failure": 0, "Success": 1})

    def __getattr__(self, name: str) -> type[SimpleNamespace]:
        return type(name, (SimpleNamespace,), {})


class OneOf(SimpleNamespace):
    """A message that has one of several fields, and knows which; what else it has stands behind."""

    def WhichOneof(self, _group: str) -> str:
        return next(iter(vars(self)))


class Azure:
    """What the platform is to the worker's library: it has an app read, and calls its function."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._function: Any = None
        self._ids = itertools.count()

    async def start(self, folder: Path) -> None:
        told = SimpleNamespace(capabilities={}, function_app_directory=str(folder))
        made = await self._runtime.worker_init_request(self._asked("worker_init", told))
        assert made.result.status == Messages.StatusResult.Success, made.result.exception
        known = await self._runtime.functions_metadata_request(None)
        (self._function,) = known.function_metadata_results

    async def invoke(self, request: web.Request) -> web.Response:
        """A request at the function's address."""
        body = await request.read()
        http = SimpleNamespace(
            method=request.method,
            url=str(request.url),
            headers=dict(request.headers),
            params={},
            query=dict(request.query),
            body=OneOf(bytes=body),
        )
        nothing = SimpleNamespace(
            trace_parent="",
            trace_state="",
            attributes={},
            retry_count=0,
            max_retry_count=0,
            exception=None,
        )
        told = SimpleNamespace(
            invocation_id=str(next(self._ids)),
            function_id=self._function.function_id,
            input_data=[OneOf(data=OneOf(http=http), name="req")],
            trigger_metadata={},
            trace_context=nothing,
            retry_context=nothing,
        )
        answer = await self._runtime.invocation_request(self._asked("invocation", told))
        assert answer.result.status == Messages.StatusResult.Success, answer.result.exception
        value = answer.return_value.http
        content: bytes = value.body.bytes if hasattr(value.body, "bytes") else value.body.string
        return web.Response(status=int(value.status_code), headers=value.headers, body=content)

    @staticmethod
    def _asked(name: str, told: object) -> object:
        properties: Mapping[str, object] = {"protos": Messages(), "host": "127.0.0.1"}
        request = SimpleNamespace(**{f"{name}_request": told})
        return SimpleNamespace(request=request, properties=properties)


async def test_the_runtime_of_azure(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = pytest.importorskip(
        "azure_functions_runtime", reason="azure-functions-runtime needs Python 3.13"
    )
    monkeypatch.setenv("INNGEST_DEV", server.url)
    monkeypatch.syspath_prepend(str(AZURE))
    monkeypatch.delitem(sys.modules, "function_app", raising=False)
    platform = Azure(runtime)
    await platform.start(AZURE)
    app = web.Application()
    app.router.add_route("*", "/api/inngest", platform.invoke)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = "http://{}:{}/api/inngest".format(*runner.addresses[0][:2])
    async with aiohttp.ClientSession() as http, http.put(url) as answer:
        assert answer.status == 200, await answer.text()
    assert await result(server, EVENT, ADA) == "Welcome, Ada"
    await runner.cleanup()
