"""Named limits and schedules: how they stand, changed and run by hand."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

import stepwell
from stepwell.embedded import attach
from tests.dashboard.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")

gpu = stepwell.limit("gpu", concurrency=1)


@pytest_asyncio.fixture(loop_scope="package")
async def studio(shop: Shop) -> AsyncIterator[Shop]:
    """The shop, with an app beside it that has schedules and a limit."""
    client = stepwell.Inngest(app_id="studio", is_production=False)
    forever = asyncio.Event()

    @client.create_function(
        fn_id="render",
        trigger=stepwell.TriggerEvent(event="video/uploaded"),
        limits=[gpu.by(key="event.data.user")],
    )
    async def render(ctx: stepwell.Context) -> None:
        """Runs until it is let go."""
        await ctx.step.run("render", forever.wait)

    @client.create_function(
        fn_id="proof",
        trigger=stepwell.TriggerEvent(event="page/laid-out"),
        concurrency=[stepwell.Concurrency(limit=1, key="event.data.user")],
    )
    async def proof(ctx: stepwell.Context) -> None:
        """Runs until it is let go, one for each user."""
        await ctx.step.run("read", forever.wait)

    @client.create_function(
        fn_id="report", trigger=stepwell.TriggerCron(cron="TZ=Europe/Paris 0 9 * * MON-FRI")
    )
    async def report(ctx: stepwell.Context) -> str:
        return "nothing new"

    await attach(shop.server.node, client, [render, proof, report], alone=False)
    yield shop
    forever.set()
    client.attach(None)


async def test_a_limit_shows_its_keys_is_changed_and_reset(page: Page, studio: Shop) -> None:
    for user in ("amy", "amy", "bob"):
        await studio.send("video/uploaded", user=user)
    await page.goto("limits")
    card = page.get_by_role("region", name="gpu")
    amy = card.locator(".limit-key", has_text='"amy"')
    await expect(amy).to_contain_text("1 in use, 1 waiting")
    await expect(card).to_contain_text("studio-render")
    await card.get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog")
    number = dialog.get_by_label("Number")
    await number.fill("0")
    await expect(dialog.get_by_role("alert")).to_contain_text("a whole one from 1 on")
    await dialog.get_by_text("Per period", exact=True).click()
    await number.fill("7")
    await dialog.get_by_label("Period, such as").fill("1 parsec")
    await dialog.get_by_role("button", name="Change to").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("1 parsec")
    await dialog.get_by_text("At once", exact=True).click()
    await number.fill("2")
    await dialog.get_by_role("button", name="Change to 2 at once").click()
    await expect(card).to_contain_text("2 at once · the code says 1 at once")
    await expect(amy).to_contain_text("2 in use")
    await card.get_by_role("button", name="Reset").click()
    await page.get_by_role("dialog").get_by_role("button", name="Reset").click()
    await expect(card).not_to_contain_text("the code says")


async def test_a_function_tells_what_is_in_use_of_its_limits_and_what_waits(
    page: Page, studio: Shop
) -> None:
    for user in ("amy", "amy", "bob"):
        await studio.send("page/laid-out", user=user)
    await page.goto("functions/studio/studio-proof")
    told = page.get_by_role("region", name="Now")
    await expect(told).to_contain_text("Going on2")
    await expect(told).to_contain_text("one of its limits is used up")
    amy = told.locator(".limit-key", has_text='"amy"')
    await expect(amy).to_contain_text("1 of 1, 1 waiting")
    await expect(told.locator(".limit-key", has_text='"bob"')).to_contain_text("1 of 1")
    await page.goto("functions")
    await expect(page.locator("a.row", has_text="proof")).to_contain_text("2 going on +1 queued")


async def test_a_schedule_is_told_in_words_and_run_by_hand(page: Page, studio: Shop) -> None:
    found = await studio.get("v2/crons")
    found["data"][0]["recent"] = [
        {"at": "2026-11-30T08:00:00Z", "missed": True},
        {"at": "2026-11-27T08:00:00Z", "runId": "01HZ", "status": "FAILED"},
    ]
    # A day has not passed since the function was registered: what became of it is made up.
    await page.route("**/api/v2/crons*", lambda route: route.fulfill(json=found))
    assert found["catchUp"] == "one"
    await page.goto("crons")
    card = page.locator(".cron")
    await expect(card).to_contain_text("At 09:00, Monday through Friday in Europe/Paris")
    await expect(card).to_contain_text("Clocks in Europe/Paris go")
    await expect(card.get_by_role("link", name="Failed")).to_have_attribute("href", "/runs/01HZ")
    await expect(card.locator(".held-up")).to_have_text("1")
    await expect(page.get_by_text("the latest is made up for")).to_be_visible()
    await card.get_by_role("button", name="Run now").click()
    await page.get_by_role("dialog").get_by_role("button", name="Run now").click()
    await expect(page.locator(".run-title")).to_contain_text("studio-report")
