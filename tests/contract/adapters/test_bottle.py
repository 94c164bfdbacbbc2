"""Bottle keeps the contract of adapters, on waitress."""

from contextlib import AbstractContextManager
from typing import Any

import bottle

import stepwell.bottle
from stepwell.testing.adapter_contract import AdapterContract
from tests.contract.adapters.servers import waitress_serves
from tests.contract.adapters.shown import Shown


class TestBottle(AdapterContract):
    shown = Shown("Bottle", "stepwell.bottle", "waitress", ("bottle", "waitress"))
    framework = "bottle"
    notices_disconnects = False

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = bottle.Bottle()
        stepwell.bottle.serve(app, client, functions, **options)
        if not mount:
            return waitress_serves(app)
        outer = bottle.Bottle()
        outer.mount(f"{mount}/", app)
        return waitress_serves(outer)
