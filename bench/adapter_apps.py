"""One application of each framework with a bare route and an endpoint, for `bench.adapters`.

    python -m bench.adapter_apps FRAMEWORK async|sync ours|theirs PORT

`/hello` takes a body and gives a small answer, as a call does; nothing else is the framework's.
"""

# ruff: noqa: PLC0415 - each application imports its own framework, and no other
# ruff: noqa: N802 - a name http.server looks for

import asyncio
import importlib
import json
import sys
import types
from collections.abc import Callable
from typing import Any, ClassVar

HELLO = b'"hello"'
JSON = "application/json"


class App:
    """The SDK of one side, and a function of one colour."""

    def __init__(self, colour: str, side: str) -> None:
        self._package = "stepwell" if side == "ours" else "inngest"
        sdk: Any = importlib.import_module(self._package)
        self.client = sdk.Inngest(app_id="bench", is_production=False)
        decorate = self.client.create_function(
            fn_id="f", trigger=sdk.TriggerEvent(event="bench/event")
        )
        if colour == "async":

            @decorate
            async def function(ctx: Any) -> int:
                return 1

        else:

            @decorate
            def function(ctx: Any) -> int:
                return 1

        self.functions = [function]

    def adapter(self, name: str) -> Any:
        """The adapter of a framework."""
        return importlib.import_module(f"{self._package}.{name}")


def _uvicorn(app: Any, port: int) -> None:
    import uvicorn

    uvicorn.run(app, port=port, log_level="error", lifespan="off")


def _threads(app: Any, port: int) -> None:
    """The standard library's server, with a thread for each connection, which is kept. Werkzeug's
    own waits after each answer for what a client might still say, in a way that costs more than a
    whole call."""
    from http.server import ThreadingHTTPServer
    from wsgiref.simple_server import ServerHandler, WSGIRequestHandler

    def whole(environ: Any, start_response: Any) -> list[bytes]:
        """In one piece, whose length the server tells."""
        parts = app(environ, start_response)
        body = b"".join(parts)
        if hasattr(parts, "close"):
            parts.close()
        return [body]

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle(self) -> None:
            self.close_connection = False
            while not self.close_connection:
                self.raw_requestline = self.rfile.readline()
                if not self.raw_requestline or not self.parse_request():
                    return
                given: Any = self.rfile
                handler = ServerHandler(
                    given, self.wfile, self.get_stderr(), self.get_environ(), multithread=True
                )
                handler.http_version = "1.1"
                handler.request_handler = self  # type: ignore[attr-defined]
                handler.run(whole)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        base_environ: ClassVar[dict[str, str]] = {
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(port),
            "SCRIPT_NAME": "",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REMOTE_HOST": "",
            "CONTENT_LENGTH": "",
        }

    Server(("127.0.0.1", port), Handler).serve_forever()


def fast_api(app: App, port: int) -> None:
    """FastAPI on uvicorn."""
    import fastapi

    made = fastapi.FastAPI()

    @made.post("/hello")
    async def hello(request: fastapi.Request) -> fastapi.Response:
        await request.body()
        return fastapi.Response(HELLO, media_type=JSON)

    app.adapter("fast_api").serve(made, app.client, app.functions)
    _uvicorn(made, port)


def starlette(app: App, port: int) -> None:
    """Starlette on uvicorn."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def hello(request: Request) -> Response:
        await request.body()
        return Response(HELLO, media_type=JSON)

    made = Starlette(routes=[Route("/hello", hello, methods=["POST"])])
    app.adapter("starlette").serve(made, app.client, app.functions)
    _uvicorn(made, port)


def litestar(app: App, port: int) -> None:
    """Litestar on uvicorn."""
    from litestar import Litestar, Request, Response, post

    async def hello(request: Request) -> Response:
        await request.body()
        return Response(HELLO, media_type=JSON)

    hello.__annotations__.update({"request": Request, "return": Response})
    made = Litestar([post("/hello")(hello)])
    app.adapter("litestar").serve(made, app.client, app.functions)
    _uvicorn(made, port)


def quart(app: App, port: int) -> None:
    """Quart on uvicorn."""
    import quart as framework

    made = framework.Quart("bench")

    @made.post("/hello")
    async def hello() -> framework.Response:
        await framework.request.get_data()
        return framework.Response(HELLO, content_type=JSON)

    app.adapter("quart").serve(made, app.client, app.functions)
    _uvicorn(made, port)


def blacksheep(app: App, port: int) -> None:
    """BlackSheep on uvicorn."""
    import blacksheep as framework

    made = framework.Application()

    async def hello(request: framework.Request) -> framework.Response:
        await request.read()
        return framework.Response(200, None, framework.Content(JSON.encode(), HELLO))

    hello.__annotations__.update({"request": framework.Request})
    made.router.add("POST", "/hello", hello)
    app.adapter("blacksheep").serve(made, app.client, app.functions)
    import uvicorn

    uvicorn.run(made, port=port, log_level="error", lifespan="on")


def falcon_asgi(app: App, port: int) -> None:
    """Falcon on uvicorn."""
    import falcon.asgi

    class Hello:
        async def on_post(self, req: Any, resp: Any) -> None:
            await req.stream.read()
            resp.data = HELLO

    made = falcon.asgi.App()
    made.add_route("/hello", Hello())
    app.adapter("falcon").serve(made, app.client, app.functions)
    _uvicorn(made, port)


def falcon_wsgi(app: App, port: int) -> None:
    """Falcon on the standard library's threads."""
    import falcon

    class Hello:
        def on_post(self, req: Any, resp: Any) -> None:
            req.bounded_stream.read()
            resp.data = HELLO

    made = falcon.App()
    made.add_route("/hello", Hello())
    app.adapter("falcon").serve(made, app.client, app.functions)
    _threads(made, port)


def flask(app: App, port: int) -> None:
    """Flask on the standard library's threads."""
    import flask as framework

    made = framework.Flask("bench")

    @made.post("/hello")
    def hello() -> framework.Response:
        framework.request.get_data()
        return framework.Response(HELLO, content_type=JSON)

    app.adapter("flask").serve(made, app.client, app.functions)
    _threads(made, port)


def bottle(app: App, port: int) -> None:
    """Bottle on the standard library's threads."""
    import bottle as framework

    made = framework.Bottle()

    @made.post("/hello")
    def hello() -> Any:
        framework.request.body.read()
        return framework.HTTPResponse(HELLO, content_type=JSON)

    app.adapter("bottle").serve(made, app.client, app.functions)
    _threads(made, port)


def pyramid(app: App, port: int) -> None:
    """Pyramid on the standard library's threads."""
    from pyramid.config import Configurator
    from pyramid.response import Response

    def hello(request: Any) -> Any:
        assert request.body
        return Response(HELLO, content_type=JSON)

    with Configurator() as config:
        config.add_route("hello", "/hello")
        config.add_view(hello, route_name="hello")
        app.adapter("pyramid").serve(config, app.client, app.functions)
        _threads(config.make_wsgi_app(), port)


def _django(app: App) -> None:
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    def hello(request: HttpRequest) -> HttpResponse:
        assert request.body
        return HttpResponse(HELLO, content_type=JSON)

    async def hello_async(request: HttpRequest) -> HttpResponse:
        assert request.body
        return HttpResponse(HELLO, content_type=JSON)

    module: Any = types.ModuleType("bench_urls")
    settings.configure(ROOT_URLCONF=module, ALLOWED_HOSTS=["*"], SECRET_KEY="bench")
    import django

    django.setup()
    module.urlpatterns = [
        path("hello", csrf_exempt(hello)),
        path("hello-async", csrf_exempt(hello_async)),
        app.adapter("django").serve(app.client, app.functions),
    ]


def django_wsgi(app: App, port: int) -> None:
    """Django on the standard library's threads."""
    from django.core.handlers.wsgi import WSGIHandler

    _django(app)
    _threads(WSGIHandler(), port)


def django_asgi(app: App, port: int) -> None:
    """Django on uvicorn."""
    from django.core.handlers.asgi import ASGIHandler

    _django(app)
    _uvicorn(ASGIHandler(), port)


def tornado(app: App, port: int) -> None:
    """Tornado on its own server."""
    import tornado.web

    class Hello(tornado.web.RequestHandler):
        async def post(self) -> None:
            self.set_header("content-type", JSON)
            await self.finish(HELLO)

    async def main() -> None:
        made = tornado.web.Application([("/hello", Hello)], log_function=lambda handler: None)
        app.adapter("tornado").serve(made, app.client, app.functions)
        made.listen(port, "127.0.0.1")
        await asyncio.Event().wait()

    asyncio.run(main())


def aiohttp(app: App, port: int) -> None:
    """aiohttp on its own server."""
    from aiohttp import web

    async def hello(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=HELLO, content_type=JSON)

    made = web.Application()
    made.router.add_post("/hello", hello)
    app.adapter("aiohttp").serve(made, app.client, app.functions)
    web.run_app(made, host="127.0.0.1", port=port, access_log=None, print=None)


def sanic(app: App, port: int) -> None:
    """Sanic on its own server."""
    import sanic as framework

    made: Any = framework.Sanic("bench", configure_logging=False)

    @made.post("/hello")
    async def hello(request: Any) -> Any:
        assert request.body
        return framework.raw(HELLO, content_type=JSON)

    app.adapter("sanic").serve(made, app.client, app.functions)
    made.run(port=port, single_process=True, access_log=False, motd=False)


def robyn(app: App, port: int) -> None:
    """Robyn on its own server."""
    from robyn import Headers, Request, Response, Robyn

    made = Robyn(__file__)

    @made.post("/hello")
    async def hello(request: Request) -> Response:
        assert request.body
        return Response(200, Headers({"content-type": JSON}), HELLO)

    app.adapter("robyn").serve(made, app.client, app.functions)
    made.start("127.0.0.1", port, _check_port=False)


def http_server(app: App, port: int) -> None:
    """The standard library on its own server."""
    from http.server import ThreadingHTTPServer

    class Handler(app.adapter("http_server").serve(app.client, app.functions)):  # type: ignore[misc]
        def do_POST(self) -> None:
            if self.path != "/hello":
                return self.answer()
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(HELLO)))
            self.end_headers()
            return self.wfile.write(HELLO)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def digital_ocean(app: App, port: int) -> None:
    """DigitalOcean's functions, called by the standard library's threads."""
    mains = {
        "/hello": lambda event, context: {
            "statusCode": 200,
            "headers": {"content-type": JSON},
            "body": HELLO.decode(),
        },
        "/api/inngest": app.adapter("digital_ocean").serve(app.client, app.functions),
    }
    context = types.SimpleNamespace(api_host="https://faas.test", function_name="/fn/bench/f")

    def platform(environ: Any, start_response: Any) -> list[bytes]:
        http = {
            "method": environ["REQUEST_METHOD"],
            "path": "",
            "queryString": environ["QUERY_STRING"],
            "headers": {"content-type": environ["CONTENT_TYPE"], "host": "ccontroller"},
            "body": environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode(),
        }
        told = mains[environ["PATH_INFO"]]({"http": http}, context)
        start_response(f"{told['statusCode']} ", list(told["headers"].items()))
        body = told["body"]  # which the platform makes JSON of, if it is no text
        return [(body if isinstance(body, str) else json.dumps(body)).encode()]

    _threads(platform, port)


APPS: dict[str, Callable[[App, int], None]] = {
    app.__name__: app
    for app in (
        fast_api,
        starlette,
        litestar,
        quart,
        blacksheep,
        aiohttp,
        tornado,
        sanic,
        robyn,
        falcon_asgi,
        falcon_wsgi,
        django_asgi,
        django_wsgi,
        flask,
        bottle,
        pyramid,
        http_server,
        digital_ocean,
    )
}


if __name__ == "__main__":
    _, name, colour, side, port = sys.argv
    APPS[name](App(colour, side), int(port))
