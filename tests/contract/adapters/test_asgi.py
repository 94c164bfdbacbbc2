"""Plain ASGI keeps the contract of adapters, on every server of applications."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.routing import Mount

import stepwell
import stepwell.asgi
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import (
    daphne_serves,
    granian_serves,
    hypercorn_on_trio_serves,
    hypercorn_serves,
    uvicorn_serves,
)
from tests.contract.adapters.shown import Shown


class AsgiContract(AdapterContract):
    framework = "asgi"
    served_by: ClassVar[Callable[[Any], AbstractContextManager[str]]]

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app: Any = stepwell.asgi.serve(client, functions, **options)
        serves = type(self).served_by
        return serves(Starlette(routes=[Mount(mount, app)]) if mount else app)


class TestAsgi(AsgiContract):
    shown = Shown("Plain ASGI", "stepwell.asgi", "uvicorn", ("uvicorn",))
    served_by = uvicorn_serves


class TestAsgiOnHypercorn(AsgiContract):
    shown = Shown("Plain ASGI", "stepwell.asgi", "hypercorn", ("hypercorn",))
    served_by = hypercorn_serves


class TestAsgiOnTrio(AsgiContract):
    """Where asyncio does not run."""

    shown = Shown("Plain ASGI", "stepwell.asgi", "hypercorn on trio", ("hypercorn", "trio"))
    served_by = hypercorn_on_trio_serves


class TestAsgiOnGranian(AsgiContract):
    shown = Shown("Plain ASGI", "stepwell.asgi", "granian", ("granian",))
    served_by = granian_serves


class TestAsgiOnDaphne(AsgiContract):
    shown = Shown("Plain ASGI", "stepwell.asgi", "daphne", ("daphne",))
    served_by = daphne_serves
    in_a_child = True


def test_three_names_at_once() -> None:
    client = stepwell.Inngest(app_id="a", is_dev=True)
    GET, POST, PUT = endpoint = stepwell.asgi.serve(client, [])
    assert GET is POST is PUT is endpoint
