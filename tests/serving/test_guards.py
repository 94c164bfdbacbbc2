"""Guards of a whole application and the endpoint: what `docs/frameworks.md` says of each framework.

A guard that lets nobody pass locks the server out, and the log says so once. One that asks the
client lets the server pass, and nobody else.
"""

import asyncio
import io
import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import tests.django_project  # isort: skip - sets Django up
import aiohttp.web
import blacksheep
import bottle
import django.http
import falcon
import falcon.asgi
import fastapi
import flask
import httpx
import litestar
import pyramid.config
import pyramid.response
import pytest
import quart
import robyn
import sanic
import starlette.applications
import starlette.authentication
import starlette.middleware.authentication
import starlette.responses
import starlette.routing
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

import stepwell
import stepwell.aiohttp
import stepwell.blacksheep
import stepwell.bottle
import stepwell.django
import stepwell.falcon
import stepwell.fast_api
import stepwell.flask
import stepwell.litestar
import stepwell.pyramid
import stepwell.quart
import stepwell.robyn
import stepwell.sanic
import stepwell.starlette
from tests.contract.adapters.servers import (
    listening,
    on_a_loop,
    origin,
    robyn_serves,
    sanic_serves,
    uvicorn_serves,
    werkzeug_serves,
)

assert tests.django_project
Passes = Callable[[str], bool]
numbers = itertools.count()


def flask_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    app = flask.Flask("shop")

    @app.before_request
    def guard() -> Any:
        return None if passes(flask.request.path) else ("log in first", 401)

    serve(stepwell.flask, app)
    return werkzeug_serves(app)


def quart_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    app = quart.Quart("shop")

    @app.before_request
    async def guard() -> Any:
        return None if passes(quart.request.path) else ("log in first", 401)

    serve(stepwell.quart, app)
    return uvicorn_serves(app)


def fast_api_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    app = fastapi.FastAPI()

    @app.middleware("http")
    async def guard(request: fastapi.Request, call_next: Any) -> fastapi.Response:
        if passes(request.url.path):
            response: fastapi.Response = await call_next(request)
            return response
        return fastapi.Response("log in first", 401)

    serve(stepwell.fast_api, app)
    return uvicorn_serves(app)


def starlette_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    class Login(starlette.authentication.AuthenticationBackend):
        async def authenticate(self, conn: Any) -> None:
            if not passes(conn.url.path):
                raise starlette.authentication.AuthenticationError("log in first")

    def refuse(conn: Any, error: Exception) -> starlette.responses.Response:
        return starlette.responses.PlainTextResponse(str(error), 401)

    app = starlette.applications.Starlette()
    kind = starlette.middleware.authentication.AuthenticationMiddleware
    app.add_middleware(kind, backend=Login(), on_error=refuse)
    serve(stepwell.starlette, app)
    return uvicorn_serves(app)


def falcon_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    class Guard:
        def process_request(self, req: Any, resp: Any) -> None:
            if not passes(req.path):
                raise falcon.HTTPUnauthorized

    app: Any = falcon.App(middleware=[Guard()])
    serve(stepwell.falcon, app)
    return werkzeug_serves(app)


def falcon_asgi_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    class Guard:
        async def process_request(self, req: Any, resp: Any) -> None:
            if not passes(req.path):
                raise falcon.HTTPUnauthorized

    app: Any = falcon.asgi.App(middleware=[Guard()])
    serve(stepwell.falcon, app)
    return uvicorn_serves(app)


def bottle_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    app = bottle.Bottle()

    @app.hook("before_request")
    def guard() -> None:
        if not passes(bottle.request.path):
            raise bottle.HTTPResponse("log in first", 401)

    serve(stepwell.bottle, app)
    return werkzeug_serves(app)


def aiohttp_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    @aiohttp.web.middleware
    async def guard(request: aiohttp.web.Request, handler: Any) -> Any:
        if passes(request.path):
            return await handler(request)
        raise aiohttp.web.HTTPUnauthorized

    app = aiohttp.web.Application(middlewares=[guard])
    serve(stepwell.aiohttp, app)
    return aiohttp_serves(app)


def sanic_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    app: Any = sanic.Sanic(f"guarded-{next(numbers)}", configure_logging=False)
    app.config.TOUCHUP = False

    @app.on_request
    async def guard(request: sanic.Request) -> Any:
        return None if passes(request.path) else sanic.text("log in first", 401)

    serve(stepwell.sanic, app)
    return sanic_serves(app)


def pyramid_guard(handler: Any, registry: Any) -> Any:
    def guard(request: Any) -> Any:
        if registry["passes"](request.path):
            return handler(request)
        return pyramid.response.Response("log in first", 401)

    return guard


def pyramid_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    with pyramid.config.Configurator() as config:
        config.registry["passes"] = passes
        config.add_tween(f"{__name__}.pyramid_guard")
        serve(stepwell.pyramid, config)
        return werkzeug_serves(config.make_wsgi_app())


def litestar_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    def guarded(app: Any) -> Any:
        async def guard(scope: Any, receive: Any, send: Any) -> None:
            refuse = starlette.responses.PlainTextResponse("log in first", 401)
            await (app if passes(scope["path"]) else refuse)(scope, receive, send)

        return guard

    @litestar.post(["/", "/{rest:path}"])
    async def other() -> str:
        return "never asked"

    app = litestar.Litestar([other], middleware=[guarded], logging_config=None)
    serve(stepwell.litestar, app)
    return uvicorn_serves(app)


def blacksheep_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    app = blacksheep.Application(router=blacksheep.Router())

    async def guard(request: Any, handler: Any) -> Any:
        if passes(request.url.path.decode()):
            return await handler(request)
        return blacksheep.Response(401)

    async def other() -> str:
        return "never asked"

    app.middlewares.append(guard)
    serve(stepwell.blacksheep, app)
    app.router.add_post("/*", other)
    return uvicorn_serves(app)


def robyn_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Any:
    app = robyn.Robyn(__file__)

    @app.before_request()
    async def guard(request: robyn.Request) -> Any:
        if passes(request.url.path):
            return request
        return robyn.Response(401, robyn.Headers({}), "log in first")

    @app.post("/*rest")
    async def other(request: robyn.Request) -> str:
        return "never asked"

    serve(stepwell.robyn, app)
    return robyn_serves(app)


class DjangoUrls:
    """Django has no application to give routes to: they are a list."""

    @staticmethod
    def serve(urls: list[Any], client: Any, functions: Any) -> None:
        urls.append(stepwell.django.serve(client, functions))


def django_guard(get_response: Any) -> Any:
    def guard(request: Any) -> Any:
        if DJANGO_PASSES[-1](request.path):
            return get_response(request)
        return django.http.HttpResponse("log in first", status=401)

    return guard


DJANGO_PASSES: list[Passes] = []
DJANGO_MIDDLEWARE = ["stepwell.django.RefusalsMiddleware", f"{__name__}.django_guard"]


@contextmanager
def django_app(passes: Passes, serve: Callable[[Any, Any], None]) -> Iterator[str]:
    module: Any = ModuleType("urls")
    module.urlpatterns = []
    serve(DjangoUrls, module.urlpatterns)
    DJANGO_PASSES.append(passes)
    with (
        override_settings(ROOT_URLCONF=module, MIDDLEWARE=DJANGO_MIDDLEWARE),
        werkzeug_serves(WSGIHandler()) as url,
    ):
        yield url


@contextmanager
def aiohttp_serves(app: Any) -> Iterator[str]:
    with listening() as sock:

        async def serve(stopping: asyncio.Event) -> None:
            runner = aiohttp.web.AppRunner(app)
            await runner.setup()
            await aiohttp.web.SockSite(runner, sock).start()
            await stopping.wait()
            await runner.cleanup()

        with on_a_loop(serve):
            yield origin(sock)


APPS: dict[str, Callable[[Passes, Callable[[Any, Any], None]], Any]] = {
    "aiohttp": aiohttp_app,
    "blacksheep": blacksheep_app,
    "bottle": bottle_app,
    "django": django_app,
    "falcon": falcon_app,
    "falcon, asgi": falcon_asgi_app,
    "fast_api": fast_api_app,
    "flask": flask_app,
    "litestar": litestar_app,
    "pyramid": pyramid_app,
    "quart": quart_app,
    "robyn": robyn_app,
    "sanic": sanic_app,
    "starlette": starlette_app,
}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """What the application says, which may be another process."""
    path = tmp_path / "log"
    handler = logging.FileHandler(path)
    logger = logging.getLogger("guarded")
    logger.addHandler(handler)
    yield path
    logger.removeHandler(handler)
    handler.close()


def client_of() -> stepwell.Inngest:
    logger = logging.getLogger("guarded")
    return stepwell.Inngest(app_id="shop", is_production=False, logger=logger)


def serving(client: stepwell.Inngest) -> Callable[[Any, Any], None]:
    @client.create_function(fn_id="fine", trigger=stepwell.TriggerEvent(event="shop/fine"))
    async def fine(ctx: stepwell.Context) -> str:
        return "fine"

    return lambda adapter, app: adapter.serve(app, client, [fine])


def ask(url: str, path: str = "/api/inngest") -> httpx.Response:
    event = {"name": "shop/fine", "data": {}, "id": "i", "ts": 1}
    body = {"ctx": {"run_id": "r"}, "event": event, "events": [event], "steps": {}}
    query = {"fnId": "shop-fine", "stepId": "step"}
    return httpx.post(f"{url}{path}", params=query, json=body)


@pytest.mark.parametrize("name", APPS)
def test_a_guard_that_lets_nobody_pass_locks_the_server_out(
    name: str, caplog: pytest.LogCaptureFixture, log: Path
) -> None:
    client = client_of()
    with APPS[name](lambda path: False, serving(client)) as url:
        assert [ask(url).status_code for _ in range(2)] == [401, 401]
        assert ask(url, "/other").status_code == 401
    (told,) = log.read_text().splitlines()
    assert told.startswith("POST /api/inngest was answered with 401 by the application")


@pytest.mark.parametrize("name", APPS)
def test_a_guard_that_asks_lets_the_server_pass_and_nobody_else(name: str, log: Path) -> None:
    client = client_of()
    with APPS[name](client.is_endpoint, serving(client)) as url:
        for path in ("/api/inngest", "/api/inngest/"):
            answer = ask(url, path)
            assert (answer.status_code, answer.json()) == (200, "fine"), path
        for path in ("/", "/api", "/api/inngest/x", "/x/api/inngest", "/api/inngest2"):
            assert ask(url, path).status_code == 401, path
    assert log.read_text() == ""


def test_who_leaves_while_speaking_was_refused_by_nobody(caplog: pytest.LogCaptureFixture) -> None:
    app = flask.Flask("shop")
    serving(client_of())(stepwell.flask, app)
    half = io.BytesIO(b'{"ctx":')
    sent = {"input_stream": half, "environ_overrides": {"CONTENT_LENGTH": "100"}}
    answer = app.test_client().post("/api/inngest", **sent)  # type: ignore[arg-type]
    assert answer.status_code == 400
    assert [r for r in caplog.records if r.name.startswith("guarded")] == []


def test_an_endpoint_below_a_prefix_is_known_by_its_whole_path_where_that_is_known() -> None:
    client = client_of()
    serve = serving(client)
    blueprint = flask.Blueprint("inner", "inner", url_prefix="/inner")
    serve(stepwell.flask, blueprint)
    flask.Flask("shop").register_blueprint(blueprint)
    router = fastapi.APIRouter(prefix="/router")
    serve(stepwell.fast_api, router)
    for prefix in ("/inner", "/router"):
        assert client.is_endpoint(f"{prefix}/api/inngest")
    assert not client.is_endpoint("/elsewhere/api/inngest")
