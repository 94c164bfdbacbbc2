"""Starlette keeps the contract of adapters, on uvicorn."""

from contextlib import AbstractContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount

import stepwell.starlette
from stepwell.testing.adapter_contract import AdapterContract
from tests.contract.adapters.servers import uvicorn_serves
from tests.contract.adapters.shown import Shown


class TestStarlette(AdapterContract):
    shown = Shown("Starlette", "stepwell.starlette", "uvicorn", ("starlette", "uvicorn"))
    framework = "starlette"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = Starlette()
        stepwell.starlette.serve(app, client, functions, **options)
        return uvicorn_serves(Starlette(routes=[Mount(mount, app)]) if mount else app)
