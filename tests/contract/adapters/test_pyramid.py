"""Pyramid keeps the contract of adapters, on gunicorn."""

from contextlib import AbstractContextManager
from typing import Any

from pyramid.config import Configurator
from pyramid.security import Denied

import stepwell.pyramid
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import gunicorn_serves
from tests.contract.adapters.shown import Shown


class Nobody:
    """A policy that lets nobody see anything."""

    def identity(self, request: Any) -> None:
        return None

    def permits(self, request: Any, context: Any, permission: str) -> Denied:
        return Denied("nobody")


class TestPyramid(AdapterContract):
    shown = Shown("Pyramid", "stepwell.pyramid", "gunicorn", ("pyramid", "gunicorn"))
    framework = "pyramid"
    in_a_child = True

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        config = Configurator()
        config.set_default_csrf_options(require_csrf=True)
        config.set_security_policy(Nobody())
        config.set_default_permission("see")
        config.include(
            lambda inner: stepwell.pyramid.serve(inner, client, functions, **options),
            route_prefix=mount or None,
        )
        return gunicorn_serves(config.make_wsgi_app())
