"""The dashboard inside other applications: behind their login, on their loop or another."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import pytest_asyncio
import starlette.applications
import uvicorn
from playwright.async_api import Browser, expect
from starlette.routing import Mount
from starlette.types import Scope

import stepwell
from stepwell.embedded import Engine, Viewer
from stepwell.server import mounted
from tests.dashboard.conftest import window

pytestmark = pytest.mark.asyncio(loop_scope="package")

HTML = {"accept": "text/html"}


def engine_of() -> tuple[stepwell.Inngest, Engine]:
    client = stepwell.Inngest(app_id="inner", is_production=False)

    @client.create_function(fn_id="greet", trigger=stepwell.TriggerEvent(event="visitor/came"))
    async def greet(ctx: stepwell.Context) -> str:
        return await ctx.step.run("look up", lambda: "Ada")

    return client, Engine(client, [greet], database=":memory:")


def who(scope: Scope) -> Viewer | None:
    names = {b"ann": Viewer("ann"), b"bob": Viewer("bob", "read")}
    asked = dict(scope["headers"]).get(b"x-user", b"ann")
    return names.get(asked)


@pytest_asyncio.fixture(loop_scope="package")
async def host() -> AsyncIterator[tuple[str, Engine]]:
    """An application with the dashboard at /inside/stepwell, and its engine."""
    _, engine = engine_of()
    app = starlette.applications.Starlette(
        routes=[Mount("/inside/stepwell", engine.dashboard(who))], lifespan=engine.lifespan
    )
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None))
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/inside/stepwell", engine
    server.should_exit = True
    await serving


@pytest_asyncio.fixture(loop_scope="package")
async def http(host: tuple[str, Engine]) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(host[0] + "/") as client:
        yield client


async def test_a_browser_works_with_the_engine_inside_an_application(
    browser: Browser, host: tuple[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounted, "STREAM_S", 0.5)
    url, engine = host
    async with window(browser, url) as page:
        await page.goto("")
        await expect(page).to_have_url(f"{url}/runs")
        await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
        client = engine._apps[0][0]
        await client.send(stepwell.Event(name="visitor/came"))
        await page.locator("a.row").click()
        await expect(page.locator(".run-title")).to_contain_text("Completed")
        await page.get_by_role("button", name="Run again").click()
        await page.get_by_role("dialog").get_by_role("button", name="Run again").click()
        await expect(page.locator(".facts")).to_contain_text("Rerun of")
        await expect(page.get_by_role("button", name="Log out")).to_have_count(0)


async def test_a_stream_that_goes_on_asks_for_nothing_anew(
    browser: Browser, host: tuple[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounted, "STREAM_S", 0.5)
    async with window(browser, host[0]) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto("runs")
        for _ in range(3):
            async with page.expect_response("**/api/v2/stream?**"):
                pass
        assert len([url for url in asked if "/api/v2/runs?" in url]) == 1


async def test_who_may_do_what_is_the_applications_to_say(http: aiohttp.ClientSession) -> None:
    sent = {"name": "visitor/came", "data": {}}
    for user, looks, sends in (("ann", 200, 200), ("bob", 200, 403), ("eve", 403, 403)):
        told = {"x-user": user}
        async with http.get("api/v2/runs", headers=told) as answer:
            assert answer.status == looks
        async with http.get("runs", headers={**told, **HTML}) as answer:
            assert answer.status == looks
        async with http.post("api/v2/events", json=sent, headers=told) as answer:
            assert answer.status == sends
    async with http.get("session") as answer:
        assert (await answer.json())["data"] == {
            "name": "ann",
            "role": "operate",
            "byCookie": False,
        }


@pytest.mark.parametrize(
    "told", [{"origin": "http://evil.test"}, {"sec-fetch-site": "cross-site"}], ids=str
)
async def test_a_page_of_another_site_steers_nothing(
    http: aiohttp.ClientSession, told: dict[str, str]
) -> None:
    async with http.post("api/v2/events", json={"name": "a"}, headers=told) as answer:
        assert answer.status == 403
        assert "another" in await answer.text() or "page of" in await answer.text()


@pytest.mark.parametrize("path", ["e/key", "fn/register", "v1/runs", "v2/runs", "metrics"])
async def test_nothing_is_served_that_the_page_does_not_ask(
    http: aiohttp.ClientSession, path: str
) -> None:
    async with http.post(path, json={}) as answer:
        assert answer.status in {404, 405}


@pytest.fixture
def aside() -> Iterator[Engine]:
    """An engine on a loop of its own."""
    _, engine = engine_of()
    engine.start_in_background()
    yield engine
    engine.stop_in_background()


async def test_an_engine_on_another_loop_is_asked_across(
    aside: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounted, "STREAM_S", 0.3)
    app = aside.dashboard()
    assert threading.current_thread() is threading.main_thread()
    taken = await asked(app, "POST", "/api/v2/events", b'{"name": "visitor/came"}')
    assert taken[0]["status"] == 200
    stream = await asked(app, "GET", "/api/v2/stream")
    assert b"event: ready" in stream[1]["body"]
    assert stream[-1] == {"type": "http.response.body", "body": b"retry: 100\n\n"}


async def test_an_engine_that_does_not_run_says_so() -> None:
    _, engine = engine_of()
    answer = await asked(engine.dashboard(), "GET", "/runs")
    assert answer[0]["status"] == 503
    assert b"the engine is not running" in answer[1]["body"]


async def asked(app: object, method: str, path: str, body: bytes = b"") -> list[dict[str, object]]:
    told: list[dict[str, object]] = []
    pieces = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, object]:
        if pieces:
            return pieces.pop()
        return await asyncio.Future()

    async def send(message: dict[str, object]) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"host", b"test")],
    }
    await app(scope, receive, send)  # type: ignore[operator]
    return told
