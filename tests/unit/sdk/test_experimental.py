"""What the official SDK has under `experimental`, used as its programs use it: section C.11."""

import asyncio
import datetime as dt
import importlib
import io
import json
import pkgutil
import socket
from pathlib import Path
from typing import Any

import pytest

import stepwell as inngest
import stepwell.digital_ocean
from stepwell.experimental import ai, get_step_context, mocked, realtime, set_step_context, step
from stepwell.experimental.dev_server import DevServer
from stepwell.experimental.digital_ocean_simulator import FULL_PATH, DigitalOceanSimulator
from stepwell.experimental.remote_state_middleware import (
    InMemoryDriver,
    RemoteStateMiddleware,
    S3Driver,
)
from stepwell.sdk.net.port import HttpReply
from tests.replay.stage import Client, Stage

client = inngest.Inngest(app_id="my-app", is_production=False)
client_mock = mocked.Inngest(app_id="test", is_production=False)
TRIGGER = inngest.TriggerEvent(event="test")
EVENT = inngest.Event(name="test")
counted: list[int] = []


@step("double")
async def double(value: int) -> int:
    counted.append(value)
    return value * 2


@step("triple")
def triple(value: int) -> int:
    counted.append(value)
    return value * 3


async def test_c11_a_decorated_function_is_a_step_inside_a_run() -> None:
    counted.clear()

    async def handler(ctx: inngest.Context) -> int:
        assert get_step_context() is ctx.step
        return await double(4) + await double(5)

    def handler_sync(ctx: inngest.ContextSync) -> int:
        return triple(4)

    stage = Stage(handler)
    assert await stage.play() == 18
    assert (counted, stage.ended()) == ([4, 5], ["double", "double"])
    assert await Stage(handler_sync).play() == 12


async def test_c11_outside_a_run_it_is_a_plain_call() -> None:
    assert (await double(1), triple(1)) == (2, 3)
    with pytest.raises(LookupError, match="outside a function"):
        get_step_context()

    async def handler(ctx: inngest.Context) -> int:
        async def outer() -> int:
            with pytest.raises(LookupError, match="inside a step"):
                get_step_context()
            return await double(2)

        return await ctx.step.run("outer", outer)

    stage = Stage(handler)
    assert (await stage.play(), stage.ended()) == (4, ["outer"])


def test_c11_the_step_context_can_be_set() -> None:
    class Tools:
        def run(self, step_id: str, handler: Any) -> Any:
            return (step_id, handler())

    tools: Any = Tools()
    with set_step_context(tools):
        found: Any = triple(2)
        assert found == ("triple", 6)
        with pytest.raises(RuntimeError, match="set already"), set_step_context(tools):
            pass


def test_c11_mocked_runs_a_function_without_a_server() -> None:
    async def same(value: str) -> str:
        return value

    @client.create_function(fn_id="test", trigger=TRIGGER)
    async def fn(ctx: inngest.Context) -> tuple[str, ...]:
        await ctx.step.sleep("nap", dt.timedelta(days=1))
        return await ctx.group.parallel(
            (lambda: ctx.step.run("a", same, "a"), lambda: ctx.step.run("b", same, "b"))
        )

    result = mocked.trigger(fn, EVENT, client_mock)
    assert (result.status, result.output) == (mocked.Status.COMPLETED, ("a", "b"))


def test_c11_mocked_stubs() -> None:
    @client.create_function(fn_id="test", trigger=TRIGGER)
    def fn(ctx: inngest.ContextSync) -> Any:
        event = ctx.step.wait_for_event("wait", event="other", timeout=1000)
        missed = ctx.step.wait_for_event("missed", event="other", timeout=1000)
        invoked = ctx.step.invoke_by_id("call", app_id="foo", function_id="bar")
        ran = ctx.step.run("run", lambda: 1)
        ids = ctx.step.send_event("send", [EVENT, EVENT])
        return [event and event.data, missed, invoked, ran, ids]

    stubs: dict[str, object] = {
        "wait": inngest.Event(name="other", data={"foo": 1}),
        "missed": mocked.Timeout,
        "call": {"sum": 3},
        "run": 7,
    }
    result = mocked.trigger(fn, EVENT, client_mock, step_stubs=stubs)
    assert result.output == [{"foo": 1}, None, {"sum": 3}, 7, [mocked.EVENT_ID] * 2]
    with pytest.raises(mocked.UnstubbedStepError, match='"wait"'):
        mocked.trigger(fn, EVENT, client_mock)


class Paid(inngest.EventModel, name="shop/paid"):
    amount: int


refunded = inngest.event_type("shop/refunded", schema=Paid)


def test_d_mocked_takes_event_models_event_types_and_mappings() -> None:
    client = mocked.Inngest(app_id="test", is_production=False)

    @client.create_function(fn_id="fn", trigger=[Paid, refunded])
    def fn(ctx: inngest.ContextSync[Any]) -> Any:
        found = ctx.step.wait_for_event("wait", event=Paid, timeout="1h")
        return [ctx.event.name, ctx.event.data.amount, found and found.data.amount]

    def output(event: Any, awaited: Any) -> Any:
        return mocked.trigger(fn, event, client, step_stubs={"wait": awaited}).output

    assert output(Paid(amount=1), Paid(amount=2)) == ["shop/paid", 1, 2]
    assert output([refunded(amount=3)], mocked.Timeout) == ["shop/refunded", 3, None]
    assert output({"name": "shop/paid", "data": {"amount": 4}}, None) == ["shop/paid", 4, None]
    with pytest.raises(inngest.EventValidationError, match="int is no event"):
        output([5], None)


def test_d_mocked_refuses_stubs_of_steps_that_are_not_there() -> None:
    @client_mock.create_function(fn_id="fn", trigger=TRIGGER)
    def fn(ctx: inngest.ContextSync) -> int:
        ctx.step.run("charge", lambda: 1)
        return ctx.step.run("ship", lambda: 2)

    with pytest.raises(mocked.UnknownStubError) as caught:
        mocked.trigger(fn, EVENT, client_mock, step_stubs={"ship": 3, "chrage": 4})
    assert str(caught.value) == (
        'step_stubs["chrage"]: the run met no step of that id (is "charge" meant?). It met'
        ' "charge", "ship": mend the id, or leave the stub out'
    )

    @client_mock.create_function(fn_id="fails", trigger=TRIGGER, retries=0)
    def fails(ctx: inngest.ContextSync) -> int:
        ctx.step.run("charge", lambda: 1)
        return ctx.step.run("ship", lambda: 2)

    stubs: dict[str, object] = {"charge": ValueError("declined"), "ship": 3}
    assert mocked.trigger(fails, EVENT, client_mock, step_stubs=stubs).status is (
        mocked.Status.FAILED
    ), "the steps after a failure are not met, and none the less there"


def test_c11_mocked_tells_what_a_step_raised() -> None:
    """As the official one does, and also where the function has looked at the error before."""

    def empty() -> None:
        raise KeyError("no stock")

    @client.create_function(fn_id="test", trigger=TRIGGER, retries=1)
    def passing(ctx: inngest.ContextSync) -> None:
        ctx.step.run("take", empty)

    @client.create_function(fn_id="caught", trigger=TRIGGER, retries=1)
    def caught(ctx: inngest.ContextSync) -> None:
        try:
            ctx.step.run("take", empty)
        except inngest.StepError as error:
            raise RuntimeError("gave up") from error

    for fn, kind, text in [(passing, KeyError, "'no stock'"), (caught, RuntimeError, "gave up")]:
        result = mocked.trigger(fn, EVENT, client_mock)
        assert (result.status, result.output) == (mocked.Status.FAILED, None)
        assert (type(result.error), str(result.error)) == (kind, text)


def test_c11_mocked_failures_and_retries() -> None:
    tries: list[int] = []

    @client.create_function(fn_id="test", trigger=TRIGGER, retries=2)
    def fn(ctx: inngest.ContextSync) -> None:
        tries.append(ctx.attempt)
        raise ValueError("no stock")

    result = mocked.trigger(fn, EVENT, client_mock)
    assert (result.status, tries) == (mocked.Status.FAILED, [0, 1, 2])
    assert isinstance(result.error, ValueError)

    @client.create_function(fn_id="step", trigger=TRIGGER, retries=1)
    def in_step(ctx: inngest.ContextSync) -> str:
        try:
            ctx.step.run("pay", lambda: "paid")
        except inngest.StepError as error:
            return error.message
        return "paid"

    stubs: dict[str, object] = {"pay": ValueError("declined")}
    assert mocked.trigger(in_step, EVENT, client_mock, step_stubs=stubs).output == "declined"
    assert mocked.trigger(in_step, EVENT, client_mock).output == "paid"


async def test_c11_mocked_works_within_an_event_loop_and_sends_one_event() -> None:
    assert await client_mock.send(EVENT) == [mocked.EVENT_ID]
    assert client_mock.send_sync([EVENT, EVENT]) == [mocked.EVENT_ID] * 2
    assert asyncio.get_running_loop()

    @client.create_function(fn_id="test", trigger=TRIGGER)
    async def fn(ctx: inngest.Context) -> int:
        return 1

    assert mocked.trigger(fn, EVENT, client_mock).output == 1
    with pytest.raises(ValueError, match="at least one event"):
        mocked.trigger(fn, [], client_mock)


@pytest.mark.parametrize(
    ("adapter", "url", "way"),
    [
        (ai.openai, "https://api.openai.com/v1/chat/completions", "openai-chat"),
        (ai.grok, "https://api.x.ai/v1/chat/completions", "openai-chat"),
        (ai.deepseek, "https://api.deepseek.com/v1/chat/completions", "openai-chat"),
        (ai.anthropic, "https://api.anthropic.com/v1/messages", "anthropic"),
        (
            ai.gemini,
            "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent?key=k",
            "gemini",
        ),
    ],
)
def test_c11_adapters_of_providers(adapter: Any, url: str, way: str) -> None:
    made: ai.BaseAdapter = adapter.Adapter(auth_key="k", model="m")
    body: dict[str, object] = {}
    made.on_call(body)
    assert (made.url_infer(), made.format(), made.auth_key()) == (url, way, "k")
    assert body == {"model": "m"}
    other = adapter.Adapter(auth_key="k", model="m", base_url="http://x/", headers={"a": "b"})
    assert other.url_infer().startswith("http://x/")
    assert "//" not in other.url_infer().removeprefix("http://")
    assert other.headers() == {"a": "b"}


class Http:
    """Answers every request alike."""

    def __init__(self, status: int, body: bytes) -> None:
        self.reply = HttpReply(status, {}, body)
        self.asked: list[tuple[str, Any]] = []

    def request_sync(self, method: str, url: str, **given: Any) -> HttpReply:
        self.asked.append((url, json.loads(given["body"])))
        return self.reply

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        return self.request_sync(method, url, **given)


async def test_c11_realtime() -> None:
    http: Any = Http(200, b'{"jwt":"token"}')
    app = inngest.Inngest(app_id="a", is_dev=True, base_url="http://s", http_client=http)
    await realtime.publish(app, "user:1", "news", {"n": 1})
    realtime.publish_sync(app, "user:1", "news", {"n": 2})
    token = await realtime.get_subscription_token(app, "user:1", ["news"])
    assert realtime.get_subscription_token_sync(app, "user:1", ["news"]) == token
    assert token == {"channel": "user:1", "topics": ["news"], "key": "token"}
    wish = [{"channel": "user:1", "name": "news", "kind": "run"}]
    assert http.asked == [
        ("http://s/v1/realtime/publish?channel=user%3A1&topic=news", {"n": 1}),
        ("http://s/v1/realtime/publish?channel=user%3A1&topic=news", {"n": 2}),
        ("http://s/v1/realtime/token", wish),
        ("http://s/v1/realtime/token", wish),
    ]
    with pytest.raises(inngest.Error, match="data cannot be written as JSON"):
        await realtime.publish(app, "c", "t", {"n": object()})
    http.reply = HttpReply(401, {}, b"no")
    with pytest.raises(inngest.Error, match="HTTP 401: no"):
        await realtime.publish(app, "c", "t", {})
    with pytest.raises(inngest.Error, match="no subscription token: HTTP 401"):
        await realtime.get_subscription_token(app, "c", ["t"])


class Bucket:
    """As much of a client for S3 as the driver needs."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}

    def put_object(self, *, Body: str, Bucket: str, Key: str) -> None:
        self.kept[Bucket, Key] = Body.encode()

    def get_object(self, *, Bucket: str, Key: str) -> Any:
        return {"Body": io.BytesIO(self.kept[Bucket, Key])}


@pytest.mark.parametrize("where", ["memory", "s3"])
async def test_c11_results_of_steps_are_kept_elsewhere(where: str) -> None:
    bucket = Bucket()
    driver = InMemoryDriver() if where == "memory" else S3Driver(bucket="b", client=bucket)

    async def handler(ctx: inngest.Context) -> Any:
        first = await ctx.step.run("large", lambda: {"rows": [1, 2]})
        await ctx.step.sleep("nap", 1)
        return first

    stage = Stage(handler, client=Client(middleware=[RemoteStateMiddleware.factory(driver)]))
    assert await stage.play() == {"rows": [1, 2]}
    stored = json.loads(bytes(stage.steps[stage.stack[0]]))["data"]
    assert (stored["__REMOTE_STATE__"], stored["__STRATEGY__"]) == (True, f"inngest/{where}")
    assert "rows" not in stored
    if where == "s3":
        assert stored["key"].startswith("inngest/remote_state/01M82BFDSEAXH732SHZM7R2J1X/")


async def test_c11_results_in_another_process_are_named() -> None:
    async def handler(ctx: inngest.Context) -> Any:
        return await ctx.step.run("a", lambda: 1)

    first = Client(middleware=[RemoteStateMiddleware.factory(InMemoryDriver())])
    stage = Stage(handler, client=first)
    await stage.wave(stage.operations(await stage.call()), lambda steps: steps)
    stage.client = Client(middleware=[RemoteStateMiddleware.factory(InMemoryDriver())])
    assert "another process" in (await stage.play())["message"]


def test_c11_sentry_has_its_official_place() -> None:
    from stepwell.experimental.sentry_middleware import SentryMiddleware
    from stepwell.sentry import SentryMiddleware as ours

    assert SentryMiddleware is ours


@pytest.mark.slow
def test_c11_a_dev_server_for_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEV_SERVER_PORT", str(port))
    monkeypatch.setenv("DEV_SERVER_LOGS", "1")
    monkeypatch.setenv("INNGEST_CONNECT_GATEWAY_PORT", "0")
    server = DevServer()
    with pytest.raises(RuntimeError, match="not running"):
        server.stop()
    server.start()
    try:
        app = inngest.Inngest(app_id="a", is_dev=True, base_url=server.origin)
        assert len(app.send_sync(EVENT)) == 1
        with pytest.raises(RuntimeError, match="running already"):
            server.start()
    finally:
        server.stop()
    assert (tmp_path / "artifacts" / "dev_server.log").exists()
    monkeypatch.setenv("DEV_SERVER_ENABLED", "0")
    server.start()
    server.stop()


def test_c11_the_simulator_of_digital_ocean() -> None:
    @client.create_function(fn_id="ocean", trigger=TRIGGER)
    def fn(ctx: inngest.ContextSync) -> int:
        return 1

    simulator = DigitalOceanSimulator(stepwell.digital_ocean.serve(client, [fn]))
    found = simulator.app.test_client().get(FULL_PATH)
    assert found.status_code == 200
    assert found.get_json()["function_count"] == 1


def test_the_providers_have_the_official_names() -> None:
    official = importlib.import_module("inngest.experimental.ai")
    assert set(official.__all__) <= set(ai.__all__)
    for found in pkgutil.iter_modules(official.__path__):
        theirs = importlib.import_module(f"inngest.experimental.ai.{found.name}")
        if hasattr(theirs, "Adapter"):
            assert getattr(ai, found.name).Adapter, found.name
