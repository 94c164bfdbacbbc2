"""What an endpoint does with a request, beyond the contract of adapters: F-47 to F-57."""

import asyncio
import json
import time
from typing import Any

import pytest

from stepwell import (
    Context,
    ContextSync,
    Inngest,
    MiddlewareSync,
    NonRetriableError,
    RetryAfterError,
    TriggerCron,
    TriggerEvent,
)
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.tracing import arrived_trace
from stepwell.wire.identifier import step_hash
from stepwell.wire.signature import sign

FORCE = "x-inngest-force-step-plan"
KEY = "signkey-test-0123456789abcdef"
EVENT: dict[str, Any] = {"name": "e", "data": {}, "id": "i", "ts": 1}
TRACE = {"traceparent": "00-1-2-01", "tracestate": "a=b"}


def handler(*, cloud: bool = False, **options: Any) -> ServeHandler:
    client = Inngest(app_id="app", is_production=cloud, signing_key=KEY if cloud else None)

    @client.create_function(fn_id="seen", trigger=TriggerEvent(event="shop/<seen>"))
    async def seen(ctx: Context) -> Any:
        return dict(arrived_trace())

    @client.create_function(
        fn_id="seen-sync", name="Plainly seen", trigger=TriggerCron(cron="0 * * * *")
    )
    def seen_sync(ctx: ContextSync) -> Any:
        return dict(arrived_trace())

    return ServeHandler(client, [seen, seen_sync], framework="test", **options)


def get(**headers: str) -> ServeRequest:
    return ServeRequest(method="GET", url="http://h.test/api/inngest", headers=headers, query={})


def post(function: str = "seen", headers: Any = None, **body: Any) -> ServeRequest:
    whole: dict[str, Any] = {"ctx": {"run_id": "r"}, "event": EVENT, "steps": {}, **body}
    return ServeRequest(
        method="POST",
        url="http://h.test/api/inngest",
        headers=headers or {},
        query={"fnId": f"app-{function}", "stepId": "step"},
        body=json.dumps(whole).encode(),
    )


def answer(served: ServeHandler, request: ServeRequest) -> ServeResponse:
    response = served.handle_sync(request)
    assert isinstance(response, ServeResponse)
    return response


def test_f47_strangers_learn_nothing_in_production_unless_it_is_wished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = answer(handler(cloud=True), get())
    assert (refused.status, refused.body) == (401, b'{"message":"Unauthorized"}')
    opened = answer(handler(cloud=True, introspection="open"), get())
    told = json.loads(opened.body)
    assert (opened.status, told["function_count"], told["mode"]) == (200, 2, "cloud")
    assert "app_id" not in told
    assert not told.get("authentication_succeeded")
    monkeypatch.setenv("STEPWELL_INTROSPECTION", "open")
    assert answer(handler(cloud=True), get()).status == 200
    assert answer(handler(cloud=True), post()).status == 401
    monkeypatch.setenv("STEPWELL_INTROSPECTION", "yes")
    with pytest.raises(ConfigurationError, match="introspection is 'yes'"):
        handler(cloud=True)


def test_f49_browsers_get_a_page_in_development() -> None:
    served = answer(handler(), get(accept="text/html,application/xhtml+xml"))
    assert (served.status, served.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = served.body.decode()
    for words in ("<h1>app</h1>", "2 functions", "shop/&lt;seen&gt;", "Plainly seen", "0 * * * *"):
        assert words in text
    assert answer(handler(), get(accept="*/*")).headers["content-type"] == "application/json"
    opened = handler(cloud=True, introspection="open")
    assert answer(opened, get(accept="text/html")).headers["content-type"] == "application/json"


def test_f55_answers_say_where_they_come_from_and_when_to_ask_again() -> None:
    client = Inngest(app_id="app")
    client.set_env_vars({"INNGEST_DEV": "1", "VERCEL": "1", "INNGEST_ENV": "branch"})

    @client.create_function(fn_id="later", trigger=TriggerEvent(event="e"))
    def later(ctx: ContextSync) -> None:
        raise RetryAfterError("not now", 60_000)

    @client.create_function(fn_id="never", trigger=TriggerEvent(event="e"))
    def never(ctx: ContextSync) -> None:
        raise NonRetriableError("not ever")

    served = ServeHandler(client, [later, never], framework="test")
    told = answer(served, post("later")).headers
    assert (told["x-inngest-platform"], told["x-inngest-env"]) == ("vercel", "branch")
    assert told["x-inngest-expected-server-kind"] == "dev"
    assert told["user-agent"] == told["x-inngest-sdk"]
    assert told["x-inngest-no-retry"] == "false"
    assert told["retry-after"] == "60"
    assert answer(served, post("never")).headers["x-inngest-no-retry"] == "true"


class Slowly(MiddlewareSync):
    """Middleware that takes its time, so that it can be told whose that was."""

    def transform_input(self, *given: Any) -> None:
        time.sleep(0.03)

    def transform_output(self, *given: Any) -> None:
        time.sleep(0.06)


@pytest.mark.parametrize("function", ["plain", "coroutine"])
@pytest.mark.parametrize("entry", ["blocking", "loop"])
async def test_f04_an_answer_tells_what_each_part_took(function: str, entry: str) -> None:
    client = Inngest(app_id="app", is_dev=True, middleware=[Slowly])

    @client.create_function(fn_id="plain", trigger=TriggerEvent(event="e"))
    def plain(ctx: ContextSync) -> None:
        time.sleep(0.12)

    @client.create_function(fn_id="coroutine", trigger=TriggerEvent(event="e"))
    async def coroutine(ctx: Context) -> None:
        time.sleep(0.24)  # noqa: ASYNC251 - what must not be done, and is told

    served = ServeHandler(client, [plain, coroutine], framework="test")
    if entry == "loop":
        told = await served.handle(post(function))
        assert isinstance(told, ServeResponse)
    else:
        told = await asyncio.to_thread(answer, served, post(function))
    parts = told.headers["server-timing"].split(", ")
    spent = {name: int(ms) for name, _, ms in (part.partition(";dur=") for part in parts)}
    handler_ms = 120 if function == "plain" else 240
    assert spent["mw.transform_input"] >= 30
    assert spent["mw.transform_output"] >= 60
    assert spent["function"] >= handler_ms
    assert spent["comm_handler"] >= spent["function"] + 90
    assert ("async_block" in spent) == (function == "coroutine")
    if function == "coroutine":
        assert spent["async_block"] >= 100


def test_f58_what_headers_say_counts_where_the_body_says_nothing() -> None:
    client = Inngest(app_id="app", is_dev=True)

    @client.create_function(fn_id="ids", trigger=TriggerEvent(event="e"))
    def ids(ctx: ContextSync) -> Any:
        one = ctx.step.run("one", lambda: 1)
        return [one, ctx.run_id, ctx.job_id, ctx.request_id]

    served = ServeHandler(client, [ids], framework="test")
    headers = {
        "x-run-id": "R",
        "x-inngest-job-id": "J",
        "x-request-id": "Q",
        "x-inngest-generation-id": "3",
    }
    steps = {step_hash("one"): {"data": 1}}
    told = answer(served, post("ids", headers, ctx={}, steps=steps))
    assert json.loads(told.body) == [1, "R", "J", "Q"]
    told = answer(served, post("ids", headers, steps=steps))
    assert json.loads(told.body) == [1, "r", "J", "Q"]
    (ran,) = json.loads(answer(served, post("ids")).body)
    (planned,) = json.loads(answer(served, post("ids", {FORCE: "true"})).body)
    assert (ran["op"], planned["op"]) == ("StepRun", "StepPlanned")


@pytest.mark.parametrize("function", ["seen", "seen-sync"])
async def test_f56_the_trace_context_is_current_in_the_call_and_goes_back(function: str) -> None:
    for told in (
        answer(handler(), post(function, TRACE)),
        await handler().handle(post(function, TRACE)),
    ):
        assert isinstance(told, ServeResponse)
        assert json.loads(told.body) == TRACE
        assert {name: told.headers[name] for name in TRACE} == TRACE
    assert answer(handler(), post(function)).body == b"{}"


@pytest.mark.parametrize("version", [-1, 1, 2])
def test_f57_the_version_that_was_used_is_told(version: int) -> None:
    told = answer(handler(), post(version=version))
    assert (told.status, told.headers["x-inngest-req-version"]) == (200, "2")


class Picky:
    """A server that knows some names of frameworks only."""

    def __init__(self) -> None:
        self.named: list[tuple[str, str]] = []

    def request_sync(self, method: str, url: str, **given: Any) -> HttpReply:
        told = json.loads(given["body"])["framework"]
        self.named.append((told, given["headers"]["x-inngest-framework"]))
        if told == "asgi":
            return HttpReply(200, {}, b'{"ok":true,"modified":true}')
        return HttpReply(400, {}, b'{"error":"Invalid enum value for framework"}')

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        return self.request_sync(method, url, **given)


def test_e4_a_server_that_does_not_know_the_framework_is_told_a_plain_one() -> None:
    server = Picky()
    client = Inngest(app_id="app", is_dev=True, http_client=server)
    put = ServeRequest(method="PUT", url="http://h.test/api/inngest", headers={}, query={})
    told = answer(ServeHandler(client, [], framework="robyn"), put)
    assert (told.status, server.named) == (200, [("robyn", "robyn"), ("asgi", "asgi")])


class Away:
    """A server that cannot be reached, or that refuses in its own words."""

    def __init__(self, refusal: HttpReply | None = None) -> None:
        self.refusal = refusal
        self.asked = 0

    def request_sync(self, method: str, url: str, **given: Any) -> HttpReply:
        self.asked += 1
        if self.refusal is None:
            raise NetworkError("connection to db-7.internal refused", "refused")
        return self.refusal

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        return self.request_sync(method, url, **given)


def cloud_put(server: Away, *, signed: bool, **options: Any) -> ServeResponse:
    client = Inngest(app_id="app", is_production=True, signing_key=KEY, http_client=server)
    served = ServeHandler(client, [], framework="test", **options)
    headers = {"x-inngest-signature": sign(b"", KEY, int(time.time() * 1000))} if signed else {}
    put = ServeRequest(method="PUT", url="http://h.test/api/inngest", headers=headers, query={})
    return answer(served, put)


def test_d66_an_unsigned_sync_of_production_is_refused_unless_it_is_allowed() -> None:
    server = Away()
    told = cloud_put(server, signed=False)
    assert (told.status, told.body, server.asked) == (401, b'{"message":"Unauthorized"}', 0)
    assert set(told.headers) == {"content-type", "x-inngest-sdk-handled"}
    registered = HttpReply(200, {}, b'{"ok":true,"modified":true}')
    assert cloud_put(Away(registered), signed=False, enable_unauthed_sync=True).status == 200


@pytest.mark.parametrize("refusal", [None, HttpReply(400, {}, b'{"error":"db-7.internal"}')])
def test_b55_why_a_sync_failed_is_told_to_whoever_signed_alone(
    refusal: HttpReply | None, caplog: pytest.LogCaptureFixture
) -> None:
    told = cloud_put(Away(refusal), signed=False, enable_unauthed_sync=True)
    assert told.status >= 400
    assert b"db-7" not in told.body
    assert "db-7.internal" in caplog.text
    assert b"db-7.internal" in cloud_put(Away(refusal), signed=True).body


# Letter by letter


async def test_f47_development_is_told_the_keys_of_the_protocol_and_no_others() -> None:
    told = json.loads(answer(handler(), get()).body)
    keys = {"function_count", "has_event_key", "has_signing_key", "has_signing_key_fallback"}
    assert set(told) == {*keys, "mode", "schema_version"}


def test_f50_a_sync_hands_through_what_the_server_answered() -> None:
    registered = HttpReply(200, {}, b'{"ok":true,"modified":true,"sync_id":"s-1","app_id":"a-1"}')
    told = json.loads(cloud_put(Away(registered), signed=True).body)
    assert told == {
        "message": "Successfully registered",
        "modified": True,
        "ok": True,
        "sync_id": "s-1",
        "app_id": "a-1",
    }
    allowed = cloud_put(Away(registered), signed=False, enable_unauthed_sync=True)
    assert json.loads(allowed.body) == {"message": "Successfully registered", "modified": True}
    refused = HttpReply(400, {}, b'{"code":"x","error":"App ID required","data":null}')
    told = json.loads(cloud_put(Away(refused), signed=True).body)
    assert (told["message"], told["code"], told["modified"]) == ("App ID required", "x", False)
    assert cloud_put(Away(HttpReply(502, {}, b"[not json")), signed=True).status == 500


@pytest.mark.logs("registration failed: Failed to register with https://api.inngest.com/")
def test_a_sync_that_went_to_the_cloud_says_how_to_name_another_server() -> None:
    told = json.loads(cloud_put(Away(), signed=True).body)["message"]
    assert told.startswith("Failed to register with https://api.inngest.com/: connection to db-7")
    assert "set INNGEST_BASE_URL to its address" in told


def in_band(body: bytes) -> ServeResponse:
    client = Inngest(app_id="app", is_production=True, signing_key=KEY, env="branch-7")
    now_ms = int(time.time() * 1000)
    headers = {
        "x-inngest-signature": sign(body, KEY, now_ms),
        "x-inngest-sync-kind": "in_band",
    }
    put = ServeRequest(
        method="PUT", url="http://h.test/api/inngest", headers=headers, query={}, body=body
    )
    return answer(ServeHandler(client, [], framework="test"), put)


def test_f51_answers_of_in_band_syncs_name_the_branch_environment() -> None:
    refused = in_band(b"{}")
    assert (refused.status, refused.headers["x-inngest-env"]) == (400, "branch-7")
    told = json.loads(in_band(b'{"url":"http://a.test/api/inngest"}').body)
    assert (told["env"], told["inspection"]["env"]) == ("branch-7", "branch-7")


@pytest.mark.parametrize(
    ("cloud", "kind", "text"),
    [
        (False, "cloud", "Sync rejected since it's from Cloud but expected Dev Server"),
        (True, "dev", "Sync rejected since it's from a Dev Server but expected Cloud"),
    ],
)
def test_f52_a_server_of_the_other_kind_is_told_so_in_the_words_it_knows(
    cloud: bool, kind: str, text: str
) -> None:
    headers = {"x-inngest-server-kind": kind}
    if cloud:
        headers["x-inngest-signature"] = sign(b"", KEY, int(time.time() * 1000))
    put = ServeRequest(method="PUT", url="http://h.test/api/inngest", headers=headers, query={})
    told = answer(handler(cloud=cloud), put)
    assert told.status == 400
    found = json.loads(told.body)
    assert found["code"] == "server_kind_mismatch"
    assert found["message"].startswith(text)


def test_what_is_wrong_with_a_request_is_told_without_a_stack() -> None:
    told = json.loads(answer(handler(), post("unknown")).body)
    assert set(told) == {"code", "message", "name"}
    assert (told["code"], told["name"]) == ("function_not_found", "FunctionNotFoundError")
