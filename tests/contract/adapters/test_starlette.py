"""Starlette keeps the contract of adapters, on uvicorn."""

from contextlib import AbstractContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount, Router

import stepwell
import stepwell.starlette
from stepwell.testing.contract.adapter import AdapterContract
from stepwell.testing.contract.adapter_peer import send
from tests.contract.adapters.servers import uvicorn_serves
from tests.contract.adapters.shown import Shown


def test_a_router_may_be_mounted() -> None:
    router = Router()
    stepwell.starlette.serve(router, stepwell.Inngest(app_id="a", is_dev=True), [])
    with uvicorn_serves(Starlette(routes=[Mount("/inner", router)])) as origin:
        assert send("GET", f"{origin}/inner/api/inngest").json["mode"] == "dev"


class TestStarlette(AdapterContract):
    shown = Shown("Starlette", "stepwell.starlette", "uvicorn", ("starlette", "uvicorn"))
    framework = "starlette"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = Starlette()
        stepwell.starlette.serve(app, client, functions, **options)
        return uvicorn_serves(Starlette(routes=[Mount(mount, app)]) if mount else app)
