"""The overview: what ran and failed, what waits, and where each number leads."""

import pytest
from playwright.async_api import Page, expect

from tests.dashboard.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_what_became_of_runs_is_told_in_numbers_and_bars(page: Page, shop: Shop) -> None:
    await shop.run("order/placed", "COMPLETED")
    failed = [await shop.run("order/refunded", "FAILED", order=n) for n in range(2)]
    await shop.run("order/asked", "RUNNING")
    await page.goto("overview?last=1h")
    await expect(page.locator(".figure", has_text="Begun")).to_contain_text("4")
    await expect(page.locator(".figure", has_text="Failed")).to_contain_text("67 %")
    await expect(page.locator(".figure", has_text="Going on")).to_contain_text("1")
    chart = page.get_by_role("region", name="What became of runs")
    await expect(chart.locator(".chart-told")).to_contain_text("1 completed2 failed0 cancelled")
    group = page.get_by_role("region", name="Failures").get_by_role("link")
    await expect(group).to_have_count(1)
    await expect(group).to_contain_text("2ValueErrorthe customer has no account")
    row = page.get_by_role("region", name="Functions").get_by_role("link", name="shop-refund")
    await expect(row).to_contain_text("100 %")
    await group.click()
    await expect(page).to_have_url(f"{shop.url}/runs/{failed[1]['id']}")


async def test_a_bar_is_reached_by_keys_and_leads_to_its_runs(page: Page, shop: Shop) -> None:
    failed = await shop.run("order/refunded", "FAILED")
    await page.goto("overview")
    chart = page.get_by_role("region", name="What became of runs")
    await chart.locator(".chart-bars").focus()
    await page.keyboard.press("ArrowLeft")
    if "1 failed" not in await chart.locator(".chart-told").inner_text():
        # A new quarter of an hour has begun since.
        await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Ended from")).to_be_visible()
    await expect(page.locator("a.row")).to_contain_text(failed["id"])
    await expect(page.get_by_role("button", name="Act on all")).to_be_enabled()
    await page.get_by_role("button", name="Clear").click()
    await expect(page).to_have_url(f"{shop.url}/runs")


async def test_a_server_without_runs_says_how_to_begin(page: Page, shop: Shop) -> None:
    await page.goto("overview?last=7d")
    await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    await expect(page.get_by_role("button", name="Last 7 days")).to_have_attribute(
        "aria-pressed", "true"
    )
    await expect(page.get_by_text("Stored in memory")).to_be_visible()
