"""What changes is shown, whenever the page begins to hear of it."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from tests.dashboard.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")

HIDDEN = """hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


async def test_what_changes_before_the_stream_begins_is_shown(page: Page, shop: Shop) -> None:
    before = await shop.run("order/refunded", "FAILED")
    begins = asyncio.Event()

    async def held(route: Route) -> None:
        await begins.wait()
        await route.continue_()

    await page.route("**/api/v2/stream?**", held)
    await page.goto("runs")
    await expect(page.locator("a.row").first).to_contain_text(before["id"])
    run = await shop.run("order/refunded", "FAILED")
    begins.set()
    await expect(page.locator("a.row").first).to_contain_text(run["id"])


async def test_what_changed_while_nobody_looked_is_shown(page: Page, shop: Shop) -> None:
    before = await shop.run("order/refunded", "FAILED")
    async with page.expect_response("**/api/v2/stream?**"):
        await page.goto("runs")
    await expect(page.locator("a.row").first).to_contain_text(before["id"])
    await page.evaluate(HIDDEN, True)
    run = await shop.run("order/refunded", "FAILED")
    async with page.expect_response("**/api/v2/stream?**"):
        await page.evaluate(HIDDEN, False)
    await expect(page.locator("a.row").first).to_contain_text(run["id"])
