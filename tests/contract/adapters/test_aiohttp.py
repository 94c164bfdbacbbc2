"""aiohttp keeps the contract of adapters, on its own server."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

import stepwell.aiohttp
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import listening, on_a_loop, origin
from tests.contract.adapters.shown import Shown


class TestAiohttp(AdapterContract):
    shown = Shown(
        "aiohttp", "stepwell.aiohttp", "its own", ("aiohttp",), "any; its 1 MiB does not apply"
    )
    framework = "aiohttp"

    @contextmanager
    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> Iterator[str]:
        app = inner = web.Application(client_max_size=1000)
        if mount:
            inner = web.Application()
        stepwell.aiohttp.serve(inner, client, functions, **options)
        if mount:
            app.add_subapp(mount, inner)
        with listening() as sock:

            async def serve(stopping: asyncio.Event) -> None:
                runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
                await runner.setup()
                await web.SockSite(runner, sock).start()
                await stopping.wait()
                await runner.cleanup()

            with on_a_loop(serve):
                yield origin(sock)
