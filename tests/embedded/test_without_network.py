"""With the engine embedded, nothing of the client reaches for the network: it is forbidden here."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell.embedded import Engine
from stepwell.experimental import realtime
from stepwell.experimental.ai import openai
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.net.port import NetworkError
from stepwell.server.engine.rules import Rules

GO = stepwell.TriggerEvent(event="shop/go")


class Reached(AssertionError):
    """Something tried to open a connection."""


@pytest.fixture(autouse=True)
def reached(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where somebody wanted to connect to, while connecting is forbidden."""
    wanted: list[str] = []
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def checked(self: socket.socket, address: Any) -> Any:
            if self.family == getattr(socket, "AF_UNIX", None):
                return real(self, address)
            wanted.append(str(address))
            raise ConnectionRefusedError(f"forbidden here: {address}")

        return checked

    def resolved(host: Any, *rest: Any, **more: Any) -> Any:
        wanted.append(str(host))
        raise socket.gaierror(f"forbidden here: {host}")

    monkeypatch.setattr(socket.socket, "connect", guarded(connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    for name in ("INNGEST_DEV", "INNGEST_BASE_URL", "INNGEST_API_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return wanted


class Shop:
    """An engine with one function of a body."""

    def __init__(self, database: Path) -> None:
        self.client = stepwell.Inngest(app_id="shop", is_production=False)
        self.database = database
        self.engines: list[Engine] = []

    async def start(self, body: Callable[..., Any]) -> Engine:
        @self.client.create_function(
            fn_id="child", trigger=stepwell.TriggerEvent(event="shop/child")
        )
        async def child(ctx: stepwell.Context) -> str:
            return "child"

        @self.client.create_function(fn_id="go", trigger=GO, retries=0)
        async def go(ctx: stepwell.Context) -> Any:
            return await body(ctx, child)

        engine = Engine(
            self.client, [child, go], database=self.database, rules=Rules(retry_interval_ms=10)
        )
        await engine.start()
        self.engines.append(engine)
        return engine

    async def result(self, body: Callable[..., Any]) -> Any:
        engine = await self.start(body)
        (event_id,) = await self.client.send(stepwell.Event(name="shop/go"))
        return await engine.result_of(event_id, timeout_seconds=10)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(tmp_path / "engine.db")
    yield shop
    for engine in shop.engines:
        await engine.stop()


async def double(n: int) -> int:
    return 2 * n


STEPS: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "run": (lambda ctx, child: ctx.step.run("s", double, 21), 42),
    "ai.wrap": (lambda ctx, child: ctx.step.ai.wrap("s", double, 21), 42),
    "sleep": (lambda ctx, child: ctx.step.sleep("s", 10), None),
    "sleep_until": (lambda ctx, child: ctx.step.sleep_until("s", ctx.event.datetime), None),
    "invoke": (lambda ctx, child: ctx.step.invoke("s", function=child), "child"),
    "invoke_by_id": (lambda ctx, child: ctx.step.invoke_by_id("s", function_id="child"), "child"),
    "wait_for_event": (
        lambda ctx, child: ctx.step.wait_for_event("s", event="shop/never", timeout=10),
        None,
    ),
    "wait_for_signal": (
        lambda ctx, child: ctx.step.wait_for_signal("s", signal="never", timeout=10),
        None,
    ),
    "send_signal": (lambda ctx, child: ctx.step.send_signal("s", signal="nobody"), None),
    "score": (lambda ctx, child: ctx.step.score("s", name="good", value=1, step_id="other"), None),
    "metadata": (lambda ctx, child: ctx.step.metadata("s", {"n": 1}, step_id="other"), None),
}


@pytest.mark.parametrize("tool", STEPS)
async def test_every_step_tool(shop: Shop, reached: list[str], tool: str) -> None:
    ask, expected = STEPS[tool]
    assert await shop.result(ask) == expected
    assert reached == []


async def test_a_step_sends_events(shop: Shop, reached: list[str]) -> None:
    found = await shop.result(lambda ctx, _: ctx.step.send_event("s", {"name": "shop/child"}))
    assert len(found) == 1
    assert reached == []


async def failure_of(asked: Any) -> list[str]:
    try:
        await asked
    except stepwell.StepError as error:
        return [error.name, str(error)]
    raise AssertionError("it did not fail")


async def test_what_a_function_asks_its_server_to_fetch_is_asked_by_the_engine(
    shop: Shop, reached: list[str]
) -> None:
    """These are requests of the user's own, and are made: nothing hangs."""
    adapter = openai.Adapter(auth_key="key", model="m", base_url="http://127.0.0.1:9")

    async def body(ctx: Any, child: Any) -> Any:
        return [
            await failure_of(ctx.step.fetch("f", "http://127.0.0.1:9/a")),
            await failure_of(ctx.step.ai.infer("i", adapter=adapter, body={"messages": []})),
        ]

    fetched, inferred = await shop.result(body)
    assert fetched[0] == "GatewayError"
    assert inferred[0] == "AIGatewayError"
    assert {json.dumps(one) for one in reached} == {json.dumps("('127.0.0.1', 9)")}


async def waiting_for_a_signal(ctx: Any, child: Any) -> Any:
    found = await ctx.step.wait_for_signal("s", signal="paid", timeout="10s")
    return [found.signal, found.data]


@pytest.mark.parametrize("blocking", [False, True])
async def test_signals_reach_the_run_that_waits(
    shop: Shop, reached: list[str], blocking: bool
) -> None:
    engine = await shop.start(waiting_for_a_signal)
    (event_id,) = await shop.client.send(stepwell.Event(name="shop/go"))
    run_id = None
    while run_id is None:  # until it waits
        data = {"n": 2**53 + 1}
        if blocking:
            run_id = await asyncio.to_thread(shop.client.send_signal_sync, "paid", data)
        else:
            run_id = await shop.client.send_signal("paid", data)
        await asyncio.sleep(0.01)
    found = await engine.result_of(event_id, timeout_seconds=10)
    assert found == ["paid", {"n": 2**53 + 1}]
    assert reached == []


CLIENT: dict[str, Callable[[stepwell.Inngest], Any]] = {
    "send": lambda client: client.send({"name": "shop/child"}),
    "invoke": lambda client: client.invoke("shop-child"),
    "send_signal": lambda client: client.send_signal("nobody"),
    "send_sync": lambda client: asyncio.to_thread(client.send_sync, {"name": "shop/child"}),
    "send_signal_sync": lambda client: asyncio.to_thread(client.send_signal_sync, "nobody"),
}


ABOUT_RUNS: dict[str, Callable[[stepwell.Inngest, str], Any]] = {
    "score": lambda client, run_id: client.score(name="good", value=1, run_id=run_id),
    "metadata": lambda client, run_id: client.metadata({"n": 1}, run_id=run_id),
    "score_sync": lambda client, run_id: asyncio.to_thread(
        client.score_sync, name="good", value=1, run_id=run_id
    ),
    "metadata_sync": lambda client, run_id: asyncio.to_thread(
        client.metadata_sync, {"n": 1}, run_id=run_id
    ),
}


@pytest.mark.parametrize("method", ABOUT_RUNS)
async def test_what_is_said_of_a_run(shop: Shop, reached: list[str], method: str) -> None:
    await shop.start(lambda ctx, child: None)
    run_id = await shop.client.invoke("shop-child", wait=False)
    await ABOUT_RUNS[method](shop.client, run_id)
    with pytest.raises(stepwell.Error, match="no such run"):
        await ABOUT_RUNS[method](shop.client, "01M82BFDSEAXH732SHZM7R2J1X")
    assert reached == []


@pytest.mark.parametrize("method", CLIENT)
async def test_every_method_of_the_client(shop: Shop, reached: list[str], method: str) -> None:
    await shop.start(lambda ctx, child: None)
    await CLIENT[method](shop.client)
    assert reached == []


async def test_what_only_a_server_has_is_refused_at_once(shop: Shop, reached: list[str]) -> None:
    await shop.start(lambda ctx, child: None)
    with pytest.raises(ConfigurationError, match="the engine runs in this process"):
        await realtime.get_subscription_token(shop.client, "channel", ["topic"])
    with pytest.raises(ConfigurationError, match="the engine runs in this process"):
        token = realtime.get_subscription_token_sync
        await asyncio.to_thread(token, shop.client, "channel", ["topic"])
    assert reached == []


async def test_after_the_engine_the_client_goes_back_to_its_server(
    shop: Shop, reached: list[str]
) -> None:
    engine = await shop.start(lambda ctx, child: None)
    await engine.stop()
    shop.engines.clear()
    with pytest.raises(NetworkError):
        await shop.client.send_signal("nobody")
    assert reached != []
