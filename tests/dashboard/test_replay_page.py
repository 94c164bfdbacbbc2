"""What went wrong is done again from a page of its own."""

import pytest
from playwright.async_api import Page, expect

from tests.dashboard.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_failed_runs_are_chosen_counted_replayed_and_told_of(page: Page, shop: Shop) -> None:
    for order in range(2):
        await shop.run("order/refunded", "FAILED", order=order)
    await page.goto("replay")
    await expect(page.get_by_text("choose a function first")).to_be_visible()
    await expect(page.get_by_role("button", name="Replay runs")).to_be_disabled()
    await page.get_by_label("Function").select_option("shop-refund")
    await expect(page.get_by_role("button", name="Replay 2 runs")).to_be_enabled()
    await page.get_by_role("button", name="Failed").click()
    await expect(page.get_by_role("button", name="Failed")).to_have_attribute(
        "aria-pressed", "true"
    )
    await page.get_by_role("button", name="Cancelled").click()
    await page.get_by_role("button", name="Failed").click()
    await expect(page.get_by_role("button", name="Replay 0 runs")).to_be_disabled()
    await page.get_by_role("button", name="Failed").click()
    await page.get_by_label("Until").fill("2020-01-01T00:00")
    await page.get_by_label("Until").blur()
    await expect(page.get_by_role("button", name="Replay 0 runs")).to_be_disabled()
    await page.get_by_label("From").fill("2020-01-02T00:00")
    await page.get_by_label("From").blur()
    await expect(page.get_by_role("alert")).to_contain_text("The end comes after the beginning")
    await page.get_by_role("button", name="Last hour").click()
    pace = page.get_by_label("A second, at most")
    await pace.fill("2001")
    await expect(page.get_by_role("alert")).to_contain_text("a number from 1 to 2,000")
    await pace.fill("1000")
    await page.reload()
    await page.get_by_role("button", name="Replay 2 runs").click()
    await expect(page.get_by_role("region", name="Running again many runs")).to_contain_text(
        "2 of 2 runs"
    )
    await expect(page.locator(".replays li")).to_contain_text("shop-refund2 of 2 runs")
    assert len((await shop.get("v2/runs?status=FAILED&status=RUNNING&status=QUEUED"))["data"]) == 4


async def test_events_that_a_pause_skipped_start_their_runs_from_the_function(
    page: Page, shop: Shop
) -> None:
    await page.goto("functions/shop/shop-refund")
    await page.get_by_role("button", name="Pause").click()
    await page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    await expect(page.get_by_text("paused", exact=True)).to_be_visible()
    event = await shop.send("order/refunded")
    await page.get_by_role("button", name="Resume").click()
    await page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    await page.get_by_role("link", name="Replay").click()
    await expect(page).to_have_url(f"{shop.url}/replay?app=shop&function=shop-refund")
    await page.get_by_role("button", name="Events that were skipped").click()
    await expect(page.get_by_role("button", name="Paused")).to_have_attribute(
        "aria-pressed", "true"
    )
    await page.get_by_role("button", name="Replay 1 event").click()
    await shop.run_of(event, "FAILED")
