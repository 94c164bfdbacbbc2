"""What a page may cost, counted: bytes, requests and elements. No verdict by the clock."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.dashboard.conftest import window
from tests.dashboard.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")

FIRST_BYTES_MAX = 85_000
"""Of everything that comes before the first row, compressed: the page, its script and its style."""
REQUESTS_MAX = 12
ELEMENTS_MAX = 1_500
OF_A_CHANGE_MAX = 4
"""Requests that one change of one run leads to on an open page."""


async def elements(page: Page) -> int:
    count: int = await page.evaluate("document.querySelectorAll('*').length")
    return count


async def test_the_first_view_takes_few_requests_bytes_and_elements(
    browser: Browser, shop: Shop
) -> None:
    for _ in range(60):
        await shop.send("order/refunded")
    await shop.run("order/refunded", "FAILED")
    async with window(browser, shop) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto("runs")
        await expect(page.locator("a.row").first).to_be_visible()
        assert len(asked) <= REQUESTS_MAX, asked
        assert await elements(page) <= ELEMENTS_MAX
        sizes = await page.evaluate(
            """performance.getEntries().filter(one => one.name.includes("/assets/")
            || one.entryType === "navigation").reduce((sum, one) => sum + one.encodedBodySize, 0)"""
        )
        assert 10_000 < sizes <= FIRST_BYTES_MAX


async def test_a_change_is_asked_for_once_and_leaves_no_element_behind(
    page: Page, shop: Shop
) -> None:
    await shop.run("order/refunded", "FAILED")
    await page.goto("runs")
    await expect(page.locator("a.row")).to_have_count(1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    waiting = await shop.run("order/asked", "RUNNING")
    await expect(page.locator("a.row")).to_have_count(2)
    before = await elements(page)
    for _ in range(3):
        await page.locator("a.row").first.click()
        await expect(page.locator(".run-title")).to_contain_text("shop-approve")
        await page.go_back()
        await expect(page.locator("a.row")).to_have_count(2)
    assert await elements(page) <= before
    lists = [url for url in asked if "/api/v2/runs?" in url]
    assert len(lists) <= OF_A_CHANGE_MAX + 3, (lists, waiting)
