"""The standard library's server keeps the contract of adapters."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

import stepwell.http_server
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import in_a_thread
from tests.contract.adapters.shown import Shown


class TestHttpServer(AdapterContract):
    shown = Shown("`http.server`", "stepwell.http_server", "its own", ())
    framework = "http.server"

    @contextmanager
    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> Iterator[str]:
        class Quiet(stepwell.http_server.serve(client, functions, **options)):  # type: ignore[misc]
            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        with in_a_thread(server):
            yield f"http://127.0.0.1:{server.server_port}"
