"""A server that opens to nobody without a key asks for one, and its page for a session."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from stepwell.server.config import Command, ServerConfig
from stepwell.server.serving import Server
from tests.dashboard.conftest import window
from tests.dashboard.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")

SIGNING = "signkey-test-12345678"


@pytest_asyncio.fixture(loop_scope="package")
async def production(tmp_path: Path) -> AsyncIterator[Shop]:
    """`stepwell start`, with nothing in it."""
    server = Server(
        ServerConfig(
            command=Command.START,
            host="127.0.0.1",
            port=0,
            connect_gateway_port=0,
            sqlite_dir=str(tmp_path),
            signing_keys=(SIGNING,),
            event_keys=("sends",),
        )
    )
    await server.start()
    headers = {"authorization": f"Bearer {SIGNING}"}
    try:
        async with aiohttp.ClientSession(headers=headers) as http:
            yield Shop(server, http)
    finally:
        await server.stop()


async def made(shop: Shop, role: str) -> str:
    body = {"name": f"ann who may {role}", "role": role}
    async with shop.http.post(f"{shop.url}/api/v2/keys", json=body) as answer:
        return str((await answer.json())["data"]["key"])


async def test_a_stranger_is_asked_for_a_key_and_let_in_with_one(
    browser: Browser, production: Shop
) -> None:
    key = await made(production, "operate")
    async with window(browser, production) as page:
        await page.goto("runs")
        await page.get_by_label("Key").fill("swk_wrong")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert")).to_contain_text("does not know this key")
        await page.get_by_label("Key").fill(key)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
        assert key not in await page.evaluate("document.cookie + JSON.stringify(localStorage)")
        await page.reload()
        await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Key")).to_be_visible()
        await page.reload()
        await expect(page.get_by_label("Key")).to_be_visible()


async def test_a_key_that_only_reads_finds_no_action(browser: Browser, production: Shop) -> None:
    key = await made(production, "read")
    async with window(browser, production) as page:
        await page.goto("runs")
        await page.get_by_label("Key").fill(key)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
        await expect(page.get_by_role("button", name="Send event")).to_be_disabled()
        await page.keyboard.press("n")
        await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_a_key_that_is_revoked_closes_the_page(browser: Browser, production: Shop) -> None:
    key = await made(production, "read")
    async with window(browser, production) as page:
        await page.goto("runs")
        await page.get_by_label("Key").fill(key)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
        listed = (await production.get("api/v2/keys"))["data"]
        async with production.http.delete(
            f"{production.url}/api/v2/keys/{listed[0]['id']}"
        ) as answer:
            assert answer.status == 200
        # Whatever the page asks next is refused: here it is what it asks when it is opened.
        await page.goto("events")
        await expect(page.get_by_label("Key")).to_be_visible()
