"""The serve handler beyond the adapter contract: set-up, refusals, timings, odd calls."""

import asyncio
import json
import logging
import threading
from typing import Any

import msgspec
import pytest

import stepwell
from stepwell import Context, ContextSync, Inngest, Streaming, TriggerEvent
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.sdk.serve import handler as handler_module
from stepwell.sdk.serve import perform
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.response import (
    ServeResponse,
    StreamingResponse,
    StreamingResponseSync,
)
from stepwell.wire.execution import decode_streamed
from stepwell.wire.signature import sign

EVENT = {"name": "e", "data": {}, "id": "i", "ts": 1}


class Http:
    """Answers by path; an exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.seen: list[str] = []
        self.bodies: list[Any] = []

    def request_sync(self, method: str, url: str, **given: Any) -> HttpReply:
        self.seen.append(url)
        self.bodies.append(json.loads(given.get("body") or b"null"))
        answer = self.answers[url.rpartition("/")[2]]
        if isinstance(answer, Exception):
            raise answer
        return HttpReply(200, {}, json.dumps(answer).encode())

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        return self.request_sync(method, url, **given)


seen: dict[str, Any] = {}


def handler(http: Http | None = None, **options: Any) -> ServeHandler:
    client = Inngest(
        app_id="app", is_dev=True, base_url="http://s.test", http_client=http or Http()
    )
    seen.clear()

    @client.create_function(fn_id="f", trigger=TriggerEvent(event="e"))
    async def f(ctx: Context) -> Any:
        seen.update(job=ctx.job_id, request=ctx.request_id, n=len(ctx.events))
        return ctx.event.data

    @client.create_function(fn_id="g", trigger=TriggerEvent(event="e"))
    def g(ctx: ContextSync) -> int:
        seen["thread"] = threading.current_thread()
        return 1

    return ServeHandler(client, [f, g], framework="test", **options)


def post(fn: str = "f", headers: dict[str, str] | None = None, **body: Any) -> ServeRequest:
    whole = {"ctx": {"run_id": "r", **body.pop("ctx", {})}, "event": EVENT, "steps": {}, **body}
    return ServeRequest(
        method="POST",
        url="http://h.test/api/inngest",
        headers=headers or {},
        query={"fnId": f"app-{fn}", "stepId": "step"},
        body=json.dumps(whole).encode(),
        raw="raw",
    )


async def whole(handling: Any) -> ServeResponse:
    response = await handling
    assert isinstance(response, ServeResponse)
    return response


# Set-up


def test_cloud_needs_a_signing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INNGEST_SIGNING_KEY", raising=False)
    with pytest.raises(stepwell.SigningKeyMissingError, match="INNGEST_SIGNING_KEY"):
        ServeHandler(Inngest(app_id="a", is_production=True), [], framework="x")


async def test_new_variables_count_from_the_next_request() -> None:
    client = Inngest(app_id="a")
    client.set_env_vars({"INNGEST_DEV": "1"})
    served = ServeHandler(client, [], framework="x")
    get = ServeRequest(method="GET", url="http://h/x", headers={}, query={})
    assert (await whole(served.handle(get))).status == 200
    client.set_env_vars({"INNGEST_DEV": "0", "INNGEST_SIGNING_KEY": "signkey-x-12"})
    assert (await whole(served.handle(get))).status == 401


def test_the_path_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert handler().serve_path is None
    monkeypatch.setenv("INNGEST_SERVE_PATH", "x")
    assert handler().serve_path == "/x"
    assert handler(serve_path="/y").serve_path == "/y"


# Calls


async def test_f58_ids_may_come_in_headers_or_in_the_body() -> None:
    headers = {"x-inngest-job-id": "j", "x-request-id": "q"}
    await handler().handle(post(headers=headers))
    assert seen == {"job": "j", "request": "q", "n": 1}
    await handler().handle(post(headers=headers, ctx={"job_id": "J", "request_id": "Q"}))
    assert seen == {"job": "J", "request": "Q", "n": 1}
    await handler().handle(post())
    assert seen == {"job": None, "request": None, "n": 1}


async def test_timings_are_told() -> None:
    http = Http(actions={}, batch=[EVENT])
    answer = await whole(handler(http).handle(post(use_api=True)))
    names = [part.partition(";")[0] for part in answer.headers["server-timing"].split(", ")]
    middleware = ["mw.transform_input", "mw.transform_output"]
    assert names == ["use_api", *middleware, "async_block", "function", "comm_handler"]


async def test_e_98_only_what_is_missing_is_fetched() -> None:
    http = Http(actions={}, batch=[EVENT, EVENT])
    served = handler(http)
    assert (await whole(served.handle(post(use_api=True, events=[EVENT])))).status == 200
    assert http.seen == ["http://s.test/v0/runs/r/actions"]
    assert served.handle_sync(post(ctx={"use_api": True}, event=None)).status == 200
    assert http.seen[1:] == ["http://s.test/v0/runs/r/actions", "http://s.test/v0/runs/r/batch"]
    assert seen["n"] == 2


@pytest.mark.parametrize("answer", [NetworkError("gone"), "no object"])
async def test_e_98_state_that_cannot_be_fetched_is_asked_for_again(answer: Any) -> None:
    failed = await whole(handler(Http(actions=answer, batch=[])).handle(post(use_api=True)))
    assert failed.status == 500
    assert failed.headers["x-inngest-no-retry"] == "false"
    assert "state" in json.loads(failed.body)["message"]


async def test_plain_functions_run_in_a_thread_unless_forbidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await handler().handle(post("g"))
    assert seen["thread"] is not threading.current_thread()
    monkeypatch.setenv("INNGEST_THREAD_POOL_MAX_WORKERS", "0")
    await handler().handle(post("g"))
    assert seen["thread"] is threading.current_thread()


def test_blocking_frameworks_run_plain_functions_themselves() -> None:
    assert handler().handle_sync(post("g")).status == 200
    assert seen["thread"] is threading.current_thread()
    assert handler().handle_sync(post("f")).status == 200


async def test_the_unforeseen_is_an_answer_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise KeyError("bug")

    monkeypatch.setattr(perform, "run_call", broken)
    answer = await whole(handler().handle(post()))
    assert (answer.status, json.loads(answer.body)["name"]) == (500, "KeyError")
    assert "unforeseen" in caplog.text


async def test_cancelled_requests_cancel_their_call() -> None:
    client = Inngest(app_id="app", is_dev=True)
    ended = asyncio.Event()

    @client.create_function(fn_id="f", trigger=TriggerEvent(event="e"))
    async def f(ctx: Context) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    handling = asyncio.ensure_future(ServeHandler(client, [f], framework="x").handle(post()))
    await asyncio.sleep(0.01)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    await asyncio.wait_for(ended.wait(), 5)


# Syncs


async def test_a_server_that_cannot_be_reached() -> None:
    served = handler(Http(register=NetworkError("nobody listens")))
    put = ServeRequest(method="PUT", url="http://h.test/api/inngest", headers={}, query={})
    answer = await whole(served.handle(put))
    told = json.loads(answer.body)
    assert (answer.status, told["modified"]) == (500, False)
    assert "http://s.test" in told["message"]
    assert "nobody listens" in told["message"]
    assert served.handle_sync(put).status == 500


@pytest.mark.parametrize(("modified", "said"), [(True, ["mend it"]), (False, [])])
async def test_what_the_server_warns_of_is_logged_once(
    modified: bool, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = {"ok": True, "modified": modified, "warnings": ["mend it"]}
    put = ServeRequest(method="PUT", url="http://h.test/api/inngest", headers={}, query={})
    assert (await whole(handler(Http(register=answer)).handle(put))).status == 200
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == said


def in_band(body: bytes) -> ServeResponse:
    client = Inngest(app_id="a", is_production=True, signing_key="signkey-x-12")
    served = ServeHandler(client, [], framework="x", serve_origin="https://me.test")
    put = ServeRequest(
        method="PUT",
        url="http://h/api/inngest",
        headers={
            "x-inngest-sync-kind": "in_band",
            "x-inngest-signature": sign(body, "signkey-x-12", handler_module._now_ms()),
        },
        query={},
        body=body,
    )
    answer = served.handle_sync(put)
    assert isinstance(answer, ServeResponse)
    return answer


def test_in_band_syncs() -> None:
    assert json.loads(in_band(b'{"url":"http://x/y"}').body)["url"] == "https://me.test/y"
    for body in (b"", b"{}", b"[]"):
        answer = in_band(body)
        assert (answer.status, json.loads(answer.body)["code"]) == (400, "invalid_request")


async def test_development_never_syncs_in_band() -> None:
    http = Http(register={"ok": True})
    put = ServeRequest(
        method="PUT",
        url="http://h/api/inngest",
        headers={"x-inngest-sync-kind": "in_band"},
        query={},
        body=b'{"url":"http://x"}',
    )
    answer = await whole(handler(http).handle(put))
    assert answer.headers["x-inngest-sync-kind"] == "out_of_band"
    assert http.seen == ["http://s.test/fn/register"]


# Streaming


async def test_f54_a_stream_that_is_closed_cancels_the_call() -> None:
    client = Inngest(app_id="app", is_dev=True)
    ended = asyncio.Event()

    @client.create_function(fn_id="f", trigger=TriggerEvent(event="e"))
    async def f(ctx: Context) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    served = ServeHandler(client, [f], framework="x", streaming=Streaming.FORCE)
    response = await served.handle(post())
    assert isinstance(response, StreamingResponse)
    assert response.status == 201
    assert await anext(response.chunks) == b" "
    await asyncio.sleep(0.01)
    await response.chunks.aclose()
    await asyncio.wait_for(ended.wait(), 5)


def test_f54_a_stream_in_blocking_code_that_is_closed_cancels_the_call() -> None:
    client = Inngest(app_id="app", is_dev=True)
    begun, ended = threading.Event(), threading.Event()

    @client.create_function(fn_id="f", trigger=TriggerEvent(event="e"))
    async def f(ctx: Context) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    @client.create_function(fn_id="g", trigger=TriggerEvent(event="e"))
    def g(ctx: ContextSync) -> None:
        begun.set()
        if ctx.cancelled.wait(60):
            ended.set()

    for fn in ("f", "g"):
        begun.clear()
        ended.clear()
        served = ServeHandler(client, [f, g], framework="x", streaming=Streaming.FORCE)
        response = served.handle_sync(post(fn))
        assert isinstance(response, StreamingResponseSync)
        assert next(response.chunks) == b" "
        assert begun.wait(5)
        response.chunks.close()
        assert ended.wait(5)


def test_a_stream_in_blocking_code() -> None:
    response = handler(streaming=Streaming.FORCE).handle_sync(post("g"))
    assert isinstance(response, StreamingResponseSync)
    chunks = list(response.chunks)
    assert chunks[0] == b" "
    assert decode_streamed(b"".join(chunks)).body == b"1"
    again = handler(streaming=Streaming.FORCE).handle_sync(post("g"))
    assert isinstance(again, StreamingResponseSync)
    next(again.chunks)
    again.chunks.close()


# Methods


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("DELETE", 405), ("OPTIONS", 405)])
async def test_f53_methods(method: str, status: int) -> None:
    request = ServeRequest(method=method, url="http://h/x", headers={}, query={})
    answer = await whole(handler().handle(request))
    assert answer.status == status
    assert status == 200 or answer.headers["allow"] == "GET, POST, PUT"


# Bodies


async def test_f43_a_body_in_chunks_that_nobody_put_together_is_told_apart() -> None:
    asked = msgspec.structs.replace(post(headers={"transfer-encoding": "chunked"}), body=b"")
    told = json.loads((await whole(handler().handle(asked))).body)["message"]
    assert "Missing request body" in told
    assert "it came in chunks, which the web server does not put together" in told


# Steps saved on the way


@pytest.mark.parametrize("fn", ["plain", "coroutine"])
@pytest.mark.parametrize("entry", ["blocking", "loop"])
async def test_every_door_saves_steps_of_both_colours_while_a_call_goes_on(
    fn: str, entry: str
) -> None:
    http = Http(group={"ok": True}, **{"async": {"ok": True}})
    client = Inngest(app_id="app", is_dev=True, base_url="http://s.test", http_client=http)

    @client.create_function(fn_id="plain", trigger=TriggerEvent(event="e"))
    def plain(ctx: ContextSync) -> int:
        return ctx.step.run("one", lambda: 1) + ctx.step.run("two", lambda: 2)

    @client.create_function(fn_id="coroutine", trigger=TriggerEvent(event="e"))
    async def coroutine(ctx: Context) -> int:
        one = await ctx.step.run("one", lambda: 1)
        return one + await ctx.step.run("two", lambda: 2)

    served = ServeHandler(client, [plain, coroutine], framework="x")
    asked = post(fn, ctx={"fn_id": "f", "qi_id": "q", "attempt": 0})
    if entry == "loop":
        answer = await whole(served.handle(asked))
    else:
        told = await asyncio.to_thread(served.handle_sync, asked)
        assert isinstance(told, ServeResponse)
        answer = told
    assert (answer.status, answer.body) == (200, b"3")
    assert len(http.seen) == 2
    assert {url.partition("/v1/")[2] for url in http.seen} == {"checkpoint/r/async"}


# What `serve` is told


def test_f06_serve_takes_the_seeds_names_and_the_client_does_so_too() -> None:
    http = Http(register={"ok": True})
    client = Inngest(app_id="app", is_dev=True, http_client=http)
    served = ServeHandler(
        client, [], framework="x", serve_host="me.test", base_url="http://other.test"
    )
    put = ServeRequest(method="PUT", url="http://h.test/api/inngest", headers={}, query={})
    served.handle_sync(put)
    assert http.seen == ["http://other.test/fn/register"]
    assert http.bodies[0]["url"] == "https://me.test/api/inngest"
    client = Inngest(
        app_id="app", is_dev=True, http_client=http, serve_host="a.test", serve_path="/b"
    )
    ServeHandler(client, [], framework="x").handle_sync(put)
    assert http.bodies[1]["url"] == "https://a.test/b"
    ServeHandler(client, [], framework="x", serve_origin="c.test").handle_sync(put)
    assert http.bodies[2]["url"] == "https://c.test/b"


def test_f06_what_makes_requests_may_be_told_where_functions_are_served() -> None:
    asked: list[tuple[str, str]] = []

    def fetch(method: str, url: str, *_: object) -> Any:
        asked.append((method, url))
        return 200, {}, b'{"ok":true,"ids":["1"]}'

    client = Inngest(app_id="app", is_dev=True, base_url="http://s.test", http_client=Http())
    served = ServeHandler(client, [], framework="x", fetch=fetch)
    put = ServeRequest(method="PUT", url="http://h.test/api/inngest", headers={}, query={})
    served.handle_sync(put)
    client.send_sync({"name": "a"})
    assert asked == [
        ("POST", "http://s.test/fn/register"),
        ("POST", "http://s.test/e/NO_EVENT_KEY_SET"),
    ]


def test_f06_the_level_of_the_sdks_own_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    own = logging.getLogger("stepwell")
    monkeypatch.setattr(own, "level", logging.NOTSET)
    monkeypatch.setenv("INNGEST_LOG_LEVEL", "error")
    client = Inngest(app_id="app", is_dev=True)
    ServeHandler(client, [], framework="x", log_level="debug")
    assert client.is_production is False  # which decides the settings
    assert own.level == logging.DEBUG
    with pytest.raises(ConfigurationError, match="log_level = 'loud': give one of debug, info"):
        ServeHandler(client, [], framework="x", log_level="loud")  # type: ignore[arg-type]
    client = Inngest(app_id="app", is_dev=True, logger=logging.getLogger("mine"))
    with pytest.raises(ConfigurationError, match="has a logger of its own: set the level of that"):
        ServeHandler(client, [], framework="x", log_level="debug")


def test_f06_the_old_way_to_name_the_app() -> None:
    client = Inngest(app_id="app", is_dev=True)
    with pytest.warns(DeprecationWarning, match="the client's app_id says it"):
        ServeHandler(client, [], framework="x", id="app")
    with pytest.raises(ConfigurationError, match=r"id = 'other': .*, .app.: make that one"):
        ServeHandler(client, [], framework="x", id="other")


def test_f03_keys_may_be_told_where_functions_are_served() -> None:
    client = Inngest(app_id="app", is_production=True)
    served = ServeHandler(
        client, [], framework="x", signing_key="signkey-x-12", signing_key_fallback="signkey-x-34"
    )
    for key in ("signkey-x-12", "signkey-x-34"):
        signature = sign(b"", key, handler_module._now_ms())
        get = ServeRequest(
            method="GET",
            url="http://h/x",
            headers={"x-inngest-signature": signature},
            query={},
        )
        answer = served.handle_sync(get)
        assert isinstance(answer, ServeResponse)
        assert answer.status == 200
    with pytest.raises(ConfigurationError, match="signing_key = 5: give text"):
        ServeHandler(client, [], framework="x", signing_key=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="base_url"):
        ServeHandler(client, [], framework="x", base_url="nonsense://")
