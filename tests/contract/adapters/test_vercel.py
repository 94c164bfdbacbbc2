"""Vercel Functions keep the contract of adapters, as `app` and as `handler` of a file.

The platform's runtime looks at a file's names to find out what it holds; so do the functions here.
"""

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import stepwell
import stepwell.vercel
from stepwell.testing.contract.adapter import AdapterContract
from stepwell.testing.contract.adapter_peer import send
from tests.contract.adapters.servers import (
    daphne_serves,
    granian_serves,
    hypercorn_serves,
    in_a_thread,
    uvicorn_serves,
)
from tests.contract.adapters.shown import Shown


def as_app(app: Any) -> Any:
    """What the platform runs of a file with `app`: the object, or what is in its `asgi`."""
    assert inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(app.__call__)
    inner = getattr(app, "asgi", None)
    runs = inner if callable(inner) else app

    async def logged(scope: Any, receive: Any, send: Any) -> None:
        await runs(dict(scope), receive, send)

    return logged


@contextmanager
def as_handler(handler: Any) -> Any:
    """What the platform runs of a file with `handler`: a class of its own, made of it."""
    assert issubclass(handler, BaseHTTPRequestHandler)

    class Front(handler):  # type: ignore[misc]
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    with in_a_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


class TestApp(AdapterContract):
    shown = Shown(
        "Vercel Functions",
        "stepwell.vercel",
        "`app`, on uvicorn",
        ("uvicorn",),
        "4.5 MB, the platform's",
    )
    framework = "vercel"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = as_app(stepwell.vercel.serve(client, functions, **options))
        return uvicorn_serves(Starlette(routes=[Mount(mount, app)]) if mount else app)


class TestHandler(AdapterContract):
    shown = Shown(
        "Vercel Functions",
        "stepwell.vercel",
        "`handler`, on `http.server`",
        (),
        "4.5 MB, the platform's",
    )
    framework = "vercel"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        return as_handler(stepwell.vercel.serve(client, functions, **options))


@pytest.mark.parametrize(
    "server", [uvicorn_serves, hypercorn_serves, granian_serves, daphne_serves]
)
def test_in_development_any_server_runs_the_object_itself(
    server: Callable[[Any], AbstractContextManager[str]],
) -> None:
    app = stepwell.vercel.serve(stepwell.Inngest(app_id="a", is_dev=True), [])
    with server(app) as origin:
        assert send("GET", f"{origin}/api/inngest").json["function_count"] == 0


def test_three_names_at_once() -> None:
    endpoint: Any = stepwell.vercel.serve(stepwell.Inngest(app_id="a", is_dev=True), [])
    GET, POST, PUT = endpoint
    assert GET is POST is PUT is endpoint
