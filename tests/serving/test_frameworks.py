"""What all adapters have in common, and the seed's frameworks in Python: F-1 to F-8, F-20 to F-31.

Rows F-20 and F-29 are shown in tests/interop/test_frameworks.py on real projects, too.
"""

import ast
import asyncio
import importlib
import inspect
import io
import json
import wsgiref.util
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import tests.django_project  # isort: skip - sets Django up
import inngest._internal.server_lib as official
import pytest

import stepwell
import stepwell.asgi
import stepwell.starlette
import stepwell.vercel
import stepwell.wsgi
from stepwell import Context, Inngest, Streaming, TriggerEvent
from stepwell.sdk.serve.framework import Framework
from stepwell.testing.contract.adapter_peer import call_body
from tests.repo.source import ROOT
from tests.serving.adapters import ADAPTERS

assert tests.django_project
LINES_MAX = 130
"""Of an adapter: functions served, and durable endpoints where it has them."""


def client_and_function() -> tuple[Inngest, Any]:
    client = Inngest(app_id="app", is_dev=True)

    @client.create_function(fn_id="f", trigger=TriggerEvent(event="e"))
    async def f(ctx: Context) -> str:
        return "done"

    return client, f


async def asked(
    app: Any, method: str = "POST", headers: Any = (), path: str = "/api/inngest"
) -> tuple[dict[str, Any], list[bytes]]:
    """What an ASGI application sends for a call, and the parts of its body."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"fnId=app-f&stepId=step",
        "headers": list(headers),
        "server": ("h.test", 80),
    }
    sent: list[dict[str, Any]] = []

    bodies = iter([call_body({}, {})])

    async def receive() -> dict[str, Any]:
        for body in bodies:
            return {"type": "http.request", "body": body}
        await asyncio.Event().wait()
        raise AssertionError("the client stays")

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = {**sent[0], "headers": {k.decode(): v.decode() for k, v in sent[0]["headers"]}}
    return start, [message["body"] for message in sent[1:]]


def _code_lines(path: Path) -> int:
    text = path.read_text("utf-8")
    said: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            said.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    numbered = enumerate(text.splitlines(), 1)
    return sum(1 for n, line in numbered if n not in said and line.strip(" )]}"))


@pytest.mark.parametrize("name", ADAPTERS)
def test_f01_adapters_are_thin(name: str) -> None:
    path = ROOT / f"stepwell/{name}.py"
    lines = _code_lines(path if path.exists() else ROOT / f"stepwell/{name}/serving.py")
    assert lines <= LINES_MAX


@pytest.mark.parametrize("name", ADAPTERS)
def test_f05_doors_name_their_framework(name: str) -> None:
    adapter = importlib.import_module(f"stepwell.{name}")
    assert ADAPTERS[name] == adapter.FRAMEWORK == adapter.FRAMEWORK.value
    assert isinstance(adapter.FRAMEWORK, Framework)


def test_f05_frameworks_have_the_official_members() -> None:
    for member in official.Framework:
        assert Framework[member.name] == member.value


@pytest.mark.parametrize("name", ADAPTERS)
def test_f06_serve_takes_the_same_everywhere(name: str) -> None:
    serve = importlib.import_module(f"stepwell.{name}").serve
    parameters = list(inspect.signature(serve).parameters.values())
    first = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert first[-2:] == ["client", "functions"]
    assert len(first) in {2, 3}  # the application, where the framework's routes need one
    rest = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    options = {"enable_unauthed_sync", "public_path", "serve_origin", "serve_path", "trust_proxy"}
    assert options <= rest <= options | {"streaming", "csrf"}
    assert all(p.default is None for p in parameters if p.kind is p.KEYWORD_ONLY)


async def test_f07_the_client_may_come_first_or_by_name() -> None:
    client, f = client_and_function()
    for app in (
        stepwell.asgi.serve(client, [f]),
        stepwell.asgi.serve(client=client, functions=[f]),
    ):
        start, parts = await asked(app)
        assert (start["status"], parts) == (200, [b'"done"'])


async def test_f08_three_methods_on_one_path() -> None:
    from starlette.applications import Starlette

    client, f = client_and_function()
    app = Starlette()
    stepwell.starlette.serve(app, client, [f])
    assert (await asked(app, "GET"))[0]["status"] == 200
    assert (await asked(app, "POST"))[0]["status"] == 200
    assert (await asked(app, "PUT"))[0]["status"] == 500  # nobody listens where it registers
    assert (await asked(app, "DELETE"))[0]["status"] == 405
    assert (await asked(app, "GET", path="/"))[0]["status"] == 404


def test_an_app_may_be_called_anything() -> None:
    """Blueprints and routers take no dots in names of routes."""
    import flask
    import quart
    import sanic

    client = Inngest(app_id="my.shop app/ü", is_dev=True)
    flasks = flask.Flask("flask"), flask.Blueprint("inner", "flask")
    quarts = quart.Quart("quart"), quart.Blueprint("inner", "quart")
    for adapters, (app, inner) in (("flask", flasks), ("quart", quarts)):
        importlib.import_module(f"stepwell.{adapters}").serve(inner, client, [])
        app.register_blueprint(inner)  # type: ignore[arg-type]
        assert "inner.inngest_api_my-shop-app--" in app.view_functions
    blueprint = sanic.Blueprint("inner")
    importlib.import_module("stepwell.sanic").serve(blueprint, client, [])
    made: Any = sanic.Sanic("odd-name", configure_logging=False)
    made.blueprint(blueprint)
    made.finalize()


def test_an_app_may_be_served_at_two_paths() -> None:
    """While its address changes."""
    import flask
    import quart
    import sanic
    from pyramid.config import Configurator

    client = Inngest(app_id="app", is_dev=True)
    odd: Any = sanic.Sanic("two-paths", configure_logging=False)
    apps = {"flask": flask.Flask("two"), "quart": quart.Quart("two"), "sanic": odd}
    for name, app in (*apps.items(), ("pyramid", Configurator())):
        adapter: Any = importlib.import_module(f"stepwell.{name}")
        adapter.serve(app, client, [])
        adapter.serve(app, client, [], serve_path="/new/inngest")
        if name == "pyramid":
            app.make_wsgi_app()
    answers = [apps["flask"].test_client().get(p) for p in ("/api/inngest", "/new/inngest")]
    assert [answer.status_code for answer in answers] == [200, 200]
    odd.finalize()


async def test_f55_an_environment_may_be_called_anything() -> None:
    """Branches are named in every script; headers are not."""
    client = Inngest(app_id="app", is_dev=True, env="feature/日本 é")
    start, _ = await asked(stepwell.asgi.serve(client, []), "GET")
    named = start["headers"]["x-inngest-env"]
    assert named == "feature/%E6%97%A5%E6%9C%AC %C3%A9"


async def test_f21_a_file_has_an_app_or_a_handler() -> None:
    client, f = client_and_function()
    app = handler = stepwell.vercel.serve(client, [f])
    assert (await asked(app))[1] == [b'"done"']
    assert issubclass(handler, BaseHTTPRequestHandler)


async def test_f22_a_file_names_its_methods() -> None:
    client, f = client_and_function()
    for serve in (stepwell.asgi.serve, stepwell.vercel.serve):
        GET, POST, PUT = serve(client, [f])
        assert (await asked(GET, "GET"))[0]["status"] == 200
        assert (await asked(POST))[1] == [b'"done"']
        assert PUT is POST
    for serve in (stepwell.asgi.serve, stepwell.vercel.serve, stepwell.wsgi.serve):
        GET, POST, PUT = endpoint = serve(client, [f])
        assert (GET, POST, PUT) == endpoint.methods == (endpoint,) * 3


async def test_f23_one_object_tells_by_its_arguments_what_is_asked_of_it() -> None:
    client, f = client_and_function()
    endpoint: Any = stepwell.vercel.serve(client, iter([f]))
    assert (await asked(endpoint))[1] == [b'"done"']
    body = call_body({}, {})
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": "fnId=app-f&stepId=step",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    wsgiref.util.setup_testing_defaults(environ)
    statuses: list[str] = []

    def start_response(status: str, headers: Any) -> None:
        statuses.append(status)

    assert list(endpoint(environ, start_response)) == [b'"done"']
    assert statuses == ["200 OK"]
    event = {
        "requestContext": {"http": {"method": "POST"}},
        "rawPath": "/api/inngest",
        "rawQueryString": "fnId=app-f&stepId=step",
        "headers": {},
        "body": body.decode(),
    }
    assert endpoint(event, object())["body"] == '"done"'


def test_f24_odd_calls_are_told_what_would_be_right() -> None:
    client, f = client_and_function()
    endpoint: Any = stepwell.vercel.serve(client, [f])
    with pytest.raises(TypeError, match=r"called with \(Inngest\).* ASGI .* WSGI .* Lambda"):
        endpoint(client)


async def test_f27_the_standard_web_interface_streams() -> None:
    client, f = client_and_function()
    app = stepwell.asgi.serve(client, [f], streaming=Streaming.FORCE)
    start, parts = await asked(app)
    assert (start["status"], parts[0]) == (201, b" ")
    inner = json.loads(b"".join(parts))
    assert (inner["status"], inner["body"]) == (200, '"done"')


async def test_f31_a_thin_wrapper_changes_the_name_only() -> None:
    from starlette.applications import Starlette

    client, f = client_and_function()
    wrapper = Starlette()
    stepwell.starlette.serve(wrapper, client, [f])
    (plain, one), (wrapped, two) = (
        await asked(stepwell.asgi.serve(client, [f])),
        await asked(wrapper),
    )
    names = [answer["headers"].pop("x-inngest-framework") for answer in (plain, wrapped)]
    for answer in (plain, wrapped):
        del answer["headers"]["server-timing"]
    assert names == ["asgi", "starlette"]
    assert (plain, one) == (wrapped, two)


@pytest.fixture(autouse=True)
def nobody_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNGEST_BASE_URL", "http://127.0.0.1:9")
