"""Tornado keeps the contract of adapters, on its own server."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tornado.httpserver
import tornado.web

import stepwell.tornado
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import listening, on_a_loop, origin
from tests.contract.adapters.shown import Shown


class TestTornado(AdapterContract):
    shown = Shown(
        "Tornado", "stepwell.tornado", "its own", ("tornado",), "100 MB, by `max_buffer_size`"
    )
    framework = "tornado"

    @contextmanager
    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> Iterator[str]:
        app = tornado.web.Application(xsrf_cookies=True)
        if mount:
            options["serve_path"] = mount + SERVE_PATH_DEFAULT
        stepwell.tornado.serve(app, client, functions, **options)
        with listening() as sock:
            sock.setblocking(False)

            async def serve(stopping: asyncio.Event) -> None:
                server = tornado.httpserver.HTTPServer(app)
                server.add_sockets([sock])
                await stopping.wait()
                server.stop()
                await server.close_all_connections()

            with on_a_loop(serve):
                yield origin(sock)
