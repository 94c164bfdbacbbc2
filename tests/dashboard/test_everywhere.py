"""What holds for every page: no barrier, no stranger, no error, and it is small."""

import pytest
from playwright.async_api import Browser, expect

from stepwell.server.dashboard.files import STATIC
from tests.dashboard.barriers import barriers
from tests.dashboard.conftest import window
from tests.dashboard.shop import SCRIPT, Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")

BUDGETS = {".js": 80_000, ".css": 15_000}
"""Bytes of each kind in all, compressed; what a browser needs at first is in `test_budgets`."""
DIALOGS = (
    ("runs", "Send event"),
    ("runs", "Go to"),
    ("runs", "Act on all"),
    ("runs/{run}", "Run again"),
    ("runs/{run}", "Cancel"),
    ("functions/shop/shop-notify", "Invoke"),
    ("functions/shop/shop-notify", "Pause"),
)
"""A page, and the button that opens a dialog on it."""


async def pages_of(shop: Shop) -> list[str]:
    completed = await shop.run("order/placed", "COMPLETED", note=SCRIPT[:-1])
    failed = await shop.run("order/refunded", "FAILED")
    waiting = await shop.run("order/asked", "RUNNING", order=1)
    event = completed["trigger"]["eventIds"][0]
    runs = [f"runs/{run['id']}" for run in (completed, failed, waiting)]
    others = ["runs", "events", f"events/{event}", "functions", "functions/shop/shop-notify"]
    others += [
        "overview",
        "limits",
        "crons",
        "replay?app=shop&function=shop-refund",
        "runs?query=event.data.+%3D%3D+1",
    ]
    others += ["runs?session=user%3D7&time=ended&from=2026-01-01T10:00Z&until=2026-01-02T10:00Z"]
    others += ["logs", "replay?app=shop&function=shop-refund"]
    return [*runs, *others, "apps", "runs?status=QUEUED", "nowhere"]


async def test_every_page_has_no_barrier_fits_and_asks_nobody_else(
    browser: Browser, shop: Shop
) -> None:
    async with window(browser, shop) as page:
        asked: set[str] = set()
        forbidden: list[str] = []
        page.on("request", lambda request: asked.add(request.url))
        await page.expose_function("forbidden", lambda told: forbidden.append(str(told)))
        await page.add_init_script(
            "addEventListener('securitypolicyviolation', told => forbidden(told.violatedDirective))"
        )
        for path in await pages_of(shop):
            await page.goto(path)
            await page.get_by_role("heading").first.wait_for()
            assert await barriers(page) == [], path
        assert [url for url in asked if not url.startswith(shop.url)] == []
        assert forbidden == []


async def test_no_dialog_has_a_barrier(browser: Browser, shop: Shop) -> None:
    run = await shop.run("order/asked", "RUNNING", order=1)
    async with window(browser, shop) as page:
        for path, opener in DIALOGS:
            await page.goto(path.format(run=run["id"]))
            await page.get_by_role("button", name=opener).first.click()
            await page.get_by_role("dialog").wait_for()
            assert await barriers(page, "dialog[open]") == [], opener


async def test_a_server_that_goes_away_is_waited_for(browser: Browser, shop: Shop) -> None:
    await shop.run("order/placed", "COMPLETED")
    async with window(browser, shop, expected=("Failed to load", "net::ERR")) as page:
        await page.goto("runs")
        await expect(page.locator("a.row")).to_have_count(1)
        await page.route("**/api/v2/**", lambda route: route.abort())
        await shop.run("order/refunded", "FAILED")
        await expect(page.get_by_text("The server does not answer")).to_be_visible()
        await expect(page.locator("a.row")).to_have_count(1)
        await page.unroute("**/api/v2/**")
        await expect(page.get_by_text("The server does not answer")).to_have_count(0)
        await expect(page.locator("a.row")).to_have_count(2)


async def test_the_theme_that_was_chosen_is_kept(browser: Browser, shop: Shop) -> None:
    async with window(browser, shop) as page:
        await page.goto("runs")
        light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        button = page.get_by_role("button", name="Theme")
        await button.click()
        await button.click()
        dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert light != dark
        await page.reload()
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


async def test_the_page_is_within_its_budget() -> None:
    if not STATIC.is_dir():
        pytest.skip("the dashboard is not built: run scripts/setup where Node is installed")
    for suffix, budget in BUDGETS.items():
        sizes = [path.stat().st_size for path in STATIC.glob(f"assets/*{suffix}.gz")]
        assert sizes
        assert sum(sizes) <= budget
