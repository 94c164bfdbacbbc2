"""Plain ASGI keeps the contract of adapters, on uvicorn."""

from contextlib import AbstractContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount

import stepwell.asgi
from stepwell.testing.adapter_contract import AdapterContract
from tests.contract.adapters.servers import uvicorn_serves
from tests.contract.adapters.shown import Shown


class TestAsgi(AdapterContract):
    shown = Shown("Plain ASGI", "stepwell.asgi", "uvicorn", ("uvicorn",))
    framework = "asgi"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app: Any = stepwell.asgi.serve(client, functions, **options)
        return uvicorn_serves(Starlette(routes=[Mount(mount, app)]) if mount else app)


def test_three_names_at_once() -> None:
    client = stepwell.Inngest(app_id="a", is_dev=True)
    GET, POST, PUT = endpoint = stepwell.asgi.serve(client, [])
    assert GET is POST is PUT is endpoint
