"""Robyn keeps the contract of adapters, on its own server."""

from contextlib import AbstractContextManager
from typing import Any

from robyn import Robyn, SubRouter

import stepwell.robyn
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import robyn_serves
from tests.contract.adapters.shown import Shown


class TestRobyn(AdapterContract):
    shown = Shown(
        "Robyn", "stepwell.robyn", "its own", ("robyn",), "36 MiB, by `ROBYN_MAX_PAYLOAD_SIZE`"
    )
    framework = "robyn"
    notices_disconnects = False
    in_a_child = True

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = Robyn(__file__)
        if mount:
            router = SubRouter(prefix=mount)
            stepwell.robyn.serve(router, client, functions, **options)
            app.include_router(router)
        else:
            stepwell.robyn.serve(app, client, functions, **options)
        return robyn_serves(app)
