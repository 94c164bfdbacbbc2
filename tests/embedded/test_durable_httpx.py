"""Requests of httpx as steps: the engine makes them, and whoever asked goes on with the answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web

import stepwell
from stepwell.embedded import Engine
from stepwell.httpx import DurableTransport
from stepwell.server.engine.rules import Rules

GO = stepwell.TriggerEvent(event="page/wanted")
ORDER = {"total": "12 €"}
# Versions of httpx write JSON in their own ways.
WRITTEN = httpx.Request("POST", "http://shop", json=ORDER).content.decode()


class Site:
    """Answers with what it was asked, squeezed where that is allowed."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.asked.append((request.method, request.path_qs, body))
        if request.path == "/missing":
            return web.json_response({"error": "not here"}, status=404)
        answer = web.json_response(
            {"body": body, "agent": request.headers.get("x-agent")}, headers={"x-page": "é"}
        )
        answer.enable_compression()
        return answer


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found = Site()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", found.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def run(client: stepwell.Inngest, function: Any) -> Any:
    async with Engine(
        client, [function], database=":memory:", rules=Rules(retry_interval_ms=10)
    ) as engine:
        (event_id,) = await client.send(stepwell.Event(name="page/wanted"))
        return await engine.result_of(event_id, timeout_seconds=10)


@pytest.fixture
def client() -> stepwell.Inngest:
    return stepwell.Inngest(app_id="pages", is_production=False)


async def test_each_request_is_a_step_that_the_server_does(
    site: Site, client: stepwell.Inngest
) -> None:
    @client.create_function(fn_id="f", trigger=GO)
    async def function(ctx: stepwell.Context) -> list[Any]:
        async with httpx.AsyncClient(
            transport=DurableTransport(), base_url=site.url, headers={"x-agent": "me"}
        ) as http:
            posted = await http.post("/orders?n=1", json=ORDER)
            again = await http.get("/orders")
            missing = await http.get("/missing")
        assert ctx.attempt == 0
        return [posted.json(), posted.headers["x-page"], again.status_code, missing.json()]

    found = await run(client, function)
    assert found == [
        {"body": WRITTEN, "agent": "me"},
        "é",
        200,
        {"error": "not here"},
    ]
    assert site.asked == [
        ("POST", "/orders?n=1", WRITTEN),
        ("GET", "/orders", ""),
        ("GET", "/missing", ""),
    ]


async def test_in_a_plain_handler(site: Site, client: stepwell.Inngest) -> None:
    @client.create_function(fn_id="f", trigger=GO)
    def function(ctx: stepwell.ContextSync) -> list[Any]:
        with httpx.Client(transport=DurableTransport(), base_url=site.url) as http:
            return [http.put("/a", content="text").json()["body"], http.get("/b").status_code]

    found = await run(client, function)
    assert found == ["text", 200]
    assert [asked[:2] for asked in site.asked] == [("PUT", "/a"), ("GET", "/b")]


async def test_where_no_step_can_be_requests_go_the_usual_way(
    site: Site, client: stepwell.Inngest
) -> None:
    usual: list[str] = []

    async def usually(request: httpx.Request) -> httpx.Response:
        usual.append(request.url.path)
        return httpx.Response(200, json="usual")

    http = httpx.AsyncClient(
        transport=DurableTransport(fallback=httpx.MockTransport(usually)), base_url=site.url
    )

    async def fetch(path: str) -> Any:
        return (await http.get(path)).json()

    @client.create_function(fn_id="f", trigger=GO)
    async def function(ctx: stepwell.Context) -> list[Any]:
        return [await ctx.step.run("inside", fetch, "/inside"), (await fetch("/step"))["body"]]

    assert await fetch("/outside") == "usual"
    found = await run(client, function)
    assert found == ["usual", ""]
    assert usual == ["/outside", "/inside"]
    assert [path for _, path, _ in site.asked] == ["/step"]
    with httpx.Client(transport=DurableTransport()) as plain:
        assert (await asyncio.to_thread(plain.get, f"{site.url}/plain")).status_code == 200
    await http.aclose()


async def test_what_cannot_be_done_says_so(site: Site, client: stepwell.Inngest) -> None:
    @client.create_function(fn_id="f", trigger=GO, retries=0)
    async def function(ctx: stepwell.Context) -> list[str]:
        told: list[str] = []
        async with httpx.AsyncClient(transport=DurableTransport()) as http:
            for wish in (
                lambda: http.post(f"{site.url}/a", content=b"\xff"),
                lambda: http.get("http://127.0.0.1:9/nobody"),
            ):
                try:
                    await wish()
                except stepwell.Error as error:
                    told.append(f"{type(error).__name__}: {error}")
        with (
            httpx.Client(transport=DurableTransport()) as plain,
            pytest.raises(stepwell.Error, match=r"httpx\.Client in a coroutine"),
        ):
            plain.get(site.url)  # noqa: ASYNC212 - refused before it blocks
        return told

    no_text, nobody = await run(client, function)
    assert "its body is no text" in no_text
    assert nobody.startswith("StepError: ")
    assert site.asked == []
