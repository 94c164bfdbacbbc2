"""Litestar keeps the contract of adapters, on granian."""

from contextlib import AbstractContextManager
from typing import Any

from litestar import Litestar, Router

import stepwell.litestar
from stepwell.testing.adapter_contract import AdapterContract
from tests.contract.adapters.servers import granian_serves
from tests.contract.adapters.shown import Shown


class TestLitestar(AdapterContract):
    shown = Shown(
        "Litestar",
        "stepwell.litestar",
        "granian",
        ("litestar", "granian"),
        "any; its 10 MB do not apply",
    )
    framework = "litestar"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        if mount:
            router = Router(mount, route_handlers=[])
            stepwell.litestar.serve(router, client, functions, **options)
            return granian_serves(Litestar([router]))
        app = Litestar()
        stepwell.litestar.serve(app, client, functions, **options)
        return granian_serves(app)
