"""Quart keeps the contract of adapters, on hypercorn."""

from contextlib import AbstractContextManager
from typing import Any

import quart

import stepwell.quart
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import hypercorn_serves
from tests.contract.adapters.shown import Shown


class TestQuart(AdapterContract):
    shown = Shown(
        "Quart",
        "stepwell.quart",
        "hypercorn",
        ("quart", "hypercorn"),
        "any; its 16 MB do not apply",
    )
    framework = "quart"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = quart.Quart("contract")
        app.config["MAX_CONTENT_LENGTH"] = 1000
        if mount:
            blueprint = quart.Blueprint("inner", "contract", url_prefix=mount)
            stepwell.quart.serve(blueprint, client, functions, **options)
            app.register_blueprint(blueprint)
        else:
            stepwell.quart.serve(app, client, functions, **options)
        return hypercorn_serves(app)
