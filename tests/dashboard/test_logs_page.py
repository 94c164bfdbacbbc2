"""The page that follows what functions write."""

import pytest
from playwright.async_api import Page, expect

from tests.dashboard.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_lines_appear_as_they_are_written_and_are_filtered(page: Page, shop: Shop) -> None:
    await page.goto("logs")
    await expect(page.get_by_role("heading", name="No lines yet")).to_be_visible()
    run = await shop.run("parcel/lost", "FAILED")
    lines = page.locator(".tail-line")
    await expect(lines).to_have_count(2)
    await expect(lines.first).to_contain_text("infoshop-searchopens drawer 1")
    await page.get_by_label("Part of a line").fill("DRAWER 2")
    await expect(lines).to_have_count(1)
    await page.get_by_label("Level").select_option("warning")
    await expect(page.get_by_role("heading", name="No line matches")).to_be_visible()
    # What was written before stands there after a reload, as the address says.
    await page.reload()
    await expect(page.get_by_role("heading", name="No line matches")).to_be_visible()
    await page.get_by_label("Level").select_option("")
    await expect(lines).to_have_count(1)
    await lines.get_by_role("link").click()
    await expect(page).to_have_url(f"{shop.url}/runs/{run['id']}")


async def test_lines_are_found_behind_runs_that_wrote_none(page: Page, shop: Shop) -> None:
    await shop.run("parcel/lost", "FAILED")
    for order in range(10):
        await shop.run("order/asked", "RUNNING", order=order)
    await page.goto("logs")
    await expect(page.locator(".tail-line")).to_have_count(2)


async def test_lines_of_one_function_alone_until_the_page_is_held(page: Page, shop: Shop) -> None:
    await shop.run("parcel/lost", "FAILED")
    await page.goto("logs?function=shop-fulfil")
    await expect(page.get_by_role("heading", name="No lines yet")).to_be_visible()
    await page.get_by_label("Function").select_option("shop-search")
    lines = page.locator(".tail-line")
    await expect(lines).to_have_count(2)
    await page.get_by_role("button", name="Live").click()
    await shop.run("parcel/lost", "FAILED")
    await expect(lines).to_have_count(2)
    await page.get_by_role("button", name="Held").click()
    await expect(lines).to_have_count(4)
