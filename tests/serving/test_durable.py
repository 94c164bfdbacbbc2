"""Durable endpoints of each framework: steps are saved while a caller waits, and a run that must
wait goes on elsewhere."""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from socketserver import ThreadingMixIn
from typing import Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import tests.django_project  # isort: skip - sets Django up
import aiohttp.web
import django.core.handlers.asgi
import django.core.handlers.wsgi
import django.http
import django.test
import django.urls
import fastapi
import flask
import httpx
import msgspec
import pytest
import starlette.applications
import starlette.exceptions
import starlette.responses
import starlette.routing
import uvicorn
import werkzeug.exceptions
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.utils.decorators import sync_only_middleware

import stepwell
import stepwell.aiohttp
import stepwell.django
import stepwell.fast_api
import stepwell.flask
import stepwell.starlette
from stepwell import Context, ContextSync
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.server_api import ApiRequest
from stepwell.sdk.serve import durable_report
from stepwell.sdk.serve.durable import DurableEndpoint
from stepwell.sdk.serve.request import ServeRequest
from stepwell.server.config import ServerConfig
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.serving import Server
from stepwell.server.store.port import RunFilter
from stepwell.wire.identifier import step_hash
from stepwell.wire.log import LogLine
from stepwell.wire.operation import Logs, StepRun

assert tests.django_project
CONFIG = ServerConfig(port=0, connect_gateway_port=0)


class Site:
    """The endpoints of one framework, and what their steps noted."""

    def __init__(self, client: stepwell.Inngest) -> None:
        self.client = client
        self.noted: list[str] = []
        self.tries = 0
        self.heard = threading.Event()

    def note(self, what: str) -> str:
        self.noted.append(what)
        return what

    def fails_once(self) -> str:
        self.tries += 1
        if self.tries == 1:
            raise ValueError("not yet")
        return self.note(f"try {self.tries}")

    def handlers(
        self, response: Callable[[str, int], Any], missing: Exception
    ) -> dict[str, Callable[..., Any]]:
        async def quick(ctx: Context, request: Any) -> Any:
            one = await ctx.step.run("one", self.note, "one")
            two = await ctx.step.run("two", self.note, "two")
            return response(f"{one} {two} {request.method}", 201)

        async def slow(ctx: Context, request: Any) -> Any:
            before = await ctx.step.run("before", self.note, "before")
            await ctx.step.sleep("nap", 1)
            both = await asyncio.gather(
                ctx.step.run("left", self.note, "left"), ctx.step.run("right", self.note, "right")
            )
            return {"before": before, "both": both, "from": ctx.event.name}

        async def flaky(ctx: Context, request: Any) -> Any:
            return {"found": await ctx.step.run("try", self.fails_once)}

        async def gone(ctx: Context, request: Any) -> Any:
            await ctx.step.run("looked", self.note, "looked")
            raise missing

        return {one.__name__: one for one in (quick, slow, flaky, gone)}

    def plain(self) -> Callable[..., Any]:
        def blocking(ctx: ContextSync, request: Any) -> Any:
            first = ctx.step.run("first", self.note, "first")
            ctx.step.sleep("nap", 1)
            return [first, ctx.step.run("second", self.note, "second")]

        return blocking


@asynccontextmanager
async def asgi(app: Any) -> AsyncIterator[str]:
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign,assignment]
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


class _NoSignals:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def _no_signals() -> _NoSignals:
    return _NoSignals()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing of requests."""


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@asynccontextmanager
async def wsgi(app: Any) -> AsyncIterator[str]:
    server = make_server("127.0.0.1", 0, app, _Threads, _Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


@asynccontextmanager
async def on_starlette(site: Site) -> AsyncIterator[str]:
    made = site.handlers(
        starlette.responses.PlainTextResponse, starlette.exceptions.HTTPException(404, "none")
    )
    endpoint = stepwell.starlette.endpoint
    handlers = {**made, "blocking": site.plain()}
    routes = [
        starlette.routing.Route(f"/{name}", endpoint(site.client)(one), methods=["GET", "POST"])
        for name, one in handlers.items()
    ]
    async with asgi(starlette.applications.Starlette(routes=routes)) as url:
        yield url


@asynccontextmanager
async def on_fast_api(site: Site) -> AsyncIterator[str]:
    app = fastapi.FastAPI()
    made = site.handlers(fastapi.responses.PlainTextResponse, fastapi.HTTPException(404, "none"))
    for name, one in {**made, "blocking": site.plain()}.items():
        view = stepwell.fast_api.endpoint(site.client)(one)
        app.api_route(f"/{name}", methods=["GET", "POST"])(view)
    async with asgi(app) as url:
        yield url


@asynccontextmanager
async def on_flask(site: Site) -> AsyncIterator[str]:
    app = flask.Flask("shop")
    made = site.handlers(flask.Response, werkzeug.exceptions.NotFound())
    for name, one in {**made, "blocking": site.plain()}.items():
        view = stepwell.flask.endpoint(site.client)(one)
        app.add_url_rule(f"/{name}", view_func=view, methods=["GET", "POST"])
    async with wsgi(app) as url:
        yield url


@asynccontextmanager
async def on_django(site: Site) -> AsyncIterator[str]:
    def response(text: str, status: int) -> Any:
        return django.http.HttpResponse(text, status=status)

    made = site.handlers(response, django.http.Http404("none"))
    urls = [
        django.urls.path(name, stepwell.django.endpoint(site.client)(one))
        for name, one in {**made, "blocking": site.plain()}.items()
    ]
    with django.test.override_settings(
        ROOT_URLCONF=tuple(urls), ALLOWED_HOSTS=["*"], MIDDLEWARE=[]
    ):
        async with wsgi(django.core.handlers.wsgi.WSGIHandler()) as url:
            yield url


@asynccontextmanager
async def on_aiohttp(site: Site) -> AsyncIterator[str]:
    def response(text: str, status: int) -> Any:
        return aiohttp.web.Response(text=text, status=status)

    app = aiohttp.web.Application()
    made = site.handlers(response, aiohttp.web.HTTPNotFound())
    for name, one in {**made, "blocking": site.plain()}.items():
        app.router.add_route("*", f"/{name}", stepwell.aiohttp.endpoint(site.client)(one))
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    place = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


ON_DJANGO = pytest.param(on_django, marks=pytest.mark.logs("^Not Found: /gone"))


@pytest.mark.parametrize("serving", [on_starlette, on_fast_api, on_flask, ON_DJANGO, on_aiohttp])
async def test_endpoints_of_a_framework(serving: Any) -> None:
    async with Server(CONFIG) as server:
        client = stepwell.Inngest(app_id="shop", is_dev=True, base_url=server.url)
        site = Site(client)
        async with serving(site) as url, httpx.AsyncClient(timeout=30) as http:
            quick = await http.get(f"{url}/quick?a=1")
            assert (quick.status_code, quick.text) == (201, "one two GET")
            slow = await http.post(f"{url}/slow", json={"a": 1})
            assert slow.status_code == 303
            found = await http.get(slow.headers["location"])
            assert found.json() == {
                "before": "before",
                "both": ["left", "right"],
                "from": "inngest/http.request",
            }
            blocking = await http.get(f"{url}/blocking", follow_redirects=True)
            assert blocking.json() == ["first", "second"]
            gone = await http.get(f"{url}/gone")
            assert gone.status_code == 404
            assert sorted(site.noted) == sorted(
                [*("one", "two", "before", "left", "right", "first", "second", "looked")]
            )
            runs = (await http.get(f"{server.url}/v2/runs")).json()["data"]
            assert sorted(run["status"] for run in runs) == ["COMPLETED"] * 4


def told_in(text: str) -> list[tuple[str, Any]]:
    """The events of a stream, without those that name places and steps of no interest."""
    blocks = [block.split("\n") for block in text.split("\n\n") if "\ndata: {" in f"\n{block}"]
    fields = [dict(line.split(": ", 1) for line in block if ": " in line) for block in blocks]
    return [
        (one["event"].removeprefix("inngest."), json.loads(one["data"]))
        for one in fields
        if "event" in one
    ]


def streaming(site: Site) -> dict[str, Callable[..., Any]]:
    async def parts() -> AsyncIterator[str]:
        yield "a"
        assert await asyncio.to_thread(site.heard.wait, 10)
        yield await sync_to_async(lambda: "b")()  # as Django's database is asked

    def plain_parts() -> Iterator[str]:
        yield "a"
        assert site.heard.wait(10)
        yield "b"

    async def work() -> str:
        stepwell.stream.push({"inside": True})
        return await stepwell.stream.pipe(parts())

    async def tells(ctx: Context, request: Any) -> Any:
        stepwell.stream.push("before")
        return await ctx.step.run("work", work)

    def tells_plain(ctx: ContextSync, request: Any) -> Any:
        return ctx.step.run("work", lambda: stepwell.stream.pipe_sync(plain_parts()))

    async def moves(ctx: Context, request: Any) -> Any:
        stepwell.stream.push("here")
        await ctx.step.sleep("nap", 300)
        stepwell.stream.push("there")
        found = await ctx.step.run("try", site.fails_once)
        stepwell.stream.push("last")
        return [found, ctx.attempt, ctx.max_attempts]

    async def breaks(ctx: Context, request: Any) -> Any:
        raise stepwell.NonRetriableError("never")

    return {one.__name__: one for one in (tells, tells_plain, moves, breaks)}


Views = dict[str, Callable[..., Any]]


@asynccontextmanager
async def speaking_starlette(views: Views) -> AsyncIterator[str]:
    routes = [starlette.routing.Route(f"/{name}", view) for name, view in views.items()]
    async with asgi(starlette.applications.Starlette(routes=routes)) as url:
        yield url


@asynccontextmanager
async def speaking_aiohttp(views: Views) -> AsyncIterator[str]:
    app = aiohttp.web.Application()
    for name, view in views.items():
        app.router.add_get(f"/{name}", view)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking_flask(views: Views) -> AsyncIterator[str]:
    app = flask.Flask("shop")
    for name, view in views.items():
        app.add_url_rule(f"/{name}", view_func=view)
    async with wsgi(app) as url:
        yield url


@asynccontextmanager
async def speaking_django(views: Views) -> AsyncIterator[str]:
    async with project(views), wsgi(django.core.handlers.wsgi.WSGIHandler()) as url:
        yield url


@asynccontextmanager
async def speaking_django_asgi(views: Views) -> AsyncIterator[str]:
    async with project(views), asgi(django.core.handlers.asgi.ASGIHandler()) as url:
        yield url


@sync_only_middleware
def blocking_middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Under ASGI, Django calls what is behind it from a thread that ends with the view."""

    def middleware(request: Any) -> Any:
        return get_response(request)

    return middleware


@asynccontextmanager
async def project(views: Views) -> AsyncIterator[None]:
    urls = tuple(django.urls.path(name, view) for name, view in views.items())
    middleware = [f"{__name__}.blocking_middleware"]
    with django.test.override_settings(
        ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], MIDDLEWARE=middleware
    ):
        yield


async def heard(site: Site, http: httpx.AsyncClient, url: str) -> str:
    """The whole of a stream, which goes on once its first part is here."""
    site.heard.clear()
    text = ""
    async with http.stream("GET", url, headers={"accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for piece in answer.aiter_text():
            text += piece
            if '"data":"a"' in text:
                site.heard.set()
    return text


@pytest.mark.logs("never")
@pytest.mark.parametrize(
    ("framework", "speaking"),
    [
        (stepwell.starlette, speaking_starlette),
        (stepwell.fast_api, speaking_starlette),
        (stepwell.aiohttp, speaking_aiohttp),
        (stepwell.flask, speaking_flask),
        (stepwell.django, speaking_django),
        (stepwell.django, speaking_django_asgi),
    ],
    ids=lambda one: one.__name__,
)
async def test_what_an_endpoint_says_while_it_works(framework: Any, speaking: Any) -> None:
    config = ServerConfig(port=0, connect_gateway_port=0, retry_interval_ms=10)
    async with Server(config) as server:
        client = stepwell.Inngest(app_id="shop", is_dev=True, base_url=server.url)
        site = Site(client)
        views = {
            name: framework.endpoint(client, fn_id=name)(one)
            for name, one in streaming(site).items()
        }
        async with speaking(views) as url, httpx.AsyncClient(timeout=30) as http:
            step = {"hashedStepId": step_hash("work")}
            began, *told, where, committed, ended = told_in(await heard(site, http, f"{url}/tells"))
            assert (began[0], list(began[1])) == ("metadata", ["runId"])
            assert told == [
                ("stream", {"data": "before"}),
                ("stream", {"data": {"inside": True}, **step}),
                ("stream", {"data": "a", **step}),
                ("stream", {"data": "b", **step}),
            ]
            assert (where[0], where[1]["runId"]) == ("redirect_info", began[1]["runId"])
            assert committed == ("commit", step)
            assert (ended[0], ended[1]["status"]) == ("response", "succeeded")
            response = ended[1]["response"]
            assert (response["statusCode"], response["body"]) == (200, '"ab"')
            plain = told_in(await heard(site, http, f"{url}/tells_plain"))
            assert [one["data"] for name, one in plain if name == "stream"] == ["a", "b"]
            broke = told_in(await heard(site, http, f"{url}/breaks"))[-1][1]
            assert (broke["status"], broke["response"]["statusCode"]) == ("failed", 500)
            assert set(json.loads(broke["response"]["body"])) == {"message", "name"}
            site.heard.set()
            whole = await http.get(f"{url}/tells")
            assert (whole.status_code, whole.json()) == (200, "ab")


@pytest.mark.logs("its end: the run could not be reported")
def test_a_request_of_flask_lasts_until_its_handler_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(durable_report, "PAUSE_SECONDS", 0)
    site = Site(stepwell.Inngest(app_id="shop", is_dev=True, base_url="http://127.0.0.1:1"))
    app = flask.Flask("shop")

    @app.teardown_request
    def teardown(_: object) -> None:
        site.note("teardown")

    @app.get("/answer")
    @stepwell.flask.endpoint(site.client)
    def answer(ctx: ContextSync, request: flask.Request) -> str:
        stepwell.stream.push("a")
        assert site.heard.wait(10)
        return site.note(flask.request.path)

    got = app.test_client().get("/answer", headers={"accept": "text/event-stream"})
    chunks = got.iter_encoded()
    assert b'"a"' in next(chunks) + next(chunks)
    site.heard.set()
    got.close()  # its caller goes away
    # Newer versions of Flask call it when the view returns, too.
    assert [*dict.fromkeys(reversed(site.noted))] == ["teardown", "/answer"]


async def test_a_stream_ends_where_the_program_stops_meanwhile() -> None:
    async def waits(ctx: Context, request: Any) -> None:
        stepwell.stream.push("here")
        await asyncio.Event().wait()

    client = stepwell.Inngest(app_id="shop", is_dev=True)
    endpoint = DurableEndpoint(client, waits, "starlette", lambda _: None, {})
    headers = {"accept": "text/event-stream"}
    asked = ServeRequest(method="GET", url="http://h/", headers=headers, query={}, body=b"")
    before = asyncio.all_tasks()
    chunks = endpoint.streamed(asked, "").chunks
    (work,) = asyncio.all_tasks() - before
    assert b"inngest.metadata" in await anext(chunks)
    assert b"here" in await anext(chunks)
    work.cancel()
    async with asyncio.timeout(10):
        assert [chunk async for chunk in chunks] == []


@pytest.mark.logs("not yet")
async def test_what_it_says_after_its_caller_was_sent_away() -> None:
    config = ServerConfig(port=0, connect_gateway_port=0, retry_interval_ms=10)
    async with Server(config) as server:
        client = stepwell.Inngest(app_id="shop", is_dev=True, base_url=server.url)
        site = Site(client)
        view = stepwell.starlette.endpoint(client)(streaming(site)["moves"])
        routes = [starlette.routing.Route("/", view)]
        app = starlette.applications.Starlette(routes=routes)
        async with asgi(app) as url, httpx.AsyncClient(timeout=30) as http:
            answer = await http.get(url, headers={"accept": "text/event-stream"})
            *_, here, where = told_in(answer.text)
            assert (here, where[0]) == (("stream", {"data": "here"}), "redirect_info")
            text = ""
            async with http.stream("GET", where[1]["url"]) as stream:
                async for piece in stream.aiter_text():
                    text += piece
                    if "inngest.response" in text and text.endswith("\n\n"):
                        break
            told = [one for one in told_in(text) if one[0] != "metadata"]
            (response,) = [one["response"] for name, one in told if name == "response"]
            assert json.loads(response["body"])[::2] == ["try 2", 5]
            data = [one["data"] for name, one in told if name == "stream"]
            # What stands before a step that failed is gone through, and said, again.
            assert data == ["there", "there", "last"]
            steps = [name for name, _ in told if name in ("commit", "rollback")]
            assert steps == ["rollback", "commit"]


def writing(*, naps: bool, fails: bool) -> Callable[..., Any]:
    tries = 0

    async def writes(ctx: Context, request: Any) -> str:
        nonlocal tries
        ctx.logger.info("first")
        await ctx.step.run("step", lambda: ctx.logger.warning("inside"))
        ctx.logger.info("between")
        if naps:
            await ctx.step.sleep("nap", 1)
        ctx.logger.info("last")
        if fails and not tries:
            tries += 1
            raise ValueError("not yet")
        return "done"

    return writes


async def kept_lines(http: httpx.AsyncClient, server: Server) -> list[str]:
    (run,) = (await http.get(f"{server.url}/v2/runs")).json()["data"]
    found = (await http.get(f"{server.url}/v2/runs/{run['id']}/logs")).json()["data"]
    return [f"{one['text']}{one.get('stepName', '') and '*'}" for one in found]


LINES = ["first", "inside*", "between", "last"]


@pytest.mark.logs("not yet|inside")
@pytest.mark.parametrize(
    ("naps", "fails", "retries", "status", "lines"),
    [
        (False, False, 4, 200, LINES),
        (True, False, 4, 200, LINES),
        (False, True, 4, 200, [*LINES, "between", "last"]),
        (False, True, 0, 500, LINES),
    ],
)
async def test_lines_of_an_endpoint_are_kept_with_its_run(
    naps: bool, fails: bool, retries: int, status: int, lines: list[str]
) -> None:
    config = ServerConfig(port=0, connect_gateway_port=0, retry_interval_ms=10)
    async with Server(config) as server:
        client = stepwell.Inngest(app_id="shop", is_dev=True, base_url=server.url)
        handler = writing(naps=naps, fails=fails)
        view = stepwell.starlette.endpoint(client, retries=retries)(handler)
        async with (
            speaking_starlette({"": view}) as url,
            httpx.AsyncClient(timeout=30, follow_redirects=True) as http,
        ):
            # Asking for a stream, so that what the handler raises is told and not raised.
            accept = "*/*" if status == 200 else "text/event-stream"
            answer = await http.get(url, headers={"accept": accept})
            assert "stepwell_logs" not in answer.text
            if status == 200:
                assert (answer.status_code, answer.json()) == (200, "done")
            else:
                assert told_in(answer.text)[-1][1]["response"]["statusCode"] == status
            assert await kept_lines(http, server) == lines


async def test_lines_of_an_endpoint_without_steps_are_kept() -> None:
    async with Server(CONFIG) as server:
        client = stepwell.Inngest(app_id="shop", is_dev=True, base_url=server.url)

        @stepwell.starlette.endpoint(client)
        async def answers(ctx: Context, request: Any) -> str:
            ctx.logger.info("alone")
            return "done"

        async with browser(answers) as app, httpx.AsyncClient() as http:
            assert (await app.get("/")).json() == "done"
            assert await kept_lines(http, server) == ["alone"]


class StrangeServer:
    """One that keeps no lines, and what it is told."""

    origin = "http://strange"

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    async def ask(self, asked: ApiRequest) -> HttpReply:
        steps = json.loads(asked.body)["steps"]
        self.told.append([one["op"] for one in steps])
        begun = {"fn_id": "f", "app_id": "a", "run_id": "r", "token": "t"}
        return HttpReply(200, {}, json.dumps({"data": begun}).encode())


async def test_a_server_that_keeps_no_lines_is_told_none() -> None:
    server = StrangeServer()
    report = durable_report.Report(cast(Any, server), "r", msgspec.Raw(b"{}"), None)
    lines = Logs(lines=(LogLine(1, "info", "hello"),))
    await report.send((lines, StepRun(id="a")))
    await report.send((StepRun(id="b"), lines))
    await report.send((lines,))
    assert server.told == [["StepRun"], ["StepRun"]]


def browser(view: Any) -> httpx.AsyncClient:
    """Asks one view of Starlette's, without a socket."""
    routes = [starlette.routing.Route("/", view)]
    app = httpx.ASGITransport(starlette.applications.Starlette(routes=routes))
    return httpx.AsyncClient(transport=app, base_url="http://shop")


GUARDS = ("middleware.csrf.CsrfViewMiddleware", "contrib.auth.middleware.LoginRequiredMiddleware")


@pytest.mark.parametrize(
    ("guard", "status"),
    [pytest.param(GUARDS[0], 403, marks=pytest.mark.logs("^Forbidden")), (GUARDS[1], 302)],
)
def test_guards_of_a_django_project_hold_for_callers_alone(guard: str, status: int) -> None:
    client = stepwell.Inngest(app_id="shop", is_dev=True, base_url="http://127.0.0.1:1")

    @stepwell.django.endpoint(client)
    def answer(ctx: ContextSync, request: django.http.HttpRequest) -> str:
        raise AssertionError("nobody comes here")

    factory = django.test.RequestFactory(enforce_csrf_checks=True)
    called = {"x-run-id": "01JQDAE4RQ0000000000000001", "x-inngest-signature": "-"}
    with django.test.override_settings(MIDDLEWARE=[f"django.{guard}"]):
        request = factory.post("/answer")
        request.user = AnonymousUser()
        assert answer(request).status_code == status
        # The state of its run cannot be had, which the server is told.
        assert answer(factory.post("/answer", headers=called)).status_code == 500


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"async_response": "no"}, 'async_response = \'no\': give "redirect" or "token"'),
        ({"retry": 1}, "retry: an endpoint has no such option; there are fn_id, retries"),
        ({"fn_id": ""}, "fn_id = ''"),
    ],
)
def test_options_that_cannot_be_meant(options: Any, told: str) -> None:
    client = stepwell.Inngest(app_id="shop", is_dev=True)
    with pytest.raises((TypeError, stepwell.Error), match=re.escape(told)):
        stepwell.flask.endpoint(client, **options)(Site(client).plain())


@pytest.mark.logs("no luck")
async def test_what_is_not_tried_again_is_raised_in_the_view() -> None:
    async with Server(CONFIG) as server:
        client = stepwell.Inngest(app_id="shop", is_dev=True, base_url=server.url)

        @stepwell.starlette.endpoint(client, retries=0)
        async def fails(ctx: Context, request: Any) -> str:
            await ctx.step.run("note", lambda: "noted")
            raise ValueError("no luck")

        async with browser(fails) as http:
            with pytest.raises(ValueError, match="no luck"):
                await http.get("/")
        (run,) = server.node.reader.runs(RunFilter())
        assert run.status is RunStatus.FAILED


@pytest.mark.logs("cannot go on: the run could not be reported")
async def test_who_must_wait_at_a_server_that_is_away_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(durable_report, "PAUSE_SECONDS", 0)
    client = stepwell.Inngest(app_id="shop", is_dev=True, base_url="http://127.0.0.1:1")
    view = stepwell.starlette.endpoint(client)(Site(client).plain())
    async with browser(view) as http:
        answer = await http.get("/")
    assert (answer.status_code, answer.json()["error"]) == (
        503,
        "the server cannot be reached: try again later",
    )


@pytest.mark.logs("request refused: the signature is older")
async def test_only_the_server_that_signs_makes_a_run_go_on() -> None:
    client = stepwell.Inngest(
        app_id="shop", is_production=True, signing_key="signkey-test-abcd", base_url="http://x"
    )
    view = stepwell.starlette.endpoint(client)(Site(client).plain())
    async with browser(view) as http:
        headers = {"x-run-id": "01JQDAE4RQ0000000000000001", "x-inngest-signature": "t=1&s=00"}
        assert (await http.get("/", headers=headers)).status_code == 401
