"""Models asked end to end: the embedded engine asks a local fake of each provider, which wants its
key where the real one wants it."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

import stepwell
from stepwell.embedded import Engine
from stepwell.experimental import ai
from stepwell.experimental.ai import (
    anthropic,
    azure_openai,
    bedrock,
    gemini,
    openai,
    openai_responses,
)
from stepwell.server.engine.rules import Rules

GO = stepwell.TriggerEvent(event="model/asked")
KEY = "key-of-the-provider"
ASKED = [{"role": "user", "content": "What is 6 times 7?"}]

Key = Callable[[web.Request], str | None]


def bearer(request: web.Request) -> str | None:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def header(name: str) -> Key:
    return lambda request: request.headers.get(name)


def in_the_address(request: web.Request) -> str | None:
    return request.query.get("key")


CHAT = {
    "id": "c1",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "42"},
            "finish_reason": "stop",
        }
    ],
}


@dataclass
class Provider:
    """What a provider wants and answers."""

    path: str
    key: Key
    answer: dict[str, Any]
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    fails: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        if self.key(request) != KEY:
            return web.json_response({"error": "who are you?"}, status=401)
        if self.fails:
            self.fails -= 1
            return web.json_response({"error": "busy"}, status=529)
        return web.json_response(self.answer)


Start = Callable[[Provider], Any]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    runners: list[web.AppRunner] = []

    async def started(provider: Provider) -> str:
        app = web.Application()
        app.router.add_post(provider.path, provider.handle)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield started
    for runner in runners:
        await runner.cleanup()


async def result(client: stepwell.Inngest, function: Any) -> Any:
    async with Engine(
        client, [function], database=":memory:", rules=Rules(retry_interval_ms=10)
    ) as engine:
        (event_id,) = await client.send(stepwell.Event(name="model/asked"))
        return await engine.result_of(event_id, timeout_seconds=10)


CHATTING = ["openai", "deepseek", "grok", "mistral", "ollama", "litellm"]


@pytest.mark.parametrize("name", CHATTING)
async def test_who_speaks_as_openai_does(start: Start, name: str) -> None:
    provider = Provider("/chat/completions", bearer, CHAT)
    url = await start(provider)
    client = stepwell.Inngest(app_id="a", is_production=False)
    adapter = getattr(ai, name).Adapter(
        auth_key=KEY, model="m", base_url=url, default_parameters={"temperature": 0.5}
    )

    @client.create_function(fn_id="f", trigger=GO)
    async def function(ctx: stepwell.Context) -> Any:
        said = await ctx.step.ai.infer("ask", adapter=adapter, body={"messages": ASKED})
        return said["choices"]

    assert await result(client, function) == CHAT["choices"]
    assert provider.asked == [{"messages": ASKED, "temperature": 0.5, "model": "m"}]


async def test_typed_bodies_and_answers(start: Start) -> None:
    """Each provider in its own dialect; what is used of its answer has a type."""
    chat = Provider("/chat/completions", bearer, CHAT)
    deployed = Provider(
        "/openai/deployments/small/chat/completions",
        lambda request: (
            KEY
            if request.headers.get("api-key") == KEY
            and request.query["api-version"] == "2024-10-21"
            else None
        ),
        CHAT,
    )
    responses = Provider(
        "/responses",
        bearer,
        {"id": "r", "model": "m", "status": "completed", "output": [{"type": "message"}]},
    )
    claude = Provider(
        "/messages",
        lambda request: (
            request.headers.get("x-api-key") if request.headers.get("anthropic-version") else None
        ),
        {"id": "a", "content": [{"type": "text", "text": "42"}], "stop_reason": "end_turn"},
    )
    google = Provider(
        "/models/m:generateContent",
        in_the_address,
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "42"}]}}]},
    )
    amazon = Provider(
        "/model/m/converse",
        bearer,
        {"output": {"message": {"role": "assistant", "content": [{"text": "42"}]}}},
    )
    providers = [chat, deployed, responses, claude, google, amazon]
    urls = [await start(provider) for provider in providers]
    client = stepwell.Inngest(app_id="a", is_production=False)

    @client.create_function(fn_id="f", trigger=GO)
    async def function(ctx: stepwell.Context) -> list[Any]:
        ask = ctx.step.ai.infer
        said = await ask(
            "openai",
            adapter=openai.Adapter(auth_key=KEY, model="m", base_url=urls[0]),
            body=openai.Body(messages=[{"role": "user", "content": "6 * 7?"}]),
        )
        on_azure = await ask(
            "azure",
            adapter=azure_openai.Adapter(
                auth_key=KEY,
                model="m",
                endpoint=urls[1],
                deployment="small",
                api_version="2024-10-21",
            ),
            body=azure_openai.Body(messages=[{"role": "user", "content": "6 * 7?"}]),
        )
        responded = await ask(
            "responses",
            adapter=openai_responses.Adapter(auth_key=KEY, model="m", base_url=urls[2]),
            body=openai_responses.Body(input="6 * 7?"),
        )
        of_claude = await ask(
            "anthropic",
            adapter=anthropic.Adapter(auth_key=KEY, model="m", base_url=urls[3]),
            body=anthropic.Body(max_tokens=10, messages=[{"role": "user", "content": "6 * 7?"}]),
        )
        of_google = await ask(
            "gemini",
            adapter=gemini.Adapter(auth_key=KEY, model="m", base_url=urls[4]),
            body=gemini.Body(contents=[{"role": "user", "parts": [{"text": "6 * 7?"}]}]),
        )
        of_amazon = await ask(
            "bedrock",
            adapter=bedrock.Adapter(auth_key=KEY, model="m", region="eu-west-1", base_url=urls[5]),
            body=bedrock.Body(messages=[{"role": "user", "content": [{"text": "6 * 7?"}]}]),
        )
        return [
            said["choices"][0]["message"]["content"],
            on_azure["choices"][0]["message"]["content"],
            responded["status"],
            of_claude["content"][0].get("text"),
            of_google["candidates"][0]["content"]["parts"][0].get("text"),
            of_amazon["output"]["message"]["content"][0]["text"],
        ]

    assert await result(client, function) == ["42", "42", "completed", "42", "42", "42"]
    assert [len(provider.asked) for provider in providers] == [1] * 6
    assert "model" not in amazon.asked[0]


async def test_a_provider_that_is_busy_is_asked_again_and_a_refusal_says_what_it_said(
    start: Start,
) -> None:
    busy = Provider("/messages", header("x-api-key"), {"content": []}, fails=2)
    strict = Provider("/chat/completions", lambda _: None, CHAT)
    client = stepwell.Inngest(app_id="a", is_production=False)
    urls = [await start(busy), await start(strict)]

    @client.create_function(fn_id="f", trigger=GO, retries=2)
    async def function(ctx: stepwell.Context) -> list[str]:
        await ctx.step.ai.infer(
            "busy",
            adapter=anthropic.Adapter(auth_key=KEY, model="m", base_url=urls[0]),
            body={"messages": ASKED},
        )
        try:
            await ctx.step.ai.infer(
                "strict",
                adapter=openai.Adapter(auth_key=KEY, model="m", base_url=urls[1]),
                body={"messages": ASKED},
            )
        except stepwell.StepError as error:
            return [error.name, error.message, json.dumps(error.stack)]
        return []

    name, message, stack = await result(client, function)
    assert (name, message) == (
        "AIGatewayError",
        "Error making AI request: unsuccessful status code: 401",
    )
    assert "who are you?" in stack
    assert KEY not in stack
    assert (len(busy.asked), len(strict.asked)) == (3, 3)


async def test_an_adapter_may_make_a_value_of_the_answer(start: Start) -> None:
    @dataclass
    class Said:
        text: str

    class Mine(openai.Adapter):
        def answered(self, body: openai.Body, found: dict[str, object]) -> Any:
            text = super().answered(body, found)["choices"][0]["message"]["content"]
            return Said(text or "")

    url = await start(Provider("/chat/completions", bearer, CHAT))
    client = stepwell.Inngest(app_id="a", is_production=False)

    @client.create_function(fn_id="f", trigger=GO)
    def function(ctx: stepwell.ContextSync) -> str:
        adapter = Mine(auth_key=KEY, model="m", base_url=url)
        said = ctx.step.ai.infer("ask", adapter=adapter, body=openai.Body(messages=[]))
        assert isinstance(said, Said)
        return said.text

    assert await result(client, function) == "42"
