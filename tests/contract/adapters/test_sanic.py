"""Sanic keeps the contract of adapters, on its own server."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sanic

import stepwell.sanic
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import sanic_serves
from tests.contract.adapters.shown import Shown

numbers = itertools.count()


class TestSanic(AdapterContract):
    shown = Shown("Sanic", "stepwell.sanic", "its own", ("sanic",), "100 MB, by `REQUEST_MAX_SIZE`")
    framework = "sanic"

    @contextmanager
    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> Iterator[str]:
        # Names of applications are unique in a process.
        app: Any = sanic.Sanic(f"contract-{next(numbers)}", configure_logging=False)
        app.config.TOUCHUP = False  # a start rewrites classes that the next start could not read
        if mount:
            blueprint = sanic.Blueprint("inner", url_prefix=mount)
            stepwell.sanic.serve(blueprint, client, functions, **options)
            app.blueprint(blueprint)
        else:
            stepwell.sanic.serve(app, client, functions, **options)
        with sanic_serves(app) as url:
            yield url
