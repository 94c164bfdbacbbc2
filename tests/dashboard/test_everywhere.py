"""What holds for every page: no barrier, no stranger, no error, and it is small."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from stepwell.server.dashboard.files import STATIC
from tests.dashboard.conftest import NARROW, WIDE, window
from tests.dashboard.shop import SCRIPT, Shop

AXE = Path(__file__).resolve().parents[2] / "dashboard/node_modules/axe-core/axe.min.js"
BUDGETS = {".js": 70_000, ".css": 15_000}
"""Bytes of each kind that a browser loads at first, compressed."""


async def pages_of(shop: Shop) -> list[str]:
    completed = await shop.run("order/placed", "COMPLETED", note=SCRIPT[:-1])
    failed = await shop.run("order/refunded", "FAILED")
    waiting = await shop.run("order/asked", "RUNNING", order=1)
    event = completed["trigger"]["eventIds"][0]
    runs = [f"runs/{run['id']}" for run in (completed, failed, waiting)]
    others = ["runs", "events", f"events/{event}", "functions", "functions/shop/shop-notify"]
    others += ["limits", "crons", "runs?query=event.data.+%3D%3D+1"]
    return [*runs, *others, "apps", "runs?status=QUEUED", "nowhere"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["380px", "1280px"])
async def test_axe_finds_no_barrier(
    browser: Browser, shop: Shop, size: tuple[int, int], scheme: str
) -> None:
    script = AXE.read_text(encoding="utf-8")
    async with window(browser, shop, size, scheme) as page:
        for path in await pages_of(shop):
            await page.goto(path)
            await page.get_by_role("heading").first.wait_for()
            await page.evaluate(script)
            found = await page.evaluate("axe.run({resultTypes: ['violations']})")
            told = [
                f"{path}: {one['id']}: {node['html'][:120]} {node['failureSummary']}"
                for one in found["violations"]
                for node in one["nodes"]
            ]
            assert told == []


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["380px", "1280px"])
async def test_nothing_is_wider_than_the_page_and_nobody_else_is_asked(
    browser: Browser, shop: Shop, size: tuple[int, int]
) -> None:
    async with window(browser, shop, size) as page:
        asked: set[str] = set()
        page.on("request", lambda request: asked.add(request.url))
        for path in await pages_of(shop):
            await page.goto(path)
            await page.get_by_role("heading").first.wait_for()
            assert await page.evaluate("document.documentElement.scrollWidth") <= size[0], path
        assert [url for url in asked if not url.startswith(shop.url)] == []


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


def test_the_page_is_within_its_budget() -> None:
    if not STATIC.is_dir():
        pytest.skip("the dashboard is not built: run scripts/setup where Node is installed")
    for suffix, budget in BUDGETS.items():
        sizes = [path.stat().st_size for path in STATIC.glob(f"assets/*{suffix}.gz")]
        assert sizes
        assert sum(sizes) <= budget
