"""The client: arguments and late settings, ports, sending in both colours, declaring functions."""

import datetime as dt
import inspect
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import stepwell
from stepwell import (
    ConfigurationError,
    Context,
    ContextSync,
    Event,
    EventKeyUnspecifiedError,
    EventValidationError,
    Function,
    FunctionConfigInvalidError,
    Inngest,
    SendEventsError,
    TriggerCron,
    TriggerEvent,
)
from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.sdk.net.shared import shared_port
from stepwell.sdk.send.delivery import Delivery, EventBatch
from stepwell.wire import limit
from stepwell.wire.identifier import parse_seed

OK = HttpReply(200, {}, b'{"ids":["1"],"status":200}')


class Http:
    """Answers with what it is given, the last again and again."""

    def __init__(self, *replies: HttpReply | Exception) -> None:
        self.replies = list(replies) or [OK]
        self.seen: list[tuple[str, str, dict[str, str], Any, float]] = []

    def request_sync(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        decoded = None if body is None else json.loads(body)
        self.seen.append((method, url, dict(headers), decoded, timeout_seconds))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        return self.request_sync(method, url, **given)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INNGEST_DEV", "INNGEST_EVENT_KEY", "INNGEST_SIGNING_KEY", "INNGEST_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(limit, "SEND_BACKOFF_MS", 1)


def dev(http: Http | None = None, **options: Any) -> Inngest:
    return Inngest(app_id="app", is_dev=True, http_client=http or Http(), **options)


Sender = Callable[..., Any]


@pytest.fixture(params=["async", "sync"])
def send(request: pytest.FixtureRequest) -> Sender:
    """`send` of a client in both colours, to be awaited."""

    async def sending(client: Inngest, events: Any, **options: Any) -> Any:
        if request.param == "sync":
            return client.send_sync(events, **options)
        return await client.send(events, **options)

    return sending


# What the official SDK promises


def test_the_constructor_has_the_official_arguments_first() -> None:
    parameters = inspect.signature(Inngest).parameters
    official = (
        *("app_id", "api_base_url", "app_version", "env", "event_api_base_url", "event_key"),
        *("is_production", "logger", "middleware", "request_timeout", "serializer", "signing_key"),
    )
    assert tuple(parameters)[: len(official)] == official
    assert {p.kind for p in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert [n for n, p in parameters.items() if p.default is not None] == ["app_id"]


def test_create_function_has_the_official_arguments() -> None:
    parameters = dict(inspect.signature(Inngest.create_function).parameters)
    assert parameters.pop("unknown").kind is inspect.Parameter.VAR_KEYWORD  # refused by name
    assert set(parameters) == {
        *("self", "batch_events", "cancel", "concurrency", "debounce", "fn_id", "idempotency"),
        *("middleware", "name", "on_failure", "output_type", "priority", "rate_limit", "retries"),
        *("throttle", "timeouts", "singleton", "trigger", "non_retriable", "reraise"),
        *("handler", "backlog", "fairness", "limits", "run_concurrency", "checkpointing"),
        *("description", "code_version", "on_code_change"),
    }
    required = [n for n, p in parameters.items() if p.default is inspect.Parameter.empty]
    assert required == ["self", "fn_id", "trigger"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"logger": "app"}, "logger = 'app': give one of logging, structlog or loguru"),
        ({"logger": print}, "logger = <built-in function print>: give one of"),
        ({"schemas": {}}, r"schemas = \{\}: give EventSchemas\(\)"),
        ({"schemas": {"user/created": dict}}, "schemas = .*: give EventSchemas"),
    ],
)
def test_e_151_what_is_no_logger_and_no_schemas_is_told(options: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Inngest(app_id="app", **options)
    if "logger" in options:
        with pytest.raises(ConfigurationError, match=words):
            Inngest(app_id="app").set_logger(options["logger"])


def test_e_92_a_condition_has_one_name_at_a_time() -> None:
    with pytest.raises(FunctionConfigInvalidError, match="if_exp = 'y': it is another name of exp"):
        TriggerEvent(event="a", expression="x", if_exp="y")


def test_every_official_name_is_exported() -> None:
    inngest = pytest.importorskip("inngest")
    assert set(inngest.__all__) <= set(stepwell.__all__)


# Configuration


def test_settings_are_decided_at_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Inngest(app_id="app")
    monkeypatch.setenv("INNGEST_DEV", "http://later.test")
    monkeypatch.setenv("INNGEST_EVENT_KEY", "k")
    assert client.api_origin == client.event_api_origin == "http://later.test"
    assert not client.is_production
    assert client.event_key == "k"
    monkeypatch.setenv("INNGEST_DEV", "0")
    assert not client.is_production


def test_variables_can_be_handed_over_later() -> None:
    client = Inngest(app_id="app")
    assert client.is_production
    client.set_env_vars({"INNGEST_DEV": "1", "INNGEST_SIGNING_KEY": "s"})
    client.set_env_vars({"INNGEST_SIGNING_KEY_FALLBACK": "f", "INNGEST_ENV": "e"})
    assert not client.is_production
    assert (client.signing_key, client.signing_key_fallback, client.env) == ("s", "f", "e")
    client.set_event_key("k")
    assert client.event_key == "k"


def test_wrong_arguments_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (
        {"app_id": ""},
        {"app_id": None},
        {"app_id": "a", "is_dev": True, "is_production": True},
        {"app_id": "a", "api_base_url": "no url"},
        {"app_id": "a", "request_timeout": 0},
        {"app_id": "a", "send_retries": -1},
    ):
        with pytest.raises(ConfigurationError):
            Inngest(**wrong)  # type: ignore[arg-type]
    monkeypatch.setenv("INNGEST_DEV", "nonsense")
    client = Inngest(app_id="a")
    with pytest.raises(ConfigurationError, match="INNGEST_DEV"):
        _ = client.is_production


def test_plain_members() -> None:
    logger = logging.getLogger("mine")
    client = Inngest(app_id="app", logger=logger, app_version="7")
    assert (client.app_id, client.logger, client.app_version) == ("app", logger, "7")
    assert client.middleware == []
    assert client.http is shared_port()
    other = logging.getLogger("other")
    client.set_logger(other)
    assert client.logger is other
    client.add_middleware(lambda client, raw: None)
    assert len(client.middleware) == 1


def test_keys_are_not_shown() -> None:
    client = Inngest(app_id="app", signing_key="signkey-test-0123", event_key="secret-key")
    shown = repr(client) + repr(client.settings) + repr(client.settings.decisions)
    assert "0123" not in shown
    assert "secret-key" not in shown


def test_a_branch_key_without_environment_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert Inngest(app_id="a", signing_key="signkey-branch-12").signing_key
    assert "INNGEST_ENV" in caplog.text
    caplog.clear()
    assert Inngest(app_id="a", signing_key="signkey-branch-12", env="x").signing_key
    assert caplog.text == ""


# Sending


async def test_one_event(send: Sender) -> None:
    http = Http()
    result = await send(dev(http), Event(name="a", data={"x": 1}))
    assert result == ["1"] == result.ids
    assert isinstance(result, list)
    ((method, url, headers, body, timeout),) = http.seen
    assert (method, url) == ("POST", "http://127.0.0.1:8288/e/NO_EVENT_KEY_SET")
    assert timeout == 30
    assert headers["content-type"] == "application/json"
    assert headers["x-inngest-sdk"] == headers["user-agent"]
    assert headers["x-inngest-sdk"] == f"inngest-py:v{stepwell.__version__}"
    assert "x-inngest-env" not in headers
    seed = parse_seed(headers["x-inngest-event-id-seed"])
    assert seed is not None
    assert body == [{"name": "a", "data": {"x": 1}, "ts": seed.time_ms}]


async def test_key_origin_environment_and_time_out(send: Sender) -> None:
    http = Http()
    client = Inngest(
        app_id="a",
        event_key="k/ü",
        env="main",
        event_api_base_url="https://e.test/prefix/",
        http_client=http,
        request_timeout=dt.timedelta(seconds=2),
    )
    await send(client, [{"name": "a"}, {"name": "b"}])
    await send(client, {"name": "a"}, env="staging", seed="5,AAAAAAAAAAAAAA==")
    (_, url, headers, body, timeout), (_, _, other, _, _) = http.seen
    assert url == "https://e.test/prefix/e/k%2F%C3%BC"
    assert headers["x-inngest-env"] == "main"
    assert other["x-inngest-env"] == "staging"
    assert other["x-inngest-event-id-seed"] == "5,AAAAAAAAAAAAAA=="
    assert [event["name"] for event in body] == ["a", "b"]
    assert timeout == 2
    assert Inngest(app_id="a", request_timeout=500)._timeout_seconds == 0.5


async def test_nothing_to_send(send: Sender, caplog: pytest.LogCaptureFixture) -> None:
    http = Http()
    client = Inngest(app_id="a", http_client=http)  # cloud, without a key: nobody asks for it
    with pytest.warns(stepwell.InngestWarning, match="no events"):
        assert (await send(client, [])).ids == []
    assert http.seen == []
    assert "no events" in caplog.text


async def test_without_a_key_nothing_leaves(send: Sender) -> None:
    http = Http()
    client = Inngest(app_id="a", http_client=http)
    with pytest.raises(EventKeyUnspecifiedError, match="INNGEST_EVENT_KEY"):
        await send(client, Event(name="a"))
    assert http.seen == []


async def test_malformed_events_do_not_leave(send: Sender) -> None:
    http = Http()
    with pytest.raises(EventValidationError, match=r"Event\[1\]"):
        await send(dev(http), [{"name": "a"}, {"data": {}}])
    with pytest.raises(EventValidationError, match=r"Event\[1\]"):
        await send(dev(http), [{"name": "a"}, {"name": ""}], all_or_nothing=True)
    assert http.seen == []


async def test_tries_repeat_the_very_same_request(send: Sender) -> None:
    http = Http(NetworkError("x", "refused"), HttpReply(503, {}, b""), HttpReply(429, {}, b""), OK)
    assert await send(dev(http), Event(name="a")) == ["1"]
    assert len(http.seen) == 4
    assert all(seen == http.seen[0] for seen in http.seen)


@pytest.mark.parametrize(("retries", "tries"), [(None, 5), (0, 1), (2, 3)])
async def test_tries_end(send: Sender, retries: int | None, tries: int) -> None:
    http = Http(NetworkError("nobody listens", "refused"))
    with pytest.raises(SendEventsError, match="nobody listens") as caught:
        await send(dev(http, send_retries=retries), Event(name="a"))
    assert len(http.seen) == tries
    assert caught.value.ids == []


async def test_refusals_are_not_repeated(send: Sender) -> None:
    http = Http(HttpReply(400, {}, b'{"ids":["1",""],"status":400,"error":"bad"}'))
    with pytest.raises(SendEventsError, match="Inngest API Error: 400 bad") as caught:
        await send(dev(http), [Event(name="a"), Event(name="b")])
    assert (len(http.seen), caught.value.ids, caught.value.status_code) == (1, ["1"], 400)


async def test_large_lists_are_split_if_asked(send: Sender, monkeypatch: Any) -> None:
    monkeypatch.setattr(limit, "EVENTS_PER_REQUEST_MAX", 2)
    events = [Event(name=f"e{n}") for n in range(5)]
    with pytest.raises(SendEventsError, match="split=True"):
        await send(dev(), events)
    replies = [HttpReply(200, {}, b'{"ids":["%d"]}' % n) for n in range(3)]
    http = Http(*replies)
    assert await send(dev(http), events, split=True) == ["0", "1", "2"]
    assert [len(body) for *_, body, _ in http.seen] == [2, 2, 1]
    assert len({headers["x-inngest-event-id-seed"] for _, _, headers, *_ in http.seen}) == 3
    http = Http(replies[0], HttpReply(400, {}, b'{"error":"bad"}'))
    with pytest.raises(SendEventsError, match="bad") as caught:
        await send(dev(http), events, split=True)
    assert caught.value.ids == ["0"]


async def test_large_events_are_told(send: Sender, caplog: pytest.LogCaptureFixture) -> None:
    await send(dev(), Event(name="big", data={"x": "y" * 300_000}))
    assert "'big' is large" in caplog.text


class Hooks:
    """Middleware that sees events come and go."""

    log: list[Any]

    def __init__(self, client: object, raw_request: object) -> None:
        self.made_with = (client, raw_request)

    def before_send_events(self, events: list[Event]) -> None:
        for event in events:
            event.data = {**event.data, "added": True}
        events.append(Event(name="more"))
        Hooks.log.append(self.made_with)

    def after_send_events(self, result: stepwell.SendEventsResult) -> None:
        Hooks.log.append((result.ids, result.error))


async def test_hooks(send: Sender) -> None:
    Hooks.log = []
    http = Http(OK, HttpReply(400, {}, b'{"error":"bad"}'))
    client = dev(http, middleware=[Hooks])
    await send(client, Event(name="a"))
    assert [event["name"] for event in http.seen[0][3]] == ["a", "more"]
    assert http.seen[0][3][0]["data"] == {"added": True}
    with pytest.raises(SendEventsError):
        await send(client, Event(name="a"))
    made, no_error, _, (ids, error) = Hooks.log
    assert (made, no_error) == ((client, None), (["1"], None))
    assert ids == []
    assert "bad" in error
    http = Http()
    await send(dev(http, middleware=[Hooks]), Event(name="a"), skip_middleware=True)
    assert [event["name"] for event in http.seen[0][3]] == ["a"]


class InProcess:
    def __init__(self) -> None:
        self.batches: list[EventBatch] = []

    async def deliver(self, batch: EventBatch) -> Delivery:
        return self.deliver_sync(batch)

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        self.batches.append(batch)
        return Delivery(200, ("in", "process"))


async def test_another_port_takes_the_events(send: Sender) -> None:
    http, port = Http(), InProcess()
    client = Inngest(app_id="a", http_client=http)
    client.event_port = port
    assert await send(client, [Event(name="a"), Event(name="b")], env="e") == ["in", "process"]
    (batch,) = port.batches
    assert (batch.count, batch.env) == (2, "e")
    assert parse_seed(batch.seed) is not None
    assert [event["name"] for event in json.loads(batch.body)] == ["a", "b"]
    assert http.seen == []
    client.event_port = None
    with pytest.raises(EventKeyUnspecifiedError):
        await send(client, Event(name="a"))


# Signals


@pytest.mark.parametrize(
    ("reply", "run"),
    [
        (HttpReply(200, {}, b'{"data":{"run_id":"r"}}'), "r"),
        (HttpReply(404, {}, b'{"error":"No signal found"}'), None),
        (HttpReply(200, {}, b'{"data":null}'), None),
    ],
)
async def test_signals(reply: HttpReply, run: str | None) -> None:
    http = Http(reply)
    client = dev(http, signing_key="signkey-test-12345678")
    assert await client.send_signal("s", {"x": 1}) == run
    assert client.send_signal_sync("s", {"x": 1}) == run
    for method, url, headers, body, _ in http.seen:
        assert (method, url) == ("POST", "http://127.0.0.1:8288/v1/signals")
        assert headers["authorization"].startswith("Bearer signkey-test-b2ed99")
        assert body == {"signal": "s", "data": {"x": 1}}


@pytest.mark.parametrize("body", [b'{"error":"wrong"}', b"wrong"])
async def test_signals_that_are_refused(body: bytes) -> None:
    with pytest.raises(stepwell.Error, match="HTTP 400: wrong"):
        await dev(Http(HttpReply(400, {}, body))).send_signal("s")


# Functions


def test_functions_of_both_colours() -> None:
    client = dev()

    @client.create_function(fn_id="f", trigger=TriggerEvent(event="a"), retries=2, name="F")
    async def f(ctx: Context) -> int:
        return 1

    @client.create_function(
        fn_id="g", trigger=[TriggerEvent(event="a"), TriggerCron(cron="0 9 * * *")]
    )
    def g(ctx: ContextSync) -> str:
        return ""

    assert isinstance(f, Function)
    assert (f.id, f.local_id, f.name, f.is_handler_async) == ("app-f", "f", "F", True)
    assert (g.id, g.name, g.is_handler_async) == ("app-g", "g", False)
    assert f.config("http://h").retries == 2
    assert len(g.config("http://h").triggers) == 2


def test_e_91_short_forms() -> None:
    client = dev()

    @client.on("user/created", expression="event.data.x > 1", retries=0)
    async def greet_new_user(ctx: Context) -> None: ...

    @client.cron("TZ=Europe/Paris 0 9 * * *", jitter="30s", fn_id="daily")
    def work(ctx: ContextSync) -> None: ...

    assert greet_new_user.id == "app-greet-new-user"
    (trigger,) = greet_new_user.config("http://h").triggers
    assert (trigger.event, trigger.expression) == ("user/created", "event.data.x > 1")
    assert greet_new_user.config("http://h").retries == 0
    (trigger,) = work.config("http://h").triggers
    assert (work.id, trigger.cron, trigger.jitter) == (
        "app-daily",
        "TZ=Europe/Paris 0 9 * * *",
        "30s",
    )


def test_what_cannot_be_a_function() -> None:
    client = dev()
    with pytest.raises(FunctionConfigInvalidError, match="fn_id"):
        client.on("a")(lambda ctx: None)
    made = client.on("a", fn_id="x")(lambda ctx: None)
    with pytest.raises(FunctionConfigInvalidError, match="one decorator makes one"):
        client.on("b", fn_id="y")(made)  # type: ignore[call-overload]


def test_nothing_warns_at_import_or_construction() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Inngest(app_id="a")
