"""Whatever a payload, an address or the storage of a browser holds is shown as text,
and harms nothing.

Scripts, text of the other direction, lone surrogates, numbers beyond a double, and what is no JSON.
"""

import json
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from tests.dashboard.shop import BIG, SCRIPT, Shop
from tests.unit.server.api.harness import function, registration

pytestmark = pytest.mark.asyncio(loop_scope="package")

MARKUP = "<img src=x onerror=\"document.title='harmed'\">"


async def unharmed(page: Page) -> None:
    """Nothing of it became a part of the page."""
    assert await page.locator("img, main script").count() == 0
    assert "harmed" not in await page.title()


async def test_lines_of_the_log(page: Page, shop: Shop) -> None:
    await shop.run("parcel/lost", "FAILED", note=f" {SCRIPT} " + "long" * 5_000)
    await page.goto("logs")
    lines = page.locator(".tail-line")
    await expect(lines).to_have_count(2)
    await expect(lines.first).to_contain_text(MARKUP)
    wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    await page.get_by_label("Part of a line").fill("(<[\\u")
    await expect(page.get_by_role("heading", name="No line matches")).to_be_visible()
    await unharmed(page)
    await page.goto(f"logs?function={quote(SCRIPT[:-1])}&level={quote(MARKUP)}&text=%00%ED%A0%BD")
    await expect(page.get_by_role("heading", name="Logs")).to_be_visible()
    await unharmed(page)


async def test_versions_of_a_function(page: Page, shop: Shop) -> None:
    for about in ("Bills.", f"{SCRIPT[:-1]} {BIG}"):
        bill = function("bill", event="x", app="till", description=about)
        told = registration(bill, app="till") | {"appVersion": SCRIPT[:-1]}
        async with shop.http.post(f"{shop.url}/fn/register", json=told) as answer:
            assert answer.status == 200, await answer.text()
    await page.goto("functions/till/till-bill")
    await expect(page.locator(".versions .diff-new")).to_contain_text("onerror")
    await expect(page.locator(".versions .diff-new")).to_contain_text(str(BIG))
    await unharmed(page)


async def test_a_replay_that_an_address_makes_up(page: Page, shop: Shop) -> None:
    app, last = quote(MARKUP), quote(SCRIPT[:-1])
    await page.goto(
        f"replay?app={app}&function={last}&what={app}&status=x&reason=y&last={last}"
        f"&from=never&until=275761-01-01&rate={2**70}"
    )
    await expect(page.get_by_role("heading", name="Replay", exact=True)).to_be_visible()
    await expect(page.get_by_role("alert").first).not_to_be_empty()
    await expect(page.get_by_role("button", name="Replay runs")).to_be_disabled()
    await unharmed(page)


async def test_events_and_what_is_kept_of_them(page: Page, shop: Shop) -> None:
    await shop.send("nobody/listens", note=SCRIPT, order=BIG, parts=["x" * 1_000] * 50)
    kept = [
        None,
        7,
        {"name": 7, "text": "{}"},
        {"name": "no text"},
        {"name": MARKUP, "text": json.dumps({"name": "a/b", "data": {"order": BIG}})},
        {"name": "no json", "text": "{"},
    ]
    await page.add_init_script(
        f"localStorage.setItem('stepwell.samples', {json.dumps(json.dumps(kept))});"
        "localStorage.setItem('stepwell.views', '{\\\"no list\\\"');"
    )
    await page.goto("events")
    row = page.locator("a.row")
    await expect(row).to_contain_text("onerror")
    await row.click()
    await expect(page.locator(".json")).to_contain_text(str(BIG))
    await unharmed(page)
    await page.get_by_role("button", name="Send event").click()
    dialog = page.get_by_role("dialog")
    text = dialog.get_by_role("textbox", name="The event, as JSON")
    await dialog.get_by_role("button", name=MARKUP, exact=True).click()
    await expect(text).to_have_value(json.dumps({"name": "a/b", "data": {"order": BIG}}))
    await dialog.get_by_role("button", name="no json", exact=True).click()
    await expect(dialog.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    await expect(dialog.get_by_role("button", name="no text")).to_have_count(0)
    await unharmed(page)


async def test_numbers_in_the_list_of_events_are_those_that_are_stored(
    page: Page, shop: Shop
) -> None:
    await shop.send("nobody/listens", order=BIG)
    await page.goto("events")
    await expect(page.locator("a.row code")).to_have_text(f'{{"order":{BIG}}}')
