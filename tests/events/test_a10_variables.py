"""The table of environment variables at the end of A.10: each has its effect, on behaviour.

Those of E-181 to E-193 (`INNGEST_DEV`, `INNGEST_ENV`, branches, platforms) are beside this file.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import stepwell
from stepwell.experimental import ai
from stepwell.sdk.connect.option import ConnectOptions, plan
from stepwell.sdk.execution.pool import threads_max
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.response import ServeResponse
from stepwell.wire.signature import bearer, sign
from tests.events.shop import catching, new_client, running, until

KEY, OLD_KEY = "signkey-test-0123456789abcdef", "signkey-test-fedcba9876543210"


class Network:
    """An `http_client` that remembers its requests, and refuses the keys it is told to refuse."""

    def __init__(self, *refused: str) -> None:
        self.refused = {bearer(key) for key in refused}
        self.seen: list[tuple[str, str, Mapping[str, str], Any]] = []

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        self.seen.append((method, url, dict(headers), body and json.loads(body)))
        status = 401 if headers.get("authorization") in self.refused else 200
        return (status, {}, b'{"ids":["1"],"status":200,"ok":true,"modified":true}')

    @property
    def urls(self) -> list[str]:
        return [url for _, url, _, _ in self.seen]


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the process, empty to begin with."""
    variables: dict[str, str] = {}
    monkeypatch.setattr("os.environ", variables)
    return variables


def client(network: Network | None = None, **options: Any) -> stepwell.Inngest:
    return stepwell.Inngest(app_id="shop", http_client=network or Network(), **options)


async def ask(
    told: stepwell.Inngest, method: str, body: bytes = b"", **headers: str
) -> tuple[int, Any, Mapping[str, str]]:
    """What the client's endpoint answers."""
    served = ServeHandler(told, [], framework="x")
    request = ServeRequest(
        method=method,
        url="http://h.test/api/inngest",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        query={},
        body=body,
    )
    answer = await served.handle(request)
    assert isinstance(answer, ServeResponse)
    return answer.status, json.loads(answer.body), answer.headers


async def test_inngest_event_key(environ: dict[str, str]) -> None:
    environ["INNGEST_EVENT_KEY"] = "mine"
    network = Network()
    await client(network, is_production=True).send({"name": "a"})
    assert network.urls == ["https://inn.gs/e/mine"]


async def test_inngest_signing_key_and_its_fallback(environ: dict[str, str]) -> None:
    environ |= {"INNGEST_SIGNING_KEY": KEY, "INNGEST_SIGNING_KEY_FALLBACK": OLD_KEY}
    environ["INNGEST_ENABLE_UNAUTHED_SYNC"] = "1"
    network = Network(KEY)
    told = client(network, is_production=True)
    status, _, _ = await ask(told, "PUT")
    tokens = [headers["authorization"] for _, _, headers, _ in network.seen]
    assert (status, tokens) == (200, [bearer(KEY), bearer(OLD_KEY)])
    now_ms = 1_000 * int(time.time())
    for key, known in ((KEY, True), (OLD_KEY, True), ("signkey-test-00", False)):
        _, seen, _ = await ask(told, "GET", x_inngest_signature=sign(b"", key, now_ms))
        assert ("app_id" in seen) is known


@pytest.mark.parametrize(
    ("variables", "api", "events"),
    [
        ({"INNGEST_BASE_URL": "http://both.test"}, "http://both.test", "http://both.test"),
        ({"INNGEST_API_BASE_URL": "http://api.test"}, "http://api.test", "https://inn.gs"),
        (
            {"INNGEST_EVENT_API_BASE_URL": "http://event.test"},
            "https://api.inngest.com",
            "http://event.test",
        ),
        ({"NEXT_PUBLIC_INNGEST_BASE_URL": "http://web.test"}, "http://web.test", "http://web.test"),
    ],
)
async def test_inngest_base_urls(
    environ: dict[str, str], variables: dict[str, str], api: str, events: str
) -> None:
    environ |= {**variables, "INNGEST_EVENT_KEY": "k", "INNGEST_SIGNING_KEY": KEY}
    environ["INNGEST_ENABLE_UNAUTHED_SYNC"] = "1"
    network = Network()
    told = client(network)
    await told.send({"name": "a"})
    await ask(told, "PUT")
    assert network.urls == [f"{events}/e/k", f"{api}/fn/register"]


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"INNGEST_SERVE_ORIGIN": "https://o.test"}, "https://o.test/api/inngest"),
        ({"INNGEST_SERVE_HOST": "https://old.test"}, "https://old.test/api/inngest"),
        ({"INNGEST_SERVE_PATH": "/mine"}, "http://h.test/mine"),
    ],
)
async def test_inngest_serve_origin_host_and_path(
    environ: dict[str, str], variables: dict[str, str], url: str
) -> None:
    environ |= variables
    network = Network()
    await ask(client(network, is_dev=True), "PUT")
    assert network.seen[0][3]["url"] == url


@pytest.mark.parametrize(
    ("value", "status"), [("force", 201), ("allow", 200), ("disable", 200), ("false", 200)]
)
async def test_inngest_streaming(environ: dict[str, str], value: str, status: int) -> None:
    environ["INNGEST_STREAMING"] = value
    told = client(is_dev=True)

    @told.on("a", fn_id="echo")
    async def echo(ctx: stepwell.Context) -> int:
        return 7

    event = {"name": "a", "data": {}}
    body = {"ctx": {"run_id": "r", "attempt": 0}, "event": event, "events": [event], "steps": {}}
    query = {"fnId": "shop-echo", "stepId": "step"}
    answer = await ServeHandler(told, [echo], framework="x").handle(
        ServeRequest(
            method="POST",
            url="http://h.test/api/inngest",
            headers={},
            query=query,
            body=json.dumps(body).encode(),
        )
    )
    assert answer.status == status


def test_inngest_thread_pool_max_workers(environ: dict[str, str]) -> None:
    environ["INNGEST_THREAD_POOL_MAX_WORKERS"] = "3"
    assert threads_max() == 3
    assert ServeHandler(client(is_dev=True), [], framework="x")._setups.own.serve.threads_max == 3


async def test_inngest_allow_in_band_sync(environ: dict[str, str]) -> None:
    environ["INNGEST_SIGNING_KEY"] = KEY
    body = b'{"url":"http://h.test/api/inngest"}'
    for value, kind in (("1", "in_band"), ("0", "out_of_band")):
        environ["INNGEST_ALLOW_IN_BAND_SYNC"] = value
        signature = sign(body, KEY, 1_000 * int(time.time()))
        headers = {"x_inngest_sync_kind": "in_band", "x_inngest_signature": signature}
        _, _, said = await ask(client(is_production=True), "PUT", body, **headers)
        assert said["x-inngest-sync-kind"] == kind


async def test_inngest_enable_unauthed_sync(environ: dict[str, str]) -> None:
    environ["INNGEST_SIGNING_KEY"] = KEY
    for value, status in (("1", 200), ("false", 401)):
        environ["INNGEST_ENABLE_UNAUTHED_SYNC"] = value
        assert (await ask(client(is_production=True), "PUT"))[0] == status


@pytest.fixture
def sdk_logger() -> Iterator[logging.Logger]:
    """The SDK's own logger, as it is before anybody configures it."""
    logger = logging.getLogger("stepwell")
    level, handlers, passes = logger.level, list(logger.handlers), logger.propagate
    logger.propagate = False
    yield logger
    logger.setLevel(level)
    logger.handlers, logger.propagate = handlers, passes


@pytest.mark.parametrize(
    ("value", "level"),
    [("debug", 10), ("INFO", 20), ("warn", 30), ("error", 40), ("fatal", 50), ("silent", 60)],
)
async def test_inngest_log_level(
    environ: dict[str, str], value: str, level: int, sdk_logger: logging.Logger
) -> None:
    environ["INNGEST_LOG_LEVEL"] = value
    sdk_logger.handlers.clear()  # pytest's own
    told, _ = catching()
    await told.send({"name": "a"})
    assert sdk_logger.level == level
    assert len(sdk_logger.handlers) == 1, "nobody else would write the lines"
    await catching()[0].send({"name": "a"})
    assert len(sdk_logger.handlers) == 1


async def test_inngest_log_level_leaves_the_users_own_logger_alone(
    environ: dict[str, str], sdk_logger: logging.Logger
) -> None:
    environ["INNGEST_LOG_LEVEL"] = "debug"
    sdk_logger.handlers.clear()  # pytest's own
    own = logging.getLogger("tests.own")
    told, _ = catching(logger=own)
    await told.send({"name": "a"})
    assert (own.level, own.handlers, sdk_logger.handlers) == (0, [], [])
    environ["INNGEST_LOG_LEVEL"] = "loud"
    with pytest.raises(stepwell.ConfigurationError, match=r"INNGEST_LOG_LEVEL is 'loud'.*debug"):
        await catching()[0].send({"name": "a"})


@pytest.mark.parametrize("by", ["variable", "argument"])
@pytest.mark.parametrize("on", [True, False])
async def test_inngest_session_propagation(environ: dict[str, str], by: str, on: bool) -> None:
    options = {"session_propagation": on} if by == "argument" else {}
    if by == "variable":
        environ["INNGEST_SESSION_PROPAGATION"] = "true" if on else "false"
    told = new_client(**options)
    seen: dict[str, object] = {}

    @told.on("shop/sent")
    async def sent(ctx: stepwell.Context) -> None:
        seen["sent"] = dict(ctx.sessions)

    @told.on("shop/invoked")
    async def invoked(ctx: stepwell.Context) -> None:
        seen["invoked"] = dict(ctx.sessions)

    @told.on("shop/go")
    async def go(ctx: stepwell.Context) -> None:
        seen["own"] = dict(ctx.sessions)
        await ctx.step.send_event("send", {"name": "shop/sent"})
        await ctx.step.invoke("invoke", function=invoked)

    sessions = {"user": "u1"}
    async with running(told, sent, invoked, go):
        await told.send({"name": "shop/go", "meta": {"sessions": sessions}})
        await until(lambda: len(seen) == 3)
    inherited = sessions if on else {}
    assert seen == {"own": sessions, "sent": inherited, "invoked": inherited}


async def test_inngest_connect_variables(environ: dict[str, str]) -> None:
    environ |= {
        "INNGEST_CONNECT_MAX_WORKER_CONCURRENCY": "7",
        "INNGEST_CONNECT_GATEWAY_URL": "ws://gateway.test:9",
        "INNGEST_CONNECT_ISOLATE_EXECUTION": "true",
    }
    decided = plan([(client(is_dev=True), [])], ConnectOptions())
    assert decided.config.concurrency_max == 7
    assert decided.isolated
    assert decided.rewrite is not None
    assert decided.rewrite("ws://other.test:1/v0/connect") == "ws://gateway.test:9/v0/connect"


async def test_inngest_devserver_url_is_told_to_be_of_the_past(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    environ["INNGEST_DEVSERVER_URL"] = "http://dev.test:1"
    network = Network()
    await client(network, is_dev=True).send({"name": "a"})
    assert network.urls == ["http://127.0.0.1:8288/e/NO_EVENT_KEY_SET"]
    assert "INNGEST_DEVSERVER_URL" in caplog.text
    assert "INNGEST_DEV=http://dev.test:1" in caplog.text


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("OPENAI_API_KEY", ai.openai),
        ("ANTHROPIC_API_KEY", ai.anthropic),
        ("GEMINI_API_KEY", ai.gemini),
        ("DEEPSEEK_API_KEY", ai.deepseek),
        ("XAI_API_KEY", ai.grok),
    ],
)
def test_keys_of_models(environ: dict[str, str], name: str, provider: Any) -> None:
    with pytest.raises(stepwell.ConfigurationError, match=f"auth_key.*{name}"):
        provider.Adapter(model="m")
    environ[name] = "secret"
    assert provider.Adapter(model="m").auth_key() == "secret"
    assert provider.Adapter(auth_key="told", model="m").auth_key() == "told"
